"""What every picture of a report shares: a Vega-Lite specification as plain data, and its SVG for the inside of a page.

Pictures take the page's own ink, so that they read in light and dark.
"""

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any

Specification = dict[str, Any]
"""A Vega-Lite specification, as its schema has it."""

INK = "currentColor"
PAPER = "var(--bs-body-bg, white)"
_ROOM = 0.06  # of the axis, left free on both sides
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_ARIA = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FONT = "system-ui, sans-serif"  # the page has the first, and what draws here knows how wide the second is
_PADDING = {"left": 5, "right": 5, "top": 10, "bottom": 5}  # an upright title may be longer than its axis
_CONFIG = {
    "axis": {
        "labelColor": INK, "titleColor": INK, "labelFont": _FONT, "titleFont": _FONT, "labelFontSize": 12.5,
        "titleFontSize": 12.5, "titleFontWeight": "normal", "titlePadding": 10, "gridColor": INK, "gridOpacity": 0.15,
        "domainColor": INK, "domainOpacity": 0.4, "tickColor": INK,
    },
    "view": {"stroke": None},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Locale:
    """How the reader writes figures and days: d3's locales of number and time, and a day's pattern; English without."""

    figures: dict[str, Any] = field(default_factory=dict)
    dates: dict[str, Any] = field(default_factory=dict)
    day: str = "%-d %b"

    def config(self) -> dict[str, Any]:
        """As Vega's configuration has it."""
        parts = {"number": self.figures, "time": self.dates}
        held = {name: part for name, part in parts.items() if part}
        return {"locale": held} if held else {}


ENGLISH = Locale()


def dressed(picture: Specification, width: int, height: int | dict[str, int], locale: Locale) -> Specification:
    """The picture in the page's own ink and type."""
    size = {"width": width, "height": height, "padding": _PADDING}
    return {"$schema": _SCHEMA, **picture, **size, "background": "transparent", "config": _CONFIG | locale.config()}


def zero(channel: dict[str, Any]) -> Specification:
    """The line of no effect: `channel` says on which axis."""
    mark = {"type": "rule", "strokeDash": [3, 3], "color": INK, "opacity": 0.7}
    return {"data": {"values": [{"zero": 0}]}, "mark": mark, "encoding": channel}


def printable(text: str) -> str:
    """The text without characters that XML has not: one of them in an SVG ends the whole process, engine and all."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def widened(ends: list[float]) -> list[float]:
    """An axis's domain that has 0 and every end, with a little room on both sides."""
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = (high - low or 1.0) * _ROOM
    return [low - room, high + room]


def drawn(picture: Specification) -> str:
    """The specification as SVG."""
    return _svg(json.dumps(picture, allow_nan=False, separators=(",", ":")))


def png(picture: Specification) -> bytes:
    """The specification as a PNG, black on white, twice as large: for paper and slides."""
    import vl_convert

    printed = json.dumps(picture, allow_nan=False)
    for on_a_page, on_paper in ((INK, "black"), (PAPER, "white"), (_FONT, "sans-serif")):
        printed = printed.replace(f'"{on_a_page}"', f'"{on_paper}"')
    return vl_convert.vegalite_to_png(json.loads(printed) | {"background": "white"}, scale=2)


@lru_cache(maxsize=512)
def _svg(picture: str) -> str:
    import vl_convert  # starts a JavaScript engine: not before something is drawn

    return vl_convert.vegalite_to_svg(picture)


def inlined(svg: str, said: str) -> str:
    """The drawing with one description instead of a name for every stroke, as wide as its place allows."""
    opening, _, drawing = svg.partition(">")
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', opening)
    assert size, "Vega writes both sizes into what it draws"
    across, height = size[1], size[2]
    label = escape(said, quote=True)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {height}" role="img" aria-label="{label}"'
    # a page's font may be wider than was reckoned with: its last letter is shown beyond the edge
    style = f"width:100%;max-width:{across}px;height:auto;overflow:visible"
    return f'{head} class="effects" style="{style}">{_ARIA.sub("", drawing)}'
