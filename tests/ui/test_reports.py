import csv
import io
import json
import threading
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask_babel import Babel

from analysis.charts import effects_svg
from analysis.report import AnyTime, Comparison, Effect, MetricResult
from experiments.lifecycle import Action
from experiments.moment import DAY, Micros
from experiments.service import defining
from experiments.storage.database import writing
from tests.shop import NOW, Shop, experiment, exposed, order
from tests.ui.browser import Browser
from webapp.reading import KeptReports
from webapp.ui import formats
from webapp.ui.language import COOKIE
from webapp.ui.report_pictures import reader_locale

BASE = "/s/shop/experiments/offers"
VARIANTS = ("control", "upsell", "cross-sell", "bundle")


def sell(shop: Shop, visitors: int = 400) -> None:
    """Exposures to all variants, and orders that a bundle makes larger."""
    exposures = [exposed(f"v{n}", VARIANTS[n % 4]) for n in range(visitors)]
    revenue = {"control": 20, "upsell": 21, "cross-sell": 20, "bundle": 40}
    bought = [n for n in range(visitors) if n // 4 % 2]
    orders = [order(f"o{n}", f"v{n}", f"{revenue[VARIANTS[n % 4]] + n % 7}.50") for n in bought]
    assert shop.expose(*exposures, now=Micros(NOW + 1)).accepted == visitors
    assert shop.convert(*orders, now=Micros(NOW + 2)).accepted == len(orders)


def act(shop: Shop, action: Action) -> None:
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", action, "test", Micros(NOW + 20 * DAY))


def test_a_report_shows_a_verdict_checks_numbers_and_a_picture(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False}))
    sell(shop)
    act(shop, "stop")
    page = editor.text(f"{BASE}/report")
    assert "Ship: bundle" in page
    assert "Split as planned: OK" in page
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg"') >= 3
    assert "Miettinen" in page
    assert f'href="{BASE}/decide?decision=variant:bundle"' in page
    effect = editor.text(f"{BASE}/effect")
    assert effect.count(" to ") == 3  # each of the three with its interval


@pytest.mark.parametrize(
    ("language", "said", "axis"),
    [
        ("ru", "Эффекты для метрики «конверсия»: в таблице рядом те же числа", "прирост против контроля"),
        (
            "pl",
            "Efekty dla metryki „konwersja”: tabela obok zawiera te same liczby",
            "wzrost względem grupy kontrolnej",
        ),
        ("zh_Hans", "对转化的效应：旁边的表格中有相同的数字", "相对对照组的提升"),
    ],
)
def test_a_picture_speaks_the_readers_language(
    shop: Shop, editor: Browser, language: str, said: str, axis: str
) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False}))
    sell(shop)
    editor.client.set_cookie(COOKIE, language)
    page = editor.text(f"{BASE}/report")
    assert f'aria-label="{said}"' in page
    assert f">{axis}</text>" in page
    assert "the table beside it" not in page
    assert "over control" not in page


@pytest.mark.parametrize(
    ("language", "decimal", "day", "month"),
    [("ru", ",", "%-d %b", "мая"), ("pl", ",", "%-d %b", "maj"), ("zh_Hans", ".", "%-m月%-d日", "5月")],
)
def test_a_picture_has_the_readers_figures_and_dates(language: str, decimal: str, day: str, month: str) -> None:
    app = Flask("pages")
    Babel(app, locale_selector=lambda: language)
    with app.test_request_context():
        reader = reader_locale()
    assert (reader.figures["decimal"], reader.day, reader.dates["shortMonths"][4]) == (decimal, day, month)
    assert all(len(reader.dates[name]) == 7 for name in ("days", "shortDays"))


def test_the_json_is_the_reports_and_the_csv_has_the_same_numbers(shop: Shop, editor: Browser) -> None:
    shop.define(experiment())
    sell(shop)
    answer = editor.get(f"{BASE}/report.json")
    assert answer.mimetype == "application/json"
    report = json.loads(answer.data)
    assert report["experiment"] == "offers"
    assert [v["units"] for v in report["variants"]] == [100] * 4
    rows = list(csv.DictReader(io.StringIO(editor.text(f"{BASE}/report.csv"))))
    found = {(r["metric"], r["variant"]): r for r in rows}
    for metric in report["metrics"]:
        for c in metric["comparisons"]:
            row = found[metric["metric"], c["variant"]]
            for name, value in (("difference", c["difference"]["estimate"]), ("lift_low", c["lift"]["low"])):
                assert row[name] == ("" if value is None else str(value))


def test_the_page_shows_the_json_s_numbers_on_every_scale(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False, "target_mde": "5%"}))
    sell(shop)
    report = json.loads(editor.get(f"{BASE}/report.json").data)
    primary = next(m for m in report["metrics"] if m["role"] == "primary")
    bundle = next(c for c in primary["comparisons"] if c["variant"] == "bundle")
    worth = next(w for w in report["worth"] if (w["variant"], w["metric"]) == ("bundle", primary["metric"]))
    shown = {
        "relative": formats.lift(bundle["lift"]["estimate"]),
        "absolute": formats.difference(bundle["difference"]["estimate"], "money", "EUR"),
        "day": "+" + formats.rounded(worth["a_day"]["estimate"], "EUR"),
        "year": "+" + formats.rounded(worth["a_year"]["estimate"], "EUR"),
    }
    for scale, text in shown.items():
        page = editor.text(f"{BASE}/report?scale={scale}")
        assert text in page, scale
        assert f'scale={scale}" aria-current="true"' in page
    for part in report["decompositions"][0]["parts"]:
        assert formats.rounded(abs(part["total"]), "EUR") in page
    for row in report["sensitivity"]:
        assert (row["conclusion"] is None) == (row["reason"] is not None and row["p_value"] is None)


def test_a_level_of_a_segment_is_read_alone_and_decides_nothing(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False}))
    sell(shop)
    page = editor.text(f"{BASE}/report?segment=visitor:new")
    assert "Exploratory: one group alone." in page
    assert 'id="verdict"' not in page
    assert editor.get(f"{BASE}/report?segment=colour:red").status_code == 404


def test_every_table_can_be_taken_along(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(analysis={"minimum_days": 0}))
    sell(shop)
    report = json.loads(editor.get(f"{BASE}/report.json").data)
    rows = list(csv.DictReader(io.StringIO(editor.text(f"{BASE}/report.csv?table=worth"))))
    estimates = [w["a_day"]["estimate"] for w in report["worth"]]
    assert [row["a_day"] for row in rows] == ["" if x is None else str(x) for x in estimates]
    days = list(csv.DictReader(io.StringIO(editor.text(f"{BASE}/report.csv?table=days"))))
    assert sum(int(row["units"]) for row in days) == sum(v["units"] for v in report["variants"])
    assert editor.get(f"{BASE}/report.csv?table=nothing").status_code == 404


def test_a_report_is_kept_until_its_data_or_its_definition_change(shop: Shop) -> None:
    shop.define(experiment())
    sell(shop, 80)
    kept, at = KeptReports(shop.engine), Micros(NOW + 10)
    first = kept.read(shop.storefront, "offers", at)
    assert kept.read(shop.storefront, "offers", Micros(at + 1)) is first
    assert shop.convert(order("late", "v1", "5.00"), now=Micros(NOW + 3)).accepted == 1
    second = kept.read(shop.storefront, "offers", Micros(at + 2))
    assert second is not first
    assert second.report["orders_per_visitor"] != first.report["orders_per_visitor"]
    act(shop, "stop")
    assert kept.read(shop.storefront, "offers", Micros(at + 3)).report.state == "stopped"
    assert kept.read(shop.storefront, "offers", Micros(at + 4), lag=10).at == at + 3


def test_nobody_waits_for_a_report_but_who_asks_for_the_same(shop: Shop) -> None:
    """While one report is being made an assignment is answered, written down, and another report is read."""
    shop.define(experiment())
    shop.define(experiment("others"))
    sell(shop, 40)
    kept = KeptReports(shop.engine)
    making = kept.making((int(shop.storefront.id), "offers", None))
    with making:  # as while it is made
        waiting = threading.Thread(target=kept.read, args=(shop.storefront, "offers", Micros(NOW + 10)))
        waiting.start()
        assert shop.expose(exposed("met-meanwhile", "control"), now=Micros(NOW + 5)).accepted == 1
        assert kept.read(shop.storefront, "others", Micros(NOW + 10)).report.experiment == "others"
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()


def test_before_the_minimum_run_time_no_conclusion_is_offered(shop: Shop, editor: Browser) -> None:
    from webapp.clock import now

    shop.define(experiment(), now=now())
    shop.expose(*(exposed(f"v{n}", VARIANTS[n % 4]) for n in range(80)), now=now())
    page = editor.text(f"{BASE}/report")
    assert "Too early to conclude" in page
    assert "Ship" not in page.partition("The rule")[0].partition("verdict")[2]


def test_nothing_yet_is_written_out(shop: Shop, editor: Browser) -> None:
    assert "Find out which offer is worth showing" in editor.text("/s/shop/")
    shop.define(experiment(), start=False)
    assert "Nothing to read yet" in editor.text(f"{BASE}/report")
    assert editor.get(f"{BASE}/report.json").status_code == 422
    with writing(shop.engine) as conn:
        defining.start(conn, shop.storefront, "offers", "test", NOW)
    assert "Waiting for the first visitor" in editor.text(f"{BASE}/report")
    shop.expose(exposed("v1", "control"), exposed("v2", "bundle"), now=Micros(NOW + 1))
    page = editor.text(f"{BASE}/report")
    assert "Not estimable" in page
    assert "nan" not in page.lower().replace("dominant", "")


def test_the_list_counts_visitors_and_is_divided_by_state(shop: Shop, editor: Browser) -> None:
    shop.define(experiment())
    shop.define(experiment("draft-one", name="Another idea"), start=False)
    sell(shop, 40)
    page = editor.text("/s/shop/")
    assert ">40</td>" in page
    assert f'data-fetch="{BASE}/effect"' in page
    assert "Another idea" not in editor.text("/s/shop/?shelf=live")
    assert "Another idea" in editor.text("/s/shop/?shelf=drafts")
    assert "Another idea" in editor.text("/s/shop/?q=ANOTHER")
    assert "Nothing here" in editor.text("/s/shop/?q=nothing+like+it")


def _result(*comparisons: Comparison, metric: str = "revenue_per_visitor") -> MetricResult:
    return MetricResult(metric, "mean", "primary", 9, "increase", (), comparisons)


def test_a_picture_takes_the_pages_colour_and_has_every_variant() -> None:
    svg = effects_svg(
        _result(
            Comparison("a", "control", Effect(1, 0.5, 1.5), sequential=AnyTime(0.2, 1.8, 0.01)),
            Comparison("b <&>", "control", Effect(-1, -2, None), sequential=AnyTime(None, 0.3, 0.4)),
            Comparison("c", "control", estimable=False, reason="too few"),
        ),
        "EUR",
    )
    drawing = ET.fromstring(svg)
    texts = {element.text for element in drawing.iter() if element.tag.endswith("text")}
    assert {"a", "b <&>"} <= texts
    assert "c" not in texts
    assert "difference to control, EUR" in texts
    colours = {
        value
        for element in drawing.iter()
        for name, value in element.attrib.items()
        if name in {"fill", "stroke"} and value not in {"none", "transparent"}
    }
    assert colours <= {"currentColor", "var(--bs-body-bg, white)"}
    assert drawing.get("role") == "img"


def test_without_an_always_valid_interval_lifts_are_drawn() -> None:
    svg = effects_svg(_result(Comparison("a", "control", Effect(1, 0.5, 1.5), Effect(0.1, 0.05, 0.15))))
    assert "lift over control" in svg


def test_nothing_to_draw_is_no_picture() -> None:
    assert effects_svg(_result()) == ""
    assert effects_svg(_result(Comparison("c", "control", estimable=False, reason="too few"))) == ""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formats.money(1999, "EUR"), "€19.99"),
        (formats.money(-500, "JPY"), "−¥500"),
        (formats.money(1234567, "KWD"), "KWD 1,234.567"),
        (formats.difference(-0.0123, "share", "EUR"), "−1.23 pp"),
        (formats.difference(0.5, "money", "EUR"), "+€0.500"),
        (formats.lift(0.0519), "+5.2%"),
        (formats.lift(None), "–"),
        (formats.value(None, "money", "EUR"), "–"),
        (formats.p_value(0.00001), "<0.0001"),
    ],
)
def test_numbers_are_written_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
