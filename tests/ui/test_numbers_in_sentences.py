"""Numbers in sentences of the domain stand on pages as the reader writes them, with a true minus in every language."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.ctx import RequestContext
from flask_babel import Babel

from analysis.effect import Effect
from analysis.tables import ranged, signed_percent, span_of
from experiments.lifecycle import after
from experiments.wording import Term, figure, worded, worded_n
from webapp.ui import formats
from webapp.ui.language import CATALOGUES, NAMES
from webapp.ui.recalled import recalled
from webapp.ui.told import figures, told

SPANS = {
    ("en", "EUR"): "−1,141 EUR (−2,036 to +6.79)",
    ("ru", "EUR"): "−1\xa0141 EUR (от −2\xa0036 до +6,79)",
    ("pl", "EUR"): "−1\xa0141 EUR (od −2\xa0036 do +6,79)",
    ("zh_Hans", "EUR"): "−1,141 EUR（−2,036 至 +6.79）",
    ("en", "JPY"): "−1,141 JPY (−2,036 to +7)",
    ("ru", "KWD"): "−1\xa0141 KWD (от −2\xa0036 до +6,793)",
}

FACTS = {"variant": "t-1", "metric": "aov", "word": Term("movement", "worse"), "p": figure("0.01")}


@pytest.fixture(params=list(NAMES))
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """A page in each language."""
    with page(request.param):
        yield request.param


def page(language: str) -> RequestContext:
    app = Flask("pages")
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(CATALOGUES)
    Babel(app, locale_selector=lambda: language)
    return app.test_request_context()


@pytest.mark.parametrize(("language", "currency"), list(SPANS))
def test_an_interval_of_money(language: str, currency: str) -> None:
    said = span_of(Effect(-1141.2, -2036.4, 6.7934), currency)
    with page(language):
        assert told(said) == SPANS[language, currency]
        whole = worded("%(variant)s on %(metric)s: %(size)s, %(word)s (p = %(p)s)", **FACTS, size=said)
        assert SPANS[language, currency] in told(whole)
        assert recalled(str(whole)) == told(whole), "what was kept as text is said alike"


def test_a_sentence_has_no_hyphen_for_a_minus(language: str) -> None:
    size = ranged(signed_percent(-0.05), signed_percent(-0.012))
    said = worded(
        "%(variant)s on %(metric)s: %(change)s at any time; %(margin)s was allowed.",
        variant="t-1", metric="refund_rate", change=size, margin=figure("2%"),
    )  # fmt: skip
    for text in (told(said), recalled(str(said))):
        assert "−5%" in text
        assert "−1,2%" in text or "−1.2%" in text
        assert not re.search(r"-\d", text.replace("t-1", "")), "but in a key that somebody chose"
        assert "t-1" in text


def test_what_somebody_typed_is_left_as_it_is(language: str) -> None:
    for typed in ("fell by -5% in store-2, 2026-11-21", "-5", "t-1"):
        assert told(typed) == typed
    assert recalled("fell by -5% in store-2, 2026-11-21") == "fell by -5% in store-2, 2026-11-21"


def test_what_is_not_known_is_a_dash(language: str) -> None:
    assert figures("-") == formats.DASH


def test_english_pages_say_the_domains_own_words() -> None:
    with page("en"):
        assert told(worded_n("%(number)s product", "%(number)s products", 3, number=figure("-3"))) == "−3 products"
        with pytest.raises(Exception, match="Cannot start") as info:
            after("running", "start")
        message = info.value.message  # type: ignore[attr-defined]  # a Conflict
        assert told(message) == "Cannot start an experiment that is running; it must be draft or scheduled"
        assert type(told(message)) is str
