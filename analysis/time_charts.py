"""Pictures of what happened when: the effect as it grew, units by day, the effect by day since entry. As charts.py."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from analysis.charts import DAY_WIDTH, INK, drawn, dressed, inlined
from analysis.parts import Day, Series, SinceEntry

_HEIGHT = 150


def cumulative_svg(series: Series, title: str, tick_format: str) -> str:
    """The difference until each day: a line, the interval of a single look dark, the always-valid one light."""
    rows = [
        {
            "day": p.day, "estimate": p.difference.estimate, "low": p.difference.low, "high": p.difference.high,
            "always_low": p.always_low, "always_high": p.always_high,
        }
        for p in series.points
        if p.difference.estimate is not None and p.difference.low is not None
    ]  # fmt: skip
    if len(rows) < 2:
        return ""
    wide, settled = _domain(rows), rows[len(rows) // 3 :]
    low, high = _domain(settled) if settled else wide  # the first days' intervals would flatten all the others
    whole = alt.Chart(alt.InlineData(values=rows))
    x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=5, labelOverlap=True, grid=False))
    scale = alt.Scale(domain=[low, high], nice=False, zero=False, clamp=True)
    y = alt.Axis(title=title, format=tick_format, tickCount=4)
    layers: list[Any] = []
    if any(row["always_low"] is not None for row in rows):
        band = whole.transform_filter("isValid(datum.always_low)").mark_area(color=INK, opacity=0.12)
        layers.append(band.encode(x=x, y=alt.Y("always_low:Q", scale=scale, axis=y), y2="always_high:Q"))
    inner = whole.mark_area(color=INK, opacity=0.22)
    layers.append(inner.encode(x=x, y=alt.Y("low:Q", scale=scale, axis=y), y2="high:Q"))
    line = whole.mark_line(color=INK, strokeWidth=2, clip=True)
    layers.append(line.encode(x=x, y=alt.Y("estimate:Q", scale=scale, axis=y)))
    return _finished(layers, scale, f"Cumulative effect of {series.variant} on {series.metric}")


def daily_svg(days: Sequence[Day], title: str) -> str:
    """Units that entered on each day, all variants together."""
    rows = [{"day": d.day, "units": sum(d.units.values())} for d in days]
    if len(rows) < 2:
        return ""
    x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=5, labelOverlap=True, grid=False))
    y = alt.Y("units:Q", axis=alt.Axis(title=title, format=",.0f", tickCount=4))
    bars = alt.Chart(alt.InlineData(values=rows)).mark_bar(color=INK, opacity=0.55, width={"band": 0.8})
    chart = bars.encode(x=alt.X("day:O", title=None, axis=alt.Axis(labels=len(rows) <= 10, ticks=False)), y=y)
    if len(rows) > 10:
        thin = max(2, DAY_WIDTH // len(rows) - 2)
        chart = alt.Chart(alt.InlineData(values=rows)).mark_bar(color=INK, opacity=0.55, size=thin).encode(x=x, y=y)
    finished = dressed(chart.properties(width=DAY_WIDTH, height=_HEIGHT, background="transparent"))
    return inlined(drawn(finished), "Units that entered on each day", DAY_WIDTH)


def since_svg(found: SinceEntry, title: str, tick_format: str) -> str:
    """The effect on each day since entry with its interval."""
    rows = [
        {"day": p.day + 1, "estimate": p.difference.estimate, "low": p.difference.low, "high": p.difference.high}
        for p in found.points
        if p.difference.estimate is not None and p.difference.low is not None
    ]
    if len(rows) < 2:
        return ""
    low, high = _domain(rows)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    whole = alt.Chart(alt.InlineData(values=rows))
    x = alt.X("day:Q", title="day since entry", scale=alt.Scale(nice=False, padding=8),
              axis=alt.Axis(format="d", tickMinStep=1, grid=False))  # fmt: skip
    y = alt.Y("low:Q", scale=scale, axis=alt.Axis(title=title, format=tick_format, tickCount=4))
    bars = whole.mark_rule(color=INK, strokeWidth=3, opacity=0.45).encode(x=x, y=y, y2="high:Q")
    points = whole.mark_point(size=45, stroke=INK, fill=INK, opacity=1).encode(x=x, y=alt.Y("estimate:Q", scale=scale))
    return _finished([bars, points], scale, f"Effect of {found.variant} on {found.metric} by day since entry")


def _domain(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    names = ("low", "high", "always_low", "always_high")
    ends = [0.0, *(row[name] for row in rows for name in names if row.get(name) is not None)]
    room = (max(ends) - min(ends) or 1.0) * 0.06
    return min(ends) - room, max(ends) + room


def _finished(layers: list[Any], scale: alt.Scale, said: str) -> str:
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(strokeDash=[3, 3], color=INK, opacity=0.7)
    layers.append(zero.encode(y=alt.Y("zero:Q", scale=scale)))
    chart = alt.layer(*layers).properties(width=DAY_WIDTH, height=_HEIGHT, background="transparent")
    return inlined(drawn(dressed(chart)), said, DAY_WIDTH)
