"""What an analysis reads: for each metric, the Moments of its population by variant, and what was noticed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.checks import Check
from analysis.moments import Moments
from analysis.parts import Band
from analysis.tails import Arm
from experiments.errors import Invalid
from experiments.metrics import Metric


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap found on the pooled buyers' values of one column: its value, and how many units it touched by variant."""

    percentile: float
    value: float
    capped_units: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QuantileSummary:
    """One quantile in one variant, already read from the ordered rows: standard_error is None where it has none."""

    units: int
    value: float | None
    standard_error: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """The units one metric is computed over, by variant; `uncapped` where a cap changed the numbers.

    `arms` holds the third moments and extremes of the linearised metric, for the checks on tails; `buyers` the values
    of the units with a denominator, for the bounds of a ratio; `refused` says why the metric cannot be given as one
    number, and `bands` between which numbers it lies, by variant.
    """

    moments: Mapping[str, Moments]
    cap: Cap | None = None
    uncapped: Mapping[str, Moments] | None = None
    arms: Mapping[str, Arm] = field(default_factory=dict)
    buyers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    refused: str | None = None
    bands: Mapping[str, Band] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """Units by variant, and the population of each metric by its key.

    `quantiles` holds metric key -> variant -> summary; `segments` holds segment -> level -> the Sample of that level.
    """

    units: Mapping[str, int]
    populations: Mapping[str, Population]
    quantiles: Mapping[str, Mapping[str, QuantileSummary]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    segments: Mapping[str, Mapping[str, "Sample"]] = field(default_factory=dict)

    @classmethod
    def of(cls, moments: Mapping[str, Moments], metrics: tuple[Metric, ...]) -> "Sample":
        """One population for every metric: the Moments of all their columns, by variant."""
        missing = {c for m in metrics for c in (*m.columns, *m.covariates)} - _shared_columns(moments)
        if missing:
            raise Invalid.at("columns", f"no {', '.join(sorted(missing))} in the Moments")
        units = {variant: int(m.n) for variant, m in moments.items()}
        return cls(units, {m.key: Population(moments) for m in metrics if m.type != "quantile"})


def _shared_columns(moments: Mapping[str, Moments]) -> set[str]:
    names = [set(m.names) for m in moments.values()]
    return set.intersection(*names) if names else set()
