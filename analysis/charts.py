"""Pictures of a report, as SVG to stand inside a page: they take its colour, so that they read in light and dark."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from analysis.report import Comparison, MetricResult
from experiments.metrics import BUILT_IN

_FONT = "system-ui"
INK = "currentColor"
_WIDTH = 236
_ROW = 34
DAY_WIDTH = 300
_ROOM = 0.06  # of the axis, left free on both sides
_ARIA = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')


@dataclass(frozen=True, slots=True)
class _Bar:
    """One variant's line of the picture, every bound on the axis; a side without bound reaches the axis's end."""

    variant: str
    estimate: float
    low: float | None
    high: float | None
    always_low: float | None = None
    always_high: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        low, high = (self.always_low, self.always_high) if self.always else (self.low, self.high)
        return (low is not None and low > 0) or (high is not None and high < 0)

    @property
    def always(self) -> bool:
        """Whether there is an always-valid interval."""
        return self.always_low is not None or self.always_high is not None

    def bounds(self) -> list[float]:
        """Every number that must be on the axis."""
        return [b for b in (self.estimate, self.low, self.high, self.always_low, self.always_high) if b is not None]


def effects_svg(result: MetricResult, currency: str = "") -> str:
    """Each variant's effect on the metric with its interval, as SVG; empty where nothing can be drawn.

    Differences, with the always-valid interval as a thin line, where the test may be read at any time; lifts otherwise.
    A filled point means that the interval leaves 0 out.
    """
    bars = [bar for c in result.comparisons if (bar := _difference(c)) is not None and bar.always]
    relative = not bars
    if relative:
        bars = [bar for c in result.comparisons if (bar := _lift(c)) is not None]
    if not bars:
        bars, relative = [bar for c in result.comparisons if (bar := _difference(c)) is not None], False
    if not bars:
        return ""
    title, tick_format = _axis(result, currency, relative=relative)
    return inlined(_drawn(tuple(bars), title, tick_format), f"Effects on {result.metric}")


def _difference(c: Comparison) -> _Bar | None:
    found = c.difference
    if not c.estimable or found.estimate is None or (found.low is None and found.high is None):
        return None
    low, high = (c.sequential.low, c.sequential.high) if c.sequential else (None, None)
    return _Bar(c.variant, found.estimate, found.low, found.high, low, high)


def _lift(c: Comparison) -> _Bar | None:
    found = c.lift
    if not c.estimable or found.estimate is None or (found.low is None and found.high is None):
        return None
    return _Bar(c.variant, found.estimate, found.low, found.high)


def _axis(result: MetricResult, currency: str, *, relative: bool) -> tuple[str, str]:
    if relative:
        return "lift over control", "+.3~%"
    known = BUILT_IN.get(result.metric)
    unit = known.unit if known is not None else result.unit
    if unit == "money":
        return f"difference to control{f', {currency}' if currency else ''}", "+,.4~"
    if result.type == "proportion" or unit == "share":
        return "difference to control, percentage points", "+.3~%"
    return "difference to control", "+,.4~"


def _chart(bars: Sequence[_Bar], title: str, tick_format: str) -> Any:
    low = min([0.0, *(b for bar in bars for b in bar.bounds())])
    high = max([0.0, *(b for bar in bars for b in bar.bounds())])
    room = (high - low or 1.0) * _ROOM
    low, high = low - room, high + room
    rows = [
        {
            "variant": bar.variant, "estimate": bar.estimate, "clear": bar.clear,
            "low": low if bar.low is None else bar.low, "high": high if bar.high is None else bar.high,
            "always_low": low if bar.always_low is None else bar.always_low,
            "always_high": high if bar.always_high is None else bar.always_high,
        }
        for bar in bars
    ]  # fmt: skip
    axis = alt.Axis(title=title, format=tick_format, tickCount=4, grid=True)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    names = alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=150))
    whole = alt.Chart(alt.InlineData(values=rows)).encode(y=names)
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(strokeDash=[3, 3], color=INK, opacity=0.7)
    layers: list[alt.Chart] = [zero.encode(x=alt.X("zero:Q", scale=scale, axis=axis))]
    if any(bar.always for bar in bars):
        thin = whole.mark_rule(color=INK, strokeWidth=1.5, opacity=0.8)
        layers.append(thin.encode(x=alt.X("always_low:Q", scale=scale), x2="always_high:Q"))
    thick = whole.mark_rule(color=INK, strokeWidth=6, opacity=0.45)
    layers.append(thick.encode(x=alt.X("low:Q", scale=scale), x2="high:Q"))
    for clear, filled in ((True, True), (False, False)):
        fill = INK if filled else "var(--bs-body-bg, white)"
        point = whole.transform_filter(alt.datum.clear == clear).mark_point(
            size=90, stroke=INK, fill=fill, strokeWidth=2, opacity=1
        )
        layers.append(point.encode(x=alt.X("estimate:Q", scale=scale)))
    return dressed(alt.layer(*layers).properties(width=_WIDTH, height={"step": _ROW}, background="transparent"))


def dressed(chart: Any) -> Any:
    """The chart in the page's own ink and type."""
    text = {"labelColor": INK, "titleColor": INK, "labelFont": _FONT, "titleFont": _FONT}
    axis: dict[str, Any] = {
        **text,
        "labelFontSize": 12.5,
        "titleFontSize": 12.5,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    }
    lines: dict[str, Any] = {
        "gridColor": INK,
        "gridOpacity": 0.15,
        "domainColor": INK,
        "domainOpacity": 0.4,
        "tickColor": INK,
    }
    return chart.configure_axis(**axis, **lines).configure_view(stroke=None)


@lru_cache(maxsize=256)
def _drawn(bars: tuple[_Bar, ...], title: str, tick_format: str) -> str:
    # Altair checks every part of a chart against its schema, which takes longer than drawing it; the tests check ours
    with debug_mode(arg=False):
        return drawn(_chart(bars, title, tick_format))


def drawn(chart: Any) -> str:
    """The chart as SVG."""
    with debug_mode(arg=False):
        specification = chart.to_json(indent=None, validate=False)
    return _svg(specification)


@lru_cache(maxsize=512)
def _svg(specification: str) -> str:
    return vl_convert.vegalite_to_svg(specification)


def inlined(svg: str, said: str, width: int = _WIDTH) -> str:
    """The drawing with one description instead of a name for every stroke, as wide as its place allows."""
    opening, _, drawing = svg.partition(">")
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', opening)
    across, height = (size[1], size[2]) if size else (str(width), str(width))
    label = escape(f"{said}: the table beside it has the same numbers", quote=True)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {height}" role="img" aria-label="{label}"'
    style = f"width:100%;max-width:{across}px;height:auto"
    return f'{head} class="effects" style="{style}">{_ARIA.sub("", drawing)}'
