"""One variant against control on one metric, without what only the planned comparison has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis import lift
from analysis.comparison import effect_of
from analysis.effect import NOTHING, Effect
from analysis.ledger import Bools, Ints, Ledger
from analysis.ledger_sample import moments_of
from analysis.moments import Moments
from experiments.errors import NotEstimable
from experiments.metrics import Metric


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
    ledger: Ledger, values: Ints, metric: Metric, alpha: float, keep: Bools | None = None
) -> Mapping[str, Contrast]:
    """Each variant against control on the mean of one column of the listed units, by variant."""
    found = moments_of(ledger, {metric.numerator: values}, [metric], keep)[metric.key].moments
    control, *others = ledger.variants
    return {v: contrast(metric, (found[control], found[v]), alpha) for v in others}


def of_metric(ledger: Ledger, metric: Metric, alpha: float) -> Mapping[str, Contrast]:
    """Each variant against control on a metric of the per-unit columns, by variant."""
    keep = ~ledger.unpriced if metric.numerator in {"revenue", "net_revenue", "contribution"} else None
    columns = {name: ledger.columns[name] for name in metric.columns}
    found = moments_of(ledger, columns, [metric], keep)[metric.key].moments
    control, *others = ledger.variants
    return {v: contrast(metric, (found[control], found[v]), alpha) for v in others}
