"""A/A and A/B tests through the same code that reads real ones: what it said, against what was true."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from analysis.analysis_plan import AnalysisPlan
from analysis.moments import Moments
from analysis.reading import analyze_sample
from analysis.report import Comparison, Report
from analysis.sample import Sample
from analysis.shoppers import Influence
from experiments.errors import Invalid
from experiments.metrics import Metric

METRICS = (
    Metric("conversion", "proportion", "converted"),
    Metric("revenue", "mean", "revenue"),
    Metric("aov", "ratio", "revenue", "orders"),
)

Draw = Callable[[Generator, int, Influence | None], Mapping[str, NDArray[np.float64]]]
"""So many visitors of a made-up shop, or of a real one's past: converted, orders, revenue."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One metric over all runs and variants: how often it was called, how often its interval held the truth.

    Shares are of the comparisons that could be estimated; None where there was none (or no sequence was asked for).
    `called_by_any` is the share of runs in which some variant's adjusted p-value was below alpha: in an A/A test the
    family-wise error. `errors` are the Monte Carlo standard errors of those shares, over runs.
    """

    metric: str
    comparisons: int
    estimable: int
    called: float | None
    called_by_any: float | None
    covered: float | None
    called_at_any_time: float | None
    mean_lift: float | None
    true_lift: float = 0.0
    errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What so many runs said: by metric, and the share of runs with a sample ratio alarm."""

    runs: int
    srm_alarms: float
    metrics: tuple[Verified, ...]


def simulate(
    draw: Draw, influence: Influence, units: Sequence[int], runs: int, rng: Generator, plan: AnalysisPlan
) -> Simulated:
    """Draw and analyse `runs` experiments with these units by variant, control first; the others get the influence."""
    if len(units) < 2 or min(units) < 1:
        raise Invalid.at("units", "control and at least one variant need units")
    if not 1 <= runs <= 100_000:
        raise Invalid.at("runs", f"{runs} is not between 1 and 100,000")
    reports = list(_reports(draw, influence, units, runs, rng, plan))
    alarms = float(np.mean([any(c.check == "srm" and c.status == "fail" for c in r.checks) for r in reports]))
    lifts = influence.lifts
    return Simulated(
        runs, alarms, tuple(_verified(m, i, lifts[m.key], reports, plan) for i, m in enumerate(plan.metrics))
    )


def simulation_plan(units: Sequence[int], **options: object) -> AnalysisPlan:
    """The plan that reads a simulated experiment: conversion, revenue per visitor, AOV; weights as the units are."""
    weights = {variant: float(n) for variant, n in zip(names(len(units)), units, strict=True)}
    return AnalysisPlan(METRICS, "control", weights=weights, **options)  # type: ignore[arg-type]  # checked there


def names(variants: int) -> tuple[str, ...]:
    """Control and its variants by number."""
    return ("control", *(f"variant {i}" for i in range(1, variants)))


def _reports(
    draw: Draw, influence: Influence, units: Sequence[int], runs: int, rng: Generator, plan: AnalysisPlan
) -> Iterator[Report]:
    total = sum(units)
    share = np.array(units) / total
    for _ in range(runs):
        arrived = rng.multinomial(total, share)  # the split is drawn too: it is part of the experiment
        moments = {
            variant: Moments.from_rows(draw(rng, int(n), influence if variant != "control" else None))
            for variant, n in zip(names(len(units)), arrived, strict=True)
        }
        yield analyze_sample(Sample.of(moments, plan.metrics), plan)


def _verified(metric: Metric, index: int, truth: float, reports: Sequence[Report], plan: AnalysisPlan) -> Verified:
    by_run = [report.metrics[index].comparisons for report in reports]
    read = [[c for c in comparisons if c.p_value is not None] for comparisons in by_run]
    families = [[c.p_value_adjusted for c in comparisons if c.p_value_adjusted is not None] for comparisons in by_run]
    any_time = [
        [c.sequential.p_value for c in run if c.sequential and c.sequential.p_value is not None] for run in read
    ]
    shares = {
        "called": _share([[(c.p_value or 0.0) < plan.alpha for c in run] for run in read]),
        "called_by_any": _share([[min(family) < plan.alpha] for family in families if family]),
        "covered": _share([[_holds(c, truth) for c in run] for run in read]),
        "called_at_any_time": _share([[p < plan.alpha for p in run] for run in any_time]),
        "mean_lift": _share([[c.lift.estimate for c in run if c.lift.estimate is not None] for run in read]),
    }
    return Verified(
        metric.key, sum(map(len, by_run)), sum(map(len, read)),
        **{name: found[0] if found else None for name, found in shares.items()},
        true_lift=truth, errors={name: found[1] for name, found in shares.items() if found},
    )  # fmt: skip


def _share(by_run: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """The mean over all comparisons, and its standard error: those of one run share their control."""
    sums = np.array([(sum(run), len(run)) for run in by_run if run], dtype=np.float64)
    if not len(sums):
        return None
    mean = float(sums[:, 0].sum() / sums[:, 1].sum())
    residual = sums[:, 0] - mean * sums[:, 1]
    runs = len(sums)
    error = math.sqrt(float(residual @ residual) * runs / max(runs - 1, 1)) / float(sums[:, 1].sum())
    return mean, error


def _holds(comparison: Comparison, truth: float) -> bool:
    """Whether the lift's interval holds the truth; an unbounded side holds all on it."""
    low, high = comparison.lift.low, comparison.lift.high
    return (low is None or low <= truth) and (high is None or truth <= high)
