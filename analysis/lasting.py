"""Does it last? What those who have the shipped winner do against the holdback, span by span since the shipping.

A span counts what was done in it by all who had entered by its end. Its lift is comparable with the one that was
shipped by, as visitors who do not come back add nothing to either side of the ratio; its difference per visitor is not.
"""

import numpy as np

from analysis.contrast import Contrast, contrast
from analysis.effect import NOTHING, Effect
from analysis.lasted import Lasting, Lasts, Shipped, Span
from analysis.ledger import ORDER, REFUND, Ints, Ledger, columns
from analysis.ledger_sample import NEEDS_COST, NEEDS_REVENUE, moments_of
from analysis.tables import signed_percent
from experiments.holdback import MARKS
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import day_date

SEEN_ONLY = frozenset({"viewed_offer", "accepted", "dismissed"})
"""Columns that a holdback cannot have: it is shown no offer."""


def lasting(ledger: Ledger, primary: Metric, shipped: Shipped, alpha: float) -> Lasting:
    """The spans until each mark, each with its interval for a single look at it."""
    metric = _readable(ledger, primary)
    by = shipped.lifts.get(metric.key, NOTHING)
    done = _days_done(ledger)
    spans = tuple(
        _span(ledger, metric, shipped, (first, last), by, alpha, done)
        for first, last in zip((0, *MARKS), MARKS, strict=False)
    )
    reading, sentence = _whole(metric, by, spans)
    return Lasting(metric.key, shipped.variant, by, spans, reading, sentence)


def _readable(ledger: Ledger, primary: Metric) -> Metric:
    """The primary metric, or revenue where one span of it cannot be read."""
    used = set(primary.columns)
    unknown = primary.type == "quantile" or used & SEEN_ONLY or not used <= ledger.columns.keys()
    if unknown or (NEEDS_COST & used and ledger.uncosted.any()):
        return BUILT_IN["revenue_per_visitor"]
    return primary


def _days_done(ledger: Ledger) -> Ints:
    """The calendar day of each event; a refund counts with its order, whenever it arrives."""
    e = ledger.events
    days = e.day.copy()
    placed = np.full(int(e.order.max(initial=-1)) + 1, -1, dtype=np.int64)
    orders = (e.kind == ORDER) & (e.order >= 0)
    placed[e.order[orders]] = e.day[orders]
    refunds = (e.kind == REFUND) & (e.order >= 0)
    of_order = placed[e.order[refunds]]
    days[refunds] = np.where(of_order >= 0, of_order, days[refunds])
    return days


def _span(
    ledger: Ledger, metric: Metric, shipped: Shipped, days: tuple[int, int], by: Effect, alpha: float, done: Ints
) -> Span:
    first, end = shipped.day + days[0], shipped.day + days[1]
    dates = day_date(first).isoformat(), day_date(end - 1).isoformat()
    over = ledger.until_day >= end
    found = None if ledger.until_day < first else _did(ledger, metric, shipped.variant, (first, end), alpha, done)
    if found is None:
        return Span(days[0] + 1, days[1], *dates, over, 0, 0, NOTHING, NOTHING, None, "not_known")
    reading = _reading(found.lift, by, metric) if over else "not_known"
    return Span(
        days[0] + 1, days[1], *dates, over, found.units, found.control_units, found.difference, found.lift,
        found.p_value, reading,
    )  # fmt: skip


def _did(
    ledger: Ledger, metric: Metric, variant: str, days: tuple[int, int], alpha: float, done: Ints
) -> Contrast | None:
    """The metric over the events of those days, of the units that had entered before they ended."""
    rows = np.arange(len(ledger.entered)) + ledger.first_day < days[1]
    keep = rows[ledger.units.day - ledger.first_day]
    inside = (done >= days[0]) & (done < days[1]) & keep[ledger.events.unit]
    had = ledger.only(keep, ledger.entered * rows[:, None], ledger.viewed * rows[:, None])
    if variant not in had.variants or not had.totals.sum():
        return None
    told = columns(had, had.inside & inside[keep[ledger.events.unit]])
    priced = ~had.unpriced if NEEDS_REVENUE & set(metric.columns) else None
    found = moments_of(had, {name: told[name] for name in metric.columns}, [metric], priced)[metric.key].moments
    return contrast(metric, (found[had.variants[0]], found[variant]), alpha)


def _reading(lift: Effect, by: Effect, metric: Metric) -> Lasts:
    """Faded: shown to be below all that it was shipped by, or below nothing; lasts: shown to be above nothing.

    Where the interval that it was shipped by holds the truth, "faded" is wrong at most alpha / 2 of the time.
    """
    low, high = _good_way(lift, metric)
    floor = _good_way(by, metric)[0]
    if high is not None and high < max(floor or 0.0, 0.0):
        return "faded"
    return "lasts" if low is not None and low > 0 else "not_known"


def _good_way(effect: Effect, metric: Metric) -> tuple[float | None, float | None]:
    """The interval with more as the better, which for a refund rate is its mirror image."""
    if metric.direction == "increase":
        return effect.low, effect.high
    return (None if effect.high is None else -effect.high), (None if effect.low is None else -effect.low)


def _whole(metric: Metric, by: Effect, spans: tuple[Span, ...]) -> tuple[Lasts, str]:
    """What the last span that is over says."""
    over = [span for span in spans if span.over]
    if not over:
        return "not_known", f"Not yet known: the first {spans[0].last_day} days end with {spans[0].ends}."
    last = over[-1]
    when = f"in days {last.first_day} to {last.last_day} after the shipping"
    if last.lift.estimate is None:
        return "not_known", f"Not yet known: {when} {metric.key} has no lift: {last.lift.reason or 'nothing was done'}."
    now = _ends(last.lift)
    then = "what it was before is not known" if by.estimate is None else f"it was shipped by {_ends(by)}"
    if last.reading == "lasts":
        return "lasts", f"It lasts: {when} {metric.key} is {now} against the holdback; {then}."
    if last.reading == "faded":
        return "faded", f"It has faded: {when} {metric.key} is {now} against the holdback; {then}."
    return "not_known", f"Not yet known: {when} {metric.key} is {now} against the holdback; {then}."


def _ends(lift: Effect) -> str:
    return f"{signed_percent(lift.estimate)} ({signed_percent(lift.low)} to {signed_percent(lift.high)})"
