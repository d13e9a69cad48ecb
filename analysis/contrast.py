"""One variant against control on one metric, without what only the planned comparison has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis import lift
from analysis.comparison import effect_of
from analysis.effect import NOTHING, Effect
from analysis.ledger import Bools, Ints, Ledger
from analysis.ledger_sample import moments_of
from analysis.moments import Moments
from experiments.errors import NotEstimable
from experiments.metrics import MONEY_COLUMNS, Metric


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference with its interval and p-value, the lift beside it, and the units of both sides."""

    difference: Effect
    lift: Effect
    p_value: float | None
    units: int
    control_units: int

    def shows(self, alpha: float) -> int:
        """1 where the difference is shown to be above 0, -1 where below, else 0."""
        if self.p_value is None or self.p_value >= alpha or self.difference.estimate is None:
            return 0
        return 1 if self.difference.estimate > 0 else -1


def contrast(metric: Metric, pair: Sequence[Moments], alpha: float) -> Contrast:
    """The treatment, second of the pair, less control; where it cannot be estimated the reason stands in the effect."""
    units = int(pair[1].n), int(pair[0].n)
    try:
        estimates = lift.estimate(metric, list(pair))
        reading = lift.difference(estimates, 1, alpha=alpha)
        effect = effect_of(reading)
        if not (effect.standard_error or 0.0) > 0:
            still = Effect(effect.estimate, None, None, 0.0, "the units of a variant are all alike")
            return Contrast(still, NOTHING, None, *units)
        bounds = lift.lift(estimates, 1, alpha=alpha)
    except NotEstimable as error:
        return Contrast(Effect(None, None, None, None, error.message), NOTHING, None, *units)
    try:
        ratio = Effect(lift.relative(estimates, 1), bounds.low, bounds.high, None, bounds.reason)
    except NotEstimable as error:
        ratio = Effect(None, None, None, None, error.message)
    return Contrast(effect, ratio, float(reading.p_value), *units)


def of_column(
    ledger: Ledger, values: Ints, metric: Metric, alpha: float, keep: Bools | None = None,
    variants: Sequence[str] | None = None,
) -> Mapping[str, Contrast]:  # fmt: skip
    """Each variant, or each of some, against control on the mean of one column of the listed units, by variant."""
    busy = values != 0
    at = np.flatnonzero(busy if keep is None else busy & keep)
    return of_units(ledger, at, {metric.numerator: values[at]}, _units(ledger, keep), metric, alpha, variants)


def of_metric(ledger: Ledger, metric: Metric, alpha: float) -> Mapping[str, Contrast]:
    """Each variant against control on a metric of the per-unit columns, by variant."""
    keep = ~ledger.unpriced if metric.numerator in {"revenue", "net_revenue", "contribution"} else None
    columns = {name: ledger.columns[name] for name in metric.columns}
    if metric.cap is None and "viewed_offer" not in columns:
        at = np.arange(len(ledger.units)) if keep is None else np.flatnonzero(keep)
        some = {name: values[at] for name, values in columns.items()}
        return of_units(ledger, at, some, _units(ledger, keep), metric, alpha)
    found = moments_of(ledger, columns, [metric], keep)[metric.key].moments
    control, *others = ledger.variants
    return {v: contrast(metric, (found[control], found[v]), alpha) for v in others}


def of_units(
    ledger: Ledger, at: Ints, columns: Mapping[str, Ints], units: Ints, metric: Metric, alpha: float,
    variants: Sequence[str] | None = None,
) -> Mapping[str, Contrast]:  # fmt: skip
    """Each variant against control on columns of the listed units `at`, ascending; the other `units` have 0 in them."""
    control, *others = ledger.variants if variants is None else (ledger.variants[0], *variants)
    ends = np.searchsorted(ledger.units.variant[at], np.arange(len(ledger.variants) + 1))
    scales = {name: ledger.places if name in MONEY_COLUMNS else 0 for name in columns}

    def moments(variant: str) -> Moments:
        i = ledger.variants.index(variant)
        part = slice(ends[i], ends[i + 1])
        idle = int(units[i]) - int(ends[i + 1] - ends[i])
        return Moments.from_rows({name: values[part] for name, values in columns.items()}, scales, idle=idle)

    against = moments(control)
    return {v: contrast(metric, (against, moments(v)), alpha) for v in others}


def _units(ledger: Ledger, keep: Bools | None) -> Ints:
    """How many units count, by variant: all but the listed ones that are not kept."""
    if keep is None:
        return ledger.totals
    return ledger.totals - np.bincount(ledger.units.variant[~keep], minlength=len(ledger.variants))
