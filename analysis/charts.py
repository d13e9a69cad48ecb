"""Pictures of effects, each a Vega-Lite specification as plain data and the SVG that is drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.any_time import AnyTime
from analysis.drawing import (
    ENGLISH,
    INK,
    PAPER,
    Locale,
    Specification,
    drawn,
    dressed,
    inlined,
    printable,
    widened,
    zero,
)
from analysis.effect import Effect, finite
from analysis.report import Comparison, MetricResult
from experiments.metrics import BUILT_IN

__all__ = ["EffectsWords", "effects", "effects_svg", "inlined"]

_WIDTH = 236
_ROW = 34
_FORMATS = {"lift": "+.3~%", "money": "+,.4~", "share": "+.3~%", "number": "+,.4~"}


@dataclass(frozen=True, slots=True)
class EffectsWords:
    """What a picture of effects says: its axis by what is drawn on it, and the whole to who cannot see it."""

    lift: str
    money: str
    share: str
    number: str
    said: str

    @classmethod
    def english(cls, metric: str, currency: str = "") -> "EffectsWords":
        """Those of a notebook."""
        return cls(
            lift="lift over control",
            money=f"difference to control{f', {currency}' if currency else ''}",
            share="difference to control, percentage points",
            number="difference to control",
            said=f"Effects on {metric}: the table beside it has the same numbers",
        )


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

    def row(self, low: float, high: float) -> dict[str, Any]:
        """As data, on an axis from `low` to `high`."""
        return {
            "variant": printable(self.variant), "estimate": self.estimate, "clear": self.clear,
            "low": low if self.low is None else self.low, "high": high if self.high is None else self.high,
            "always_low": low if self.always_low is None else self.always_low,
            "always_high": high if self.always_high is None else self.always_high,
        }  # fmt: skip


def effects_svg(
    result: MetricResult, currency: str = "", words: EffectsWords | None = None, locale: Locale = ENGLISH
) -> str:
    """Each variant's effect on the metric with its interval, as SVG; empty where nothing can be drawn."""
    words = words or EffectsWords.english(result.metric, currency)
    picture = effects(result, currency, words, locale)
    return inlined(drawn(picture), words.said) if picture else ""


def effects(
    result: MetricResult, currency: str = "", words: EffectsWords | None = None, locale: Locale = ENGLISH
) -> Specification | None:
    """The picture of each variant's effect on the metric with its interval; None where nothing can be drawn.

    Differences, with the always-valid interval as a thin line, where the test may be read at any time; lifts otherwise.
    A filled point means that the interval leaves 0 out.
    """
    differences = [bar for c in result.comparisons if (bar := _bar(c, c.difference, c.sequential))]
    always = [bar for bar in differences if bar.always]
    lifts = [] if always else [bar for c in result.comparisons if (bar := _bar(c, c.lift))]
    bars = always or lifts or differences
    if not bars:
        return None
    words = words or EffectsWords.english(result.metric, currency)
    kind = "lift" if lifts else _kind(result)
    title = {"lift": words.lift, "money": words.money, "share": words.share, "number": words.number}[kind]
    return _picture(bars, title, _FORMATS[kind], locale)


def _bar(c: Comparison, found: Effect, at_any_time: AnyTime | None = None) -> _Bar | None:
    estimate, low, high = finite(found.estimate), finite(found.low), finite(found.high)
    if not c.estimable or estimate is None or (low is None and high is None):
        return None
    always = (finite(at_any_time.low), finite(at_any_time.high)) if at_any_time else (None, None)
    return _Bar(c.variant, estimate, low, high, *always)


def _kind(result: MetricResult) -> Literal["money", "share", "number"]:
    known = BUILT_IN.get(result.metric)
    unit = known.unit if known is not None else result.unit
    if unit == "money":
        return "money"
    return "share" if result.type == "proportion" or unit == "share" else "number"


def _picture(bars: Sequence[_Bar], title: str, tick_format: str, locale: Locale) -> Specification:
    low, high = domain = widened([b for bar in bars for b in bar.bounds()])
    scale = {"domain": domain, "nice": False, "zero": False}
    axis = {"title": printable(title), "format": tick_format, "tickCount": 4, "grid": True}
    names = {
        "field": "variant", "type": "nominal", "sort": None, "title": None,
        "axis": {"ticks": False, "domain": False, "labelLimit": 150},
    }  # fmt: skip

    def layer(mark: dict[str, Any], start: str, end: str | None = None, **more: Any) -> Specification:
        x = {"field": start, "type": "quantitative", "scale": scale}
        ends = {"x2": {"field": end}} if end else {}
        return {"mark": mark, "encoding": {"x": x, **ends, "y": names, **more}}

    thin = {"type": "rule", "color": INK, "strokeWidth": 1.5, "opacity": 0.8}
    thick = {"type": "rule", "color": INK, "strokeWidth": 6, "opacity": 0.45}
    point = {"type": "point", "size": 90, "stroke": INK, "strokeWidth": 2, "opacity": 1}
    fill = {"condition": {"test": "datum.clear", "value": INK}, "value": PAPER}
    layers = [
        zero({"x": {"field": "zero", "type": "quantitative", "scale": scale, "axis": axis}}),
        *([layer(thin, "always_low", "always_high")] if any(bar.always for bar in bars) else []),
        layer(thick, "low", "high"),
        layer(point, "estimate", fill=fill),
    ]
    data = {"values": [bar.row(low, high) for bar in bars]}
    return dressed({"data": data, "layer": layers}, _WIDTH, {"step": _ROW}, locale)
