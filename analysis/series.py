"""The effect as it grew: cumulative by day, from one pass over the events, all days estimated at once.

A unit's running total is not additive over days in its squares, so each day's sums are taken over the totals of that
day; nothing is read again for them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis import lift, monitoring
from analysis.analysis_plan import AnalysisPlan
from analysis.effect import Effect
from analysis.ledger import Ints, Ledger, columns
from analysis.ledger_sample import NEEDS_COST, NEEDS_REVENUE
from analysis.moments import Moments
from analysis.monitoring import Observed
from analysis.parts import Day, Point, Series
from analysis.report import MetricResult
from experiments.metrics import MONEY_COLUMNS, Metric
from experiments.moment import DAY, day_date

MOST_POINTS = 120
Floats = NDArray[np.float64]


def daily(ledger: Ledger) -> tuple[Day, ...]:
    """Units that entered on each day."""
    return tuple(
        Day(day_date(ledger.first_day + i).isoformat(), dict(zip(ledger.variants, map(int, row), strict=True)))
        for i, row in enumerate(ledger.entered)
    )


def cumulative(ledger: Ledger, plan: AnalysisPlan, results: Sequence[MetricResult]) -> tuple[Series, ...]:
    """Each metric's effect until the end of each day; the last day is the report's own number."""
    days = _days(ledger)
    if not len(days) or not ledger.entered.sum():
        return ()
    known = {r.metric: r for r in results}
    metrics = [
        m for m in plan.metrics
        if m.type != "quantile" and m.cap is None and not (NEEDS_COST & set(m.columns) and ledger.uncosted.any())
    ]  # fmt: skip
    sums = _Sums.of(ledger, days, sorted({column for m in metrics for column in m.columns}))
    found = []
    for metric in metrics:
        stacks = sums.moments(metric)
        with np.errstate(all="ignore"):  # the first days have no orders to divide by: those points have no number
            estimates = lift.estimate(metric, stacks)
            for i, variant in enumerate(ledger.variants[1:], start=1):
                points = _points(days, lift.difference(estimates, i, alpha=plan.alpha), estimates, i, plan)
                found.append(Series(metric.key, variant, _ending(points, known[metric.key], variant)))
    return tuple(found)


def _days(ledger: Ledger) -> Ints:
    """The days that get a point: all, or every n-th back from the last one where there are many."""
    over = ledger.first_day + len(ledger.entered) - 1 + -(-ledger.window // DAY)  # nothing counts after that
    last = max(min(ledger.until_day, over), ledger.first_day)
    length = last - ledger.first_day + 1
    step = -(-length // MOST_POINTS)
    return np.arange(last, ledger.first_day - 1, -step, dtype=np.int64)[::-1]


class _Sums:
    """Sums and products of the columns by day and variant, in major units, over the totals until that day."""

    def __init__(self, names: Sequence[str], n: Floats, priced: Floats, sums: Floats, gram: Floats) -> None:
        self._names, self._n, self._priced, self._sums, self._gram = list(names), n, priced, sums, gram

    @classmethod
    def of(cls, ledger: Ledger, days: Ints, names: Sequence[str]) -> "_Sums":
        k, v = len(names), len(ledger.variants)
        sums, gram = np.zeros((2, len(days), v, k)), np.zeros((2, len(days), v, k, k))
        scale = np.array([10.0**ledger.places if name in MONEY_COLUMNS else 1.0 for name in names])
        seen = ledger.entered.cumsum(axis=0), ledger.viewed.cumsum(axis=0)
        n, priced = np.zeros((len(days), v)), np.zeros((len(days), v))
        u, bounds = ledger.units, np.searchsorted(ledger.units.variant, np.arange(v + 1))
        for d, day in enumerate(days):
            row = min(int(day) - ledger.first_day, len(ledger.entered) - 1)
            here = u.day <= day
            n[d] = seen[0][row]
            priced[d] = n[d] - np.bincount(u.variant[here & ledger.unpriced], minlength=v)
            told = columns(ledger, ledger.inside & (ledger.events.day <= day))
            told["viewed_offer"] = (u.viewed & here).astype(np.int64)
            x = np.stack([told[name] for name in names], axis=1) / scale
            for i in range(v):
                part = slice(bounds[i], bounds[i + 1])
                for at, some in ((0, x[part]), (1, x[part][~ledger.unpriced[part]])):
                    sums[at, d, i], gram[at, d, i] = some.sum(axis=0), some.T @ some
                if "viewed_offer" in names:
                    j = list(names).index("viewed_offer")
                    idle = seen[1][row][i] - int((u.viewed & here)[part].sum())
                    sums[:, d, i, j] += idle
                    gram[:, d, i, j, j] += idle
        return cls(names, n, priced, sums, gram)

    def moments(self, metric: Metric) -> list[Moments]:
        """The metric's columns by variant, one sample a day."""
        money = int(bool(NEEDS_REVENUE & set(metric.columns)))
        n = self._priced if money else self._n
        return [
            Moments.stacked(self._names, n[:, i], self._sums[money, :, i], self._gram[money, :, i])
            for i in range(n.shape[1])
        ]


def _points(
    days: Ints, reading: lift.Difference, estimates: lift.Estimates, variant: int, plan: AnalysisPlan
) -> list[Point]:
    effect, error = np.asarray(reading.estimate), np.asarray(reading.standard_error)
    units = estimates.units[:, 0] + estimates.units[:, variant]
    usable = np.isfinite(effect) & np.isfinite(error) & (error > 0) & (units > 0)
    bounds = [effect, np.asarray(reading.low), np.asarray(reading.high), error]
    points = []
    for d, day in enumerate(days):
        estimate, below, above, deviation = (_number(x[d], usable[d]) for x in bounds)
        difference = Effect(estimate, below, above, deviation)
        low, high = _at_any_time(difference, estimates, d, variant, plan) if usable[d] else (None, None)
        points.append(Point(day_date(int(day)).isoformat(), int(units[d]), difference, low, high))
    return points


def _at_any_time(
    found: Effect, estimates: lift.Estimates, day: int, variant: int, plan: AnalysisPlan
) -> tuple[float | None, float | None]:
    """The interval that held on that day for everyone who looked then, by the plan's own method."""
    if not plan.monitored or found.estimate is None or found.standard_error is None:
        return None, None
    n_c, n_t = float(estimates.units[day, 0]), float(estimates.units[day, variant])
    value, variance = float(estimates.values[day, 0]), float(estimates.own[day, 0]) * n_c
    seen = Observed(found.estimate, found.standard_error, value, variance, n_c, n_t)
    reading = monitoring.read(plan.monitoring, seen, plan.alpha)
    return reading.low, reading.high


def _number(value: float, usable: bool | np.bool_) -> float | None:
    return float(value) if usable and np.isfinite(value) else None


def _ending(points: Sequence[Point], result: MetricResult, variant: str) -> tuple[Point, ...]:
    """The last point with the report's interval, which for proportions is a better one."""
    c = result.comparison(variant)
    low, high = (c.sequential.low, c.sequential.high) if c.sequential else (None, None)
    return (*points[:-1], replace(points[-1], difference=c.difference, always_low=low, always_high=high))
