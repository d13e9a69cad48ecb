"""A metric tried on what visitors did lately: its value, its spread, and the effect that weeks of it could show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from analysis.history import baseline
from analysis.ledger import Ledger
from analysis.ledger_sample import sample_of
from analysis.power import Baseline, Design, equal_shares, mde
from experiments.errors import NotEstimable
from experiments.metrics import MONEY_COLUMNS, Metric, Unit
from experiments.wording import plain

WEEKS = (2, 4, 8)
TOP = 5
DESIGN = Design(shares=equal_shares(2), alpha=0.05, monitoring="sequential")
"""What a new experiment has: two equal variants, 95%, read at any time."""


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest effect found with 80% power after so many weeks, as a difference and as a lift; None where none."""

    weeks: int
    units: int
    difference: float | None
    lift: float | None


@dataclass(frozen=True, slots=True)
class MetricPreview:
    """A metric over units that entered an experiment lately and met its control; money in major units.

    `zeros` is the share of the units whose numerator is 0, `top` the largest numerators, `cap` the value to which
    larger ones are cut. `sampled` says what was left out to be done in time, and `reason` why there is no value.
    """

    metric: str
    unit: Unit
    experiment: str
    variant: str
    since: str
    until: str
    window_days: int
    units: int
    value: float | None = None
    standard_deviation: float | None = None
    zeros: float | None = None
    top: tuple[float, ...] = ()
    cap: float | None = None
    capped_units: int | None = None
    units_a_day: float = 0.0
    detectable: tuple[Detectable, ...] = ()
    sampled: str | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dict(msgspec.to_builtins(self, enc_hook=plain))


@dataclass(frozen=True, slots=True)
class Looked:
    """Where a preview was taken: which experiment's control, between which moments, and what was left out."""

    experiment: str
    since: str
    until: str
    window_days: int
    units_a_day: float
    sampled: str | None = None


def preview(metric: Metric, ledger: Ledger, looked: Looked) -> MetricPreview:
    """The metric over the ledger's only variant; what cannot be estimated has its reason."""
    (variant,) = ledger.variants
    numerator = ledger.columns[metric.numerator]
    if metric.numerator == "viewed_offer":  # who saw the offer and did nothing else is counted, and not listed
        above, largest = int(ledger.viewed.sum()), np.ones(min(TOP, int(ledger.viewed.sum())))
    else:
        above = int(np.count_nonzero(numerator))
        positive = np.sort(numerator[numerator > 0])[::-1][:TOP]
        largest = positive / (10**ledger.places if metric.numerator in MONEY_COLUMNS else 1)
    units = int(ledger.totals[0])
    found = MetricPreview(
        metric.key, metric.unit, looked.experiment, variant, looked.since, looked.until, looked.window_days, units,
        zeros=1 - above / units if units else None, top=tuple(map(float, largest)), units_a_day=looked.units_a_day,
        sampled=looked.sampled,
    )  # fmt: skip
    population = sample_of(ledger, [metric]).populations[metric.key]
    if population.refused is not None:
        return replace(found, reason=population.refused)
    try:
        measured = baseline(metric, population.moments[variant])
    except NotEstimable as refusal:
        return replace(found, reason=refusal.message)
    cap = population.cap
    return replace(
        found, value=measured.value, standard_deviation=measured.standard_deviation,
        cap=None if cap is None else cap.value, capped_units=None if cap is None else cap.capped_units.get(variant, 0),
        detectable=tuple(_detectable(measured, looked.units_a_day, WEEKS)),
    )  # fmt: skip


def _detectable(measured: Baseline, units_a_day: float, weeks: Sequence[int]) -> list[Detectable]:
    found = []
    for week in weeks:
        units = int(units_a_day * 7 * week)
        smallest = None
        if units >= 2:
            try:
                smallest = mde(measured, units, DESIGN)
            except NotEstimable:
                smallest = None
        lift = None if smallest is None else measured.lift(smallest)
        found.append(Detectable(week, units, smallest, lift))
    return found
