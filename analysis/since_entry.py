"""The effect by day since entry: does it last, or is tomorrow's order only brought forward?"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from analysis.contrast import Contrast, of_units
from analysis.effect import NOTHING
from analysis.ledger import Bools, Ints, Ledger, columns
from analysis.ledger_sample import NEEDS_COST
from analysis.parts import SinceEntry, SincePoint
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import DAY

MOST_DAYS = 90
ENOUGH = 0.2
"""Share of the units that must have had the days which are compared with each other."""


def since_entry(ledger: Ledger, primary: Metric, alpha: float) -> tuple[SinceEntry, ...]:
    """Each variant's effect on each day since entry, over the units that have had that day; empty without one."""
    metric = primary if primary.type == "mean" else BUILT_IN["revenue_per_visitor"]
    if NEEDS_COST & set(metric.columns) and ledger.uncosted.any():
        metric = BUILT_IN["revenue_per_visitor"]
    most = min(ledger.window // DAY, MOST_DAYS)
    total = int(ledger.entered.sum())
    shares = [int(_had(ledger, k).sum()) / total if total else 0.0 for k in range(1, most + 1)]
    days = sum(share >= ENOUGH for share in shares)
    if not days:
        return ()
    by_day = [_over(ledger, metric, k, k + 1, alpha, k + 1) for k in range(days)]
    half = (days + 1) // 2
    early, late, whole = (_over(ledger, metric, a, b, alpha, days) for a, b in ((0, half), (half, days), (0, days)))
    return tuple(
        SinceEntry(
            metric.key, variant,
            tuple(SincePoint(k, of[variant].units + of[variant].control_units, of[variant].difference)
                  for k, of in enumerate(by_day)),
            early[variant].difference, late[variant].difference if days > 1 else NOTHING, whole[variant].difference,
            early[variant].p_value, late[variant].p_value if days > 1 else None,
        )
        for variant in ledger.variants[1:]
    )  # fmt: skip


def _had(ledger: Ledger, days: int) -> Ints:
    """Units by day of entry and variant for which so many days are over, whatever hour they entered."""
    return ledger.entered * _over_by(ledger, days)[:, None]


def _over_by(ledger: Ledger, days: int) -> Bools:
    """The days of entry after which so many are over."""
    return np.asarray(np.arange(len(ledger.entered)) + ledger.first_day + days < ledger.until_day)


def _over(
    ledger: Ledger, metric: Metric, first: int, last: int, alpha: float, had: int
) -> Mapping[str, Contrast]:  # fmt: skip
    """The effect from day `first` to before day `last` since entry, over the units that have had so many days."""
    e, u = ledger.events, ledger.units
    there = _over_by(ledger, had)[u.day - ledger.first_day]
    keep = there & ~ledger.unpriced
    then = np.flatnonzero(ledger.inside & (e.since >= first * DAY) & (e.since < last * DAY) & keep[e.unit])
    units = _had(ledger, had).sum(axis=0)
    units -= np.bincount(u.variant[there & ledger.unpriced], minlength=len(ledger.variants))
    at, place = np.unique(e.unit[then], return_inverse=True)
    did = replace(ledger, units=u.at(at), events=replace(e.at(then, np.arange(len(u))), unit=place))
    values = columns(did)[metric.numerator]
    return of_units(ledger, at, {metric.numerator: values}, units, metric, alpha)
