"""Pictures of what happened when: the effect as it grew, units by day, the effect by day since entry. As charts.py."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.drawing import ENGLISH, INK, Locale, Specification, drawn, dressed, inlined, printable, widened, zero
from analysis.effect import Effect, finite
from analysis.parts import Day, Series, SinceEntry

_WIDTH = 300
_HEIGHT = 150
_FEW = 10  # days, each of which has a bar's room and its name
_NAMES = {"labelOverlap": True, "labelSeparation": 10}  # days' names give way, even in a page's wider font
_BESIDE = "the table beside it has the same numbers"


def cumulative_svg(series: Series, title: str, tick_format: str, said: str = "", locale: Locale = ENGLISH) -> str:
    """The picture of `cumulative` as SVG, `said` to who cannot see it; empty where there is nothing to draw."""
    picture = cumulative(series, title, tick_format, locale)
    return _inlined(picture, said or f"Cumulative effect of {series.variant} on {series.metric}: {_BESIDE}")


def daily_svg(days: Sequence[Day], title: str, said: str = "", locale: Locale = ENGLISH) -> str:
    """The picture of `daily` as SVG, `said` to who cannot see it; empty where there is nothing to draw."""
    return _inlined(daily(days, title, locale), said or f"Units that entered on each day: {_BESIDE}")


def since_svg(
    found: SinceEntry, title: str, tick_format: str, said: str = "", locale: Locale = ENGLISH,
    days: str = "day since entry",
) -> str:  # fmt: skip
    """The picture of `since` as SVG, `said` to who cannot see it; empty where there is nothing to draw."""
    picture = since(found, title, tick_format, locale, days)
    return _inlined(picture, said or f"Effect of {found.variant} on {found.metric} by day since entry: {_BESIDE}")


def cumulative(series: Series, title: str, tick_format: str, locale: Locale = ENGLISH) -> Specification | None:
    """The difference until each day: a line, the interval of a single look dark, the always-valid one light."""
    rows = [
        _row(p.day, p.difference) | {"always_low": finite(p.always_low), "always_high": finite(p.always_high)}
        for p in series.points
        if _drawable(p.difference)
    ]
    if len(rows) < 2:
        return None
    domain = _domain(rows[len(rows) // 3 :])  # the first days' intervals would flatten all the others
    rows = [_closed(_closed(row, domain, "low", "high"), domain, "always_low", "always_high") for row in rows]
    scale = {"domain": domain, "nice": False, "zero": False, "clamp": True}
    across = {"x": _calendar(locale)}
    axis = {"title": printable(title), "format": tick_format, "tickCount": 4}
    band = _interval("area", "always_low", "always_high", scale, axis, across, opacity=0.12)
    lookable = [{**band, "transform": [{"filter": "isValid(datum.always_low)"}]}]
    estimate = {"field": "estimate", "type": "quantitative", "scale": scale, "axis": axis}
    layers = [
        *(lookable if any(row["always_low"] is not None for row in rows) else []),
        _interval("area", "low", "high", scale, axis, across, opacity=0.22),
        {
            "mark": {"type": "line", "color": INK, "strokeWidth": 2, "clip": True},
            "encoding": {**across, "y": estimate},
        },
        zero({"y": {"field": "zero", "type": "quantitative", "scale": scale}}),
    ]
    return dressed({"data": {"values": rows}, "layer": layers}, _WIDTH, _HEIGHT, locale)


def daily(days: Sequence[Day], title: str, locale: Locale = ENGLISH) -> Specification | None:
    """Units that entered on each day, all variants together."""
    rows = [{"day": d.day, "units": sum(d.units.values())} for d in days]
    if len(rows) < 2:
        return None
    bar: dict[str, Any] = {"type": "bar", "color": INK, "opacity": 0.55}
    if len(rows) > _FEW:
        x = _calendar(locale)
        bar["size"] = max(2, _WIDTH // len(rows) - 2)
    else:
        said = f"utcFormat(toDate(datum.value), {json.dumps(locale.day)})"
        axis = {"labelExpr": said, "labelAngle": 0, **_NAMES, "ticks": False}
        x = {"field": "day", "type": "ordinal", "title": None, "axis": axis}
        bar["width"] = {"band": 0.8}
    y = {
        "field": "units",
        "type": "quantitative",
        "axis": {"title": printable(title), "format": ",.0f", "tickCount": 4},
    }
    picture = {"data": {"values": rows}, "mark": bar, "encoding": {"x": x, "y": y}}
    return dressed(picture, _WIDTH, _HEIGHT, locale)


def since(
    found: SinceEntry, title: str, tick_format: str, locale: Locale = ENGLISH, days: str = "day since entry"
) -> Specification | None:
    """The effect on each day since entry with its interval; `days` names the axis of days."""
    rows = [_row(p.day + 1, p.difference) for p in found.points if _drawable(p.difference)]
    if len(rows) < 2:
        return None
    domain = _domain(rows)
    rows = [_closed(row, domain, "low", "high") for row in rows]
    scale = {"domain": domain, "nice": False, "zero": False}
    across = {
        "x": {
            "field": "day", "type": "quantitative", "title": days, "scale": {"nice": False, "padding": 8},
            "axis": {"format": "d", "tickMinStep": 1, "grid": False},
        }
    }  # fmt: skip
    axis = {"title": printable(title), "format": tick_format, "tickCount": 4}
    estimate = {"field": "estimate", "type": "quantitative", "scale": scale}
    layers = [
        _interval("rule", "low", "high", scale, axis, across, strokeWidth=3, opacity=0.45),
        {
            "mark": {"type": "point", "size": 45, "stroke": INK, "fill": INK, "opacity": 1},
            "encoding": {**across, "y": estimate},
        },
        zero({"y": {"field": "zero", "type": "quantitative", "scale": scale}}),
    ]
    return dressed({"data": {"values": rows}, "layer": layers}, _WIDTH, _HEIGHT, locale)


def _calendar(locale: Locale) -> dict[str, Any]:
    """Days as they are named, whatever the clock of the machine that draws."""
    axis = {"format": locale.day, "tickCount": 5, **_NAMES, "grid": False}
    return {"field": "day", "type": "temporal", "scale": {"type": "utc"}, "title": None, "axis": axis}


def _interval(
    mark: str, low: str, high: str, scale: Mapping[str, Any], axis: Mapping[str, Any], across: Mapping[str, Any],
    **look: float,
) -> Specification:  # fmt: skip
    """From `low` to `high` at each place across."""
    y = {"field": low, "type": "quantitative", "scale": scale, "axis": axis}
    return {"mark": {"type": mark, "color": INK, **look}, "encoding": {**across, "y": y, "y2": {"field": high}}}


def _drawable(effect: Effect) -> bool:
    return finite(effect.estimate) is not None and (finite(effect.low) is not None or finite(effect.high) is not None)


def _row(day: str | int, effect: Effect) -> dict[str, Any]:
    return {
        "day": day, "estimate": finite(effect.estimate), "low": finite(effect.low), "high": finite(effect.high),
    }  # fmt: skip


def _domain(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    names = ("estimate", "low", "high", "always_low", "always_high")
    return widened([row[name] for row in rows for name in names if row.get(name) is not None])


def _closed(row: dict[str, Any], domain: list[float], low: str, high: str) -> dict[str, Any]:
    """An interval that is open on one side reaches the axis's end there; one that is not there stays away."""
    if row[low] is None and row[high] is None:
        return row
    ends = {low: domain[0] if row[low] is None else row[low], high: domain[1] if row[high] is None else row[high]}
    return row | ends


def _inlined(picture: Specification | None, said: str) -> str:
    return inlined(drawn(picture), said) if picture else ""
