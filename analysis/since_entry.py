"""The effect by day since entry: does it last, or is tomorrow's order only brought forward?"""

import numpy as np

from analysis.contrast import Contrast, of_column
from analysis.effect import NOTHING
from analysis.ledger import Bools, Ledger, columns
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
    shares = [int(_had(ledger, k).entered.sum()) / total if total else 0.0 for k in range(1, most + 1)]
    days = sum(share >= ENOUGH for share in shares)
    if not days:
        return ()
    by_day = [_over(ledger, metric, k, k + 1, alpha) for k in range(days)]
    half = (days + 1) // 2
    settled = _had(ledger, days)
    early, late, whole = (
        _over(settled, metric, a, b, alpha, cut=False) for a, b in ((0, half), (half, days), (0, days))
    )
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


def _had(ledger: Ledger, days: int) -> Ledger:
    """The units for which so many days are over, whatever hour they entered."""
    rows = np.arange(len(ledger.entered)) + ledger.first_day + days < ledger.until_day
    keep: Bools = rows[ledger.units.day - ledger.first_day]
    return ledger.only(keep, ledger.entered * rows[:, None], ledger.viewed * rows[:, None])


def _over(ledger: Ledger, metric: Metric, first: int, last: int, alpha: float, cut: bool = True) -> dict[str, Contrast]:
    """The effect from day `first` to before day `last` since entry."""
    some = _had(ledger, last) if cut else ledger
    then = some.inside & (some.events.since >= first * DAY) & (some.events.since < last * DAY)
    return dict(of_column(some, columns(some, then)[metric.numerator], metric, alpha, ~some.unpriced))
