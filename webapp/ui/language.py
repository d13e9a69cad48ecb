"""The language of the pages: what the reader chose, else what the browser asks for, else English."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po
from flask import Flask, request
from flask_babel import Babel

COOKIE = "offerlab_language"
CATALOGUES = Path(__file__).parent.parent / "translations"
NAMES = {"en": "English", "pl": "Polski", "ru": "Русский", "zh_Hans": "简体中文"}
"""The languages that pages may come to speak, each by its own name; English is the one that they are written in."""


def install(app: Flask) -> None:
    """Let the application's pages speak every language whose catalogue is complete."""
    app.config.setdefault("BABEL_DEFAULT_LOCALE", "en")
    app.config.setdefault("BABEL_TRANSLATION_DIRECTORIES", str(CATALOGUES))
    Babel(app, locale_selector=chosen_language)


@cache
def languages() -> Mapping[str, str]:
    """The languages to choose from: half a translation is offered to nobody."""
    return {key: name for key, name in NAMES.items() if key == "en" or is_complete(CATALOGUES, key)}


def is_complete(catalogues: Path, language: str) -> bool:
    """Whether every message has its translation, none of them a guess, compiled for use."""
    messages = catalogues / language / "LC_MESSAGES"
    if not (messages / "messages.mo").exists():
        return False
    with (messages / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    texts = [message for message in catalogue if message.id]
    return bool(texts) and not any(message.fuzzy or not _translated(message.string) for message in texts)


def chosen_language() -> str:
    """The language for this request."""
    known = languages()
    chosen = request.cookies.get(COOKIE, "")
    if chosen in known:
        return chosen
    by_tag = {key.replace("_", "-"): key for key in known} | ({"zh-CN": "zh_Hans"} if "zh_Hans" in known else {})
    return by_tag.get(request.accept_languages.best_match(by_tag) or "", "en")


def _translated(text: str | tuple[str, ...] | list[str] | None) -> bool:
    return all(text) if isinstance(text, (tuple, list)) else bool(text)
