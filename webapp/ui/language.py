"""The language of the pages: what the visitor chose, else what the browser asks for, else English."""

from flask import Flask, request, session
from flask_babel import Babel

LANGUAGES = {"en": "English"}
"""The languages with a complete catalogue of messages, each by its own name."""


def install(app: Flask) -> None:
    """Let the application's pages speak every language that has a catalogue."""
    app.config.setdefault("BABEL_DEFAULT_LOCALE", "en")
    Babel(app, locale_selector=chosen_language)


def chosen_language() -> str:
    """The language for this request."""
    chosen = session.get("language")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "en"
