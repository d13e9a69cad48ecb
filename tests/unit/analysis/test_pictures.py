"""The report's pictures: valid Vega-Lite whatever there is to draw, drawn alike everywhere, in the reader's words."""

import json
import math
import os
import subprocess
import sys
from datetime import date, timedelta
from importlib.resources import files
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import altair as alt
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.any_time import AnyTime
from analysis.charts import EffectsWords, effects, effects_svg
from analysis.drawing import Locale, Specification, drawn, png
from analysis.effect import NOTHING, Effect
from analysis.parts import Day, Point, Series, SinceEntry, SincePoint
from analysis.report import Comparison, MetricResult
from analysis.time_charts import cumulative, cumulative_svg, daily, daily_svg, since, since_svg

FIRST = date(2026, 2, 20)
RUSSIAN = Locale(
    {"decimal": ",", "thousands": "\xa0", "grouping": [3], "currency": ["", ""]},
    {
        "dateTime": "%x %X", "date": "%d.%m.%Y", "time": "%H:%M:%S", "periods": ["AM", "PM"],
        "days": list("вПВСЧПс"), "shortDays": list("вПВСЧПс"), "months": [f"месяц {n}" for n in range(1, 13)],
        "shortMonths": [f"мес{n}" for n in range(1, 13)],
    },
    "%-d. %b",
)  # fmt: skip

numbers = st.floats(-1e7, 1e7) | st.sampled_from([0.0, 1e-12, math.inf, -math.inf, math.nan])
bounds = st.none() | numbers
found = st.builds(Effect, bounds, bounds, bounds)
at_any_time = st.none() | st.builds(AnyTime, bounds, bounds, st.just(0.1))
compared = st.builds(
    Comparison, st.text(min_size=1, max_size=30), st.just("control"), found, found, sequential=at_any_time,
    estimable=st.booleans(),
)  # fmt: skip
results = st.builds(
    MetricResult, st.sampled_from(["conversion", "revenue_per_visitor", "mine"]),
    st.sampled_from(["mean", "proportion"]), st.just("primary"), st.just(9), st.just("increase"), st.just(()),
    st.lists(compared, max_size=6).map(tuple), unit=st.sampled_from([None, "money", "share", "number"]),
)  # fmt: skip


def _ref_safe(schema: Any) -> Any:
    """Vega-Lite names its definitions after TypeScript's types, and refers to them without escaping a URI."""
    if isinstance(schema, list):
        return [_ref_safe(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: quote(part, "#/") if key == "$ref" else _ref_safe(part) for key, part in schema.items()}


@pytest.fixture(scope="module")
def vega_lite() -> jsonschema_rs.Draft7Validator:
    """The schema that Altair brings along, compiled: Altair itself needs a third of a second for a picture."""
    text = (files("altair") / "vegalite/v6/schema/vega-lite-schema.json").read_text()
    return jsonschema_rs.Draft7Validator(_ref_safe(json.loads(text)))


def result(*comparisons: Comparison, metric: str = "revenue_per_visitor") -> MetricResult:
    return MetricResult(metric, "mean", "primary", 9, "increase", (), comparisons)


def series(*effects: Effect, always: bool = True) -> Series:
    ends = (-9.0, 9.0) if always else (None, None)
    points = (Point((FIRST + timedelta(n)).isoformat(), n, e, *ends) for n, e in enumerate(effects))
    return Series("revenue_per_visitor", "bundle", tuple(points))


def entry(*effects: Effect) -> SinceEntry:
    points = tuple(SincePoint(n, 50, e) for n, e in enumerate(effects))
    return SinceEntry("revenue_per_visitor", "bundle", points, NOTHING, NOTHING, NOTHING, None, None)


def days(number: int) -> list[Day]:
    return [Day((FIRST + timedelta(n)).isoformat(), {"a": n * 300, "b": 1234}) for n in range(number)]


SOME = Effect(1.5, 0.5, 2.5)
OPEN = Effect(1.5, 0.5, None)
EACH: dict[str, Specification | None] = {
    "effects": effects(result(Comparison("a", "control", SOME, SOME, sequential=AnyTime(None, 3, 0.1)))),
    "cumulative": cumulative(series(SOME, OPEN, SOME), "difference", "+,.2~f"),
    "few days": daily(days(4), "new visitors a day"),
    "many days": daily(days(40), "new visitors a day", RUSSIAN),
    "since entry": since(entry(SOME, OPEN, SOME), "difference", "+,.2~f"),
}


@pytest.mark.parametrize("picture", EACH.values(), ids=EACH.keys())
def test_altair_takes_a_picture_as_its_own(picture: Specification) -> None:
    chart = alt.Chart.from_dict(picture, validate=True)
    assert chart.to_dict()["config"]["axis"] == picture["config"]["axis"]


def test_the_schema_refuses_what_is_none(vega_lite: jsonschema_rs.Draft7Validator) -> None:
    wrong = json.loads(json.dumps(EACH["effects"]))
    wrong["layer"][0]["mark"]["strokeDash"] = "dashed"
    assert vega_lite.is_valid(EACH["effects"])
    assert not vega_lite.is_valid(wrong)


@given(results, st.sampled_from(["", "EUR"]), st.sampled_from([Locale(), RUSSIAN]))
def test_effects_are_valid_whatever_was_found(
    vega_lite: jsonschema_rs.Draft7Validator, found: MetricResult, currency: str, locale: Locale
) -> None:
    picture = effects(found, currency, None, locale)
    if picture is not None:
        json.dumps(picture, allow_nan=False)
        vega_lite.validate(picture)
        assert 0 < len(picture["data"]["values"]) <= len(found.comparisons)


@given(st.lists(st.tuples(found, bounds, bounds), max_size=40), st.sampled_from([Locale(), RUSSIAN]))
def test_pictures_of_time_are_valid_whatever_was_found(
    vega_lite: jsonschema_rs.Draft7Validator, found: list[tuple[Effect, float | None, float | None]], locale: Locale
) -> None:
    grown = Series("m", "v", tuple(Point((FIRST + timedelta(n)).isoformat(), n, *p) for n, p in enumerate(found)))
    pictures = [cumulative(grown, "t", "+,.3~", locale), since(entry(*(p[0] for p in found)), "t", "+,.3~", locale)]
    for picture in filter(None, [*pictures, daily(days(len(found)), "t", locale)]):
        json.dumps(picture, allow_nan=False)
        vega_lite.validate(picture)


@settings(max_examples=15)
@given(results)
def test_what_is_valid_is_drawn(found: MetricResult) -> None:
    svg = effects_svg(found, "EUR")
    assert (svg == "") == (effects(found) is None)
    if svg:
        assert "NaN" not in svg


@pytest.mark.parametrize("number", [0, 1])
def test_one_day_is_no_picture(number: int) -> None:
    assert daily(days(number), "t") is None
    assert cumulative_svg(series(*[SOME] * number), "t", "d") == ""
    assert since_svg(entry(*[SOME] * number), "t", "d") == ""


def test_an_interval_that_is_open_reaches_the_axis_end_and_one_that_is_not_there_is_not_drawn() -> None:
    for picture in (
        cumulative(series(SOME, OPEN, Effect(1, None, None), Effect(1, None, 2), SOME, always=False), "t", "d"),
        since(entry(SOME, OPEN, Effect(1, None, None), Effect(1, None, 2), SOME), "t", "d"),
    ):
        assert picture is not None
        domain = picture["layer"][0]["encoding"]["y"]["scale"]["domain"]
        rows = [(row["low"], row["high"]) for row in picture["data"]["values"]]
        assert rows == [(0.5, 2.5), (0.5, domain[1]), (domain[0], 2), (0.5, 2.5)]


def test_the_always_valid_band_is_drawn_where_there_is_one() -> None:
    bare, banded = (cumulative(series(SOME, SOME, always=always), "t", "d") for always in (False, True))
    assert bare is not None
    assert banded is not None
    assert len(banded["layer"]) == len(bare["layer"]) + 1


def texts(svg: str) -> set[str | None]:
    return {element.text for element in ET.fromstring(svg).iter() if element.tag.endswith("text")}


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai"])
def test_days_keep_their_name_whatever_the_clock_of_the_machine(zone: str) -> None:
    program = (
        "from analysis.parts import Day\n"
        "from analysis.time_charts import daily_svg\n"
        "days = [Day(f'2026-02-{n}', {'a': n}) for n in range(10, 24)]\n"
        "print(daily_svg(days[:10], 'few') + daily_svg(days, 'many'))"
    )
    asked = [sys.executable, "-c", program]
    drawn = subprocess.run(asked, env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True).stdout
    here = [Day(f"2026-02-{n}", {"a": n}) for n in range(10, 24)]
    assert drawn.strip() == daily_svg(here[:10], "few") + daily_svg(here, "many")
    assert ">10 Feb<" in drawn
    assert ">9 Feb<" not in drawn


@pytest.mark.parametrize("odd", ["\x00", "\x10", "\ud800", "\uffff"])
def test_what_no_xml_may_have_is_replaced(odd: str) -> None:
    found = result(Comparison(f"a{odd}b", "control", SOME, sequential=AnyTime(0.2, 1.8, 0.01)))
    assert {"a\N{REPLACEMENT CHARACTER}b", "difference to control, \N{REPLACEMENT CHARACTER}"} <= texts(
        effects_svg(found, odd)
    )


def test_a_reader_finds_the_own_words_figures_and_dates() -> None:
    words = EffectsWords("прирост", "разница, EUR", "доля", "число", "Эффекты: «<выручка>»")
    told = effects_svg(result(Comparison("a", "control", Effect(1500, 500.5, 2500), sequential=AnyTime(-1, 3000, 0.1))),
                       "EUR", words, RUSSIAN)  # fmt: skip
    assert ET.fromstring(told).get("aria-label") == words.said
    assert {"разница, EUR", "+1\xa0000"} <= texts(told)
    small = texts(effects_svg(result(Comparison("a", "control", SOME, SOME)), "EUR", words, RUSSIAN))
    assert {"прирост", "+100%"} <= small
    assert "+0,4" in texts(
        cumulative_svg(series(*[Effect(0.5, 0.1, 0.9)] * 3, always=False), "t", "+,.2~f", locale=RUSSIAN)
    )
    assert "20. мес2" in texts(daily_svg(days(3), "t", locale=RUSSIAN))
    assert "22. мес2" in texts(daily_svg(days(30), "t", locale=RUSSIAN))
    assert "дни" in texts(since_svg(entry(SOME, SOME), "t", "d", "said", RUSSIAN, "дни"))


def test_a_notebook_speaks_english() -> None:
    assert "difference to control, EUR" in effects_svg(
        result(Comparison("a", "control", SOME, sequential=AnyTime(0.2, 1.8, 0.01))), "EUR"
    )
    assert "day since entry" in since_svg(entry(SOME, SOME), "t", "d")
    assert "Cumulative effect of bundle on revenue_per_visitor: " in cumulative_svg(series(SOME, SOME), "t", "d")
    assert ">20 Feb<" in daily_svg(days(3), "t")


def test_a_png_has_the_papers_colours() -> None:
    picture = EACH["effects"]
    assert picture is not None
    assert png(picture).startswith(b"\x89PNG")
    assert "currentColor" in drawn(picture)


def test_nothing_that_runs_needs_altair() -> None:
    program = (
        "import sys\n"
        "sys.modules['altair'] = None\n"
        "from analysis.charts import effects_svg\n"
        "import webapp.ui.reports\n"
        "print('vl_convert' in sys.modules)"
    )
    asked = [sys.executable, "-c", program]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "False\n"
