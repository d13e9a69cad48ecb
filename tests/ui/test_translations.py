"""Every language's catalogue is complete, keeps every placeholder, and says what the pages say now."""

import re
from pathlib import Path

import pytest
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po

from webapp.ui.language import CATALOGUES, NAMES, is_complete

ROOT = Path(__file__).parents[2]
LANGUAGES = sorted(set(NAMES) - {"en"})
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> set[object]:
    """The messages of the pages as they are, gathered anew."""
    found = tmp_path_factory.mktemp("messages") / "messages.pot"
    given = ["-q", "extract", "-F", str(ROOT / "babel.cfg"), "-k", "lazy_gettext", "-o", str(found), str(ROOT)]
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
