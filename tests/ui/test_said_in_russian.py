"""What the domain and the analysis say is in the reader's language on pages, and English everywhere else."""

import json
import re
from collections.abc import Callable
from html import unescape

import pytest
from babel.messages.mofile import read_mo
from werkzeug.test import TestResponse

from experiments.alerts import Condition
from experiments.moment import DAY, Micros
from experiments.service import defining
from experiments.service.alerting import Seen, tell
from experiments.storage.database import writing
from experiments.storage.registry import get_experiment
from experiments.wording import figure, worded
from tests.shop import NOW, Shop, a_a, experiment, order
from tests.ui.browser import Browser
from tests.ui.test_define_page import filled
from tests.ui.test_reports import sell
from webapp.clock import now
from webapp.ui.language import CATALOGUES, COOKIE

NEW = "/s/shop/experiments/new"
OFFERS = "/s/shop/experiments/offers"
API = "/api/v1/experiments"


@pytest.fixture(scope="module")
def english() -> list[str]:
    """The longest piece between the placeholders of each message that Russian says otherwise."""
    with (CATALOGUES / "ru" / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        known = [(m.id, m.string) for m in read_mo(file) if isinstance(m.id, str) and m.id and m.id != m.string]
    pieces = {max(re.split(r"%\(\w+\)s|%%", source), key=len).strip() for source, text in known}
    return sorted(piece for piece in pieces if piece.count(" ") >= 2)


@pytest.fixture
def russian(editor: Browser) -> Browser:
    """An editor who reads Russian."""
    editor.client.set_cookie(COOKIE, "ru")
    return editor


def text_of(page: str) -> str:
    """What a page says, without its markup and what people typed."""
    shown = re.sub(r"<(script|style|svg|code|pre|textarea)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def is_russian(page: str, english: list[str]) -> str:
    """The page's text, in which no message that has a translation stands in English."""
    said = text_of(page)
    assert [piece for piece in english if piece in said] == []
    return said


def test_what_is_wrong_with_a_definition(shop: Shop, russian: Browser, english: list[str]) -> None:
    form = filled(russian).set("coverage", "fifty").set("v1-items", "A1").set("v1-discount", "120")
    form.set("start_at", "2026-12-02T09:00").set("end_at", "2026-12-01T09:00")
    answer = russian.send(form, NEW, ("do", "save"))
    assert answer.status_code == 422
    said = is_russian(answer.text, english)
    assert "должно быть процентом, например 50, а указано 'fifty'" in said


def test_what_is_wrong_inside_a_condition(shop: Shop, russian: Browser, english: list[str]) -> None:
    wrong = {
        "country": {"$in": 3},
        "age": {"$gt": None},
        "$or": [],
        "plan": {"$regex": "(?=a)"},
        "a": {"$eq": "b", "c": 1},
    }
    form = filled(russian).set("targeting_json", json.dumps(wrong))
    answer = russian.send(form, NEW, ("do", "save"))
    assert answer.status_code == 422
    said = is_russian(answer.text, english)
    for fault in (
        "country.$in: нужен список, а не число",
        "age.$gt: нужно число или текст",
        "$or: нужен список хотя бы из одного условия",
        "просмотр вперёд и назад не поддерживается",
        "'c' стоит среди операторов",
    ):
        assert fault in said


def test_what_the_form_itself_refuses(shop: Shop, russian: Browser, english: list[str]) -> None:
    form = filled(russian).set("name", "").set("key", "").set("placement", "").set("targeting_json", "{")
    answer = russian.send(form, NEW, ("do", "save"))
    assert answer.status_code == 422
    said = is_russian(answer.text, english)
    assert "Место показа: выберите" in said
    assert "некорректный JSON" in said
    assert "choose one" not in said, "two words, which the list of English pieces leaves out"


def test_a_conflict(shop: Shop, russian: Browser, english: list[str]) -> None:
    shop.define(experiment())
    answer = russian.get(f"{OFFERS}/start")
    assert answer.status_code == 409
    said = is_russian(answer.text, english)
    assert "Действие «Запустить» невозможно, пока состояние эксперимента – «идёт»" in said


def test_a_verdict_with_its_reasons_and_remarks(shop: Shop, russian: Browser, english: list[str]) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False}))
    sell(shop)
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", Micros(NOW + 20 * DAY))
    said = is_russian(russian.text(f"{OFFERS}/report"), english)
    assert "Внедрить: bundle" in said
    assert re.search(r"bundle, выручка на посетителя: \+[\d,]+% \(от \+[\d,]+% до \+[\d,]+%\), лучше \(p = ", said)


def test_an_alert_that_was_kept_as_text(shop: Shop, russian: Browser, english: list[str]) -> None:
    shop.define(a_a("same"), now=Micros(now() - DAY))
    breach = worded(
        "%(variant)s on %(metric)s: %(change)s at any time; %(margin)s was allowed.",
        variant="t1", metric="refund_rate",
        change=worded("%(low)s to %(high)s", low=figure("+4.5%"), high=figure("+9%")), margin=figure("2%"),
    )  # fmt: skip
    with writing(shop.engine) as conn:
        found = get_experiment(conn, shop.storefront.id, "same")
        tell(conn, shop.storefront, found, Seen([Condition("guardrail_breached", "x", breach)]), now())
    for page in ("/s/shop/home", "/s/shop/experiments/same"):
        said = is_russian(russian.text(page), english)
        assert "t1, доля возвратов: от +4,5% до +9% в любой момент; допускалось 2%." in said


def test_why_events_are_in_quarantine(shop: Shop, russian: Browser, english: list[str]) -> None:
    shop.convert(
        order("o1", "v1", "-5.00", tax="-1.20"),
        order("o2", "v1", "5.00", occurred_at="1999-12-31T23:00:00+00:00"),
        order("o3", "v1", "5.00", currency="euro"),
        {"type": "order", "order_id": 3, "currency": "EUR", "revenue": "5.00"},
        {"type": "order", "currency": "EUR", "revenue": "5.00"},
    )
    said = is_russian(russian.text("/s/shop/quarantine/"), english)
    negative = "не может быть отрицательным, а указано %s; возвращённые деньги – это возврат"
    assert f"revenue: {negative % '-5.00'}; tax: {negative % '-1.20'}" in said, "what was sent stays as it was written"
    assert "occurred_at: 1999-12-31T23:00:00+00:00 – раньше 2000 года" in said
    assert "currency: 'euro' – не код валюты ISO 4217" in said
    assert "order_id: ожидалось `str`, а пришло `int`" in said
    assert "order_id: нужно указать" in said


def test_the_titles_of_checks(shop: Shop, russian: Browser, english: list[str]) -> None:
    shop.define(experiment(analysis={"minimum_days": 0, "sequential": False}))
    sell(shop)
    said = is_russian(russian.text(f"{OFFERS}/report"), english)
    for title in ("Асимметрия: Выручка на посетителя", "Выбросы: Выручка на посетителя", "Выручка известна"):
        assert title in said
    assert not re.search(r"\b(Skew|Outliers|Missing)\b", said)


def test_programs_are_answered_in_english(shop: Shop, api: Callable[..., TestResponse]) -> None:
    asks = {"HTTP_ACCEPT_LANGUAGE": "ru"}
    wrong = experiment() | {"coverage": 5000, "schedule": {"ramp": [{"at": "2027-01-01T00:00:00Z", "coverage": 100}]}}
    refused = api("post", API, json=wrong, environ_overrides=asks)
    assert refused.json["errors"] == [
        {"field": "schedule.ramp[0].coverage", "message": "must be more than 5000, and is 100"}
    ]
    shop.define(experiment())
    conflict = api("post", f"{API}/offers/start", environ_overrides=asks)
    assert conflict.json["message"] == "Cannot start an experiment that is running; it must be draft or scheduled"
