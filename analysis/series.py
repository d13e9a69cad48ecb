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
from analysis.ledger import Bools, Ints, Ledger
from analysis.ledger_sample import NEEDS_COST, NEEDS_REVENUE
from analysis.moments import Moments
from analysis.monitoring import Observed
from analysis.parts import Day, Point, Series
from analysis.report import MetricResult
from analysis.running import Running
from experiments.metrics import Metric
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
    sums = Running.of(ledger, days, sorted({column for m in metrics for column in m.columns}))
    found = []
    for metric in metrics:
        stacks = _moments(sums, metric)
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


def _moments(sums: Running, metric: Metric) -> list[Moments]:
    """The metric's columns by variant, one sample a day."""
    money = int(bool(NEEDS_REVENUE & set(metric.columns)))
    n = sums.priced if money else sums.n
    return [
        Moments.stacked(sums.names, n[:, i], sums.sums[money, :, i], sums.gram[money, :, i]) for i in range(n.shape[1])
    ]


def _points(
    days: Ints, reading: lift.Difference, estimates: lift.Estimates, variant: int, plan: AnalysisPlan
) -> list[Point]:
    effect, error = np.asarray(reading.estimate), np.asarray(reading.standard_error)
    units = estimates.units[:, 0] + estimates.units[:, variant]
    usable = np.isfinite(effect) & np.isfinite(error) & (error > 0) & (units > 0)
    bounds = [effect, np.asarray(reading.low), np.asarray(reading.high), error]
    always = _at_any_time(effect, error, usable, estimates, variant, plan)
    points = []
    for d, day in enumerate(days):
        estimate, below, above, deviation = (_number(x[d], usable[d]) for x in bounds)
        difference = Effect(estimate, below, above, deviation)
        points.append(Point(day_date(int(day)).isoformat(), int(units[d]), difference, *always[d]))
    return points


def _at_any_time(
    effect: Floats, error: Floats, usable: Bools, estimates: lift.Estimates, variant: int, plan: AnalysisPlan
) -> list[tuple[float | None, float | None]]:
    """The interval that held on each day for everyone who looked then, by the plan's own method."""
    found: list[tuple[float | None, float | None]] = [(None, None)] * len(effect)
    days = np.flatnonzero(usable)
    if not plan.monitored or not len(days):
        return found
    control = estimates.units[days, 0]
    seen = [
        Observed(*map(float, looked))
        for looked in zip(
            effect[days], error[days], estimates.values[days, 0], estimates.own[days, 0] * control, control,
            estimates.units[days, variant], strict=True,
        )
    ]  # fmt: skip
    for day, bounds in zip(days, monitoring.intervals(plan.monitoring, seen, plan.alpha), strict=True):
        found[day] = bounds
    return found


def _number(value: float, usable: bool | np.bool_) -> float | None:
    return float(value) if usable and np.isfinite(value) else None


def _ending(points: Sequence[Point], result: MetricResult, variant: str) -> tuple[Point, ...]:
    """The last point with the report's interval, which for proportions is a better one."""
    c = result.comparison(variant)
    low, high = (c.sequential.low, c.sequential.high) if c.sequential else (None, None)
    return (*points[:-1], replace(points[-1], difference=c.difference, always_low=low, always_high=high))
