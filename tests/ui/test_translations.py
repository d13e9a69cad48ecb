"""Every language's catalogue is complete, keeps every placeholder, and says what the pages say now."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel

from experiments.moment import micros
from webapp.ui import formats
from webapp.ui.language import CATALOGUES, NAMES, is_complete

ROOT = Path(__file__).parents[2]
LANGUAGES = sorted(set(NAMES) - {"en"})
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> set[object]:
    """The messages of the pages as they are, gathered anew."""
    found = tmp_path_factory.mktemp("messages") / "messages.pot"
    keywords = ["-k", "lazy_gettext", "-k", "worded", "-k", "worded_n:1,2"]
    given = ["-q", "extract", "-F", str(ROOT / "babel.cfg"), *keywords, "-o", str(found), str(ROOT)]
    CommandLineInterface().run(["pybabel", *given])
    with found.open("rb") as file:
        return {message.id for message in read_po(file) if message.id}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_missing(language: str, said: set[object]) -> None:
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        known = {message.id for message in read_po(file, locale=language) if message.id}
    assert said - known == set(), "run make messages, and translate what is new"
    assert is_complete(CATALOGUES, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_placeholder_is_kept(language: str) -> None:
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    for message in catalogue:
        if not message.id:
            continue
        plural = isinstance(message.id, (tuple, list))
        meant = set(PLACEHOLDER.findall(message.id[1] if plural else str(message.id)))
        for text in message.string if plural else [message.string]:
            assert set(PLACEHOLDER.findall(text)) - {"num"} == meant - {"num"}, (message.id, text)
            if not plural:
                assert set(PLACEHOLDER.findall(text)) == meant, (message.id, text)


@pytest.mark.parametrize(
    ("language", "amount", "number", "day"),
    [
        ("en", "€1,234.50", "12,345", "21 Nov 2026"),
        ("ru", "€1\xa0234,50", "12\xa0345", "21 нояб. 2026\u202fг."),
        ("pl", "€1\xa0234,50", "12\xa0345", "21 lis 2026"),
        ("zh_Hans", "€1,234.50", "12,345", "2026年11月21日"),
    ],
)
def test_figures_and_dates_are_written_as_the_reader_writes_them(
    language: str, amount: str, number: str, day: str
) -> None:
    app = Flask("pages")
    Babel(app, locale_selector=lambda: language)
    at = micros(datetime(2026, 11, 21, 12, tzinfo=UTC))
    with app.test_request_context():
        assert (formats.money(123450, "EUR"), formats.count(12345)) == (amount, number)
        assert formats.day(at, ZoneInfo("Europe/Berlin")) == day
