"""What the domain and the analysis say, in the language of the page."""

import re
from collections.abc import Callable, Mapping

from babel.numbers import get_decimal_symbol, get_group_symbol
from flask_babel import get_locale, gettext, ngettext

from experiments.errors import Invalid, OfferlabError
from experiments.wording import Worded, say

_MINUS = re.compile(r"-(?=\d)")


def told(text: str) -> str:
    """A sentence of the domain in the reader's language; any other text as it is."""
    return str(say(text, _ENGLISH if in_english() else _READERS))


def in_english() -> bool:
    """Whether the page is written in the language that the domain speaks."""
    locale = get_locale()
    return locale is None or locale.language == "en"


def refused(error: OfferlabError) -> str:
    """Why something was refused, in the reader's language."""
    if not isinstance(error, Invalid):
        return told(error.message)
    return "; ".join(f"{e.field}: {told(e.message)}" if e.field else told(e.message) for e in error.errors)


def figures(text: str) -> str:
    """A number that was written for English and programs, with a true minus, the reader's decimal sign and thousands.

    What is not known, a hyphen in plain text, is a dash.
    """
    locale = get_locale()
    signs = {} if in_english() else {ord(","): get_group_symbol(locale), ord("."): get_decimal_symbol(locale)}
    return "–" if text == "-" else _MINUS.sub("−", text).translate(signs)


class _English:
    """The domain's own words, with numbers as pages write them."""

    def sentence(self, text: Worded, values: Mapping[str, object]) -> str:
        said = text.template if text.many is None or text.number == 1 else text.many
        return said % values if values else said

    def figures(self, text: str) -> str:
        return figures(text)

    def term(self, kind: str, word: str) -> str:  # noqa: ARG002 - the words are theirs already, of any kind
        return word


class _Readers:
    """The language of the request."""

    def sentence(self, text: Worded, values: Mapping[str, object]) -> str:
        if text.many is not None:
            return str(ngettext(text.template, text.many, text.number, **values))
        said = str(gettext(text.template))
        return said % values if values else said

    def figures(self, text: str) -> str:
        return figures(text)

    def term(self, kind: str, word: str) -> str:
        # the words' own module writes places of errors, and so stands on this one
        from webapp.ui.words import ACTIONS, MOVEMENTS, STATES

        if kind == "ordinal":  # each language has its own way to count, around the number
            return "".join(c for c in word if c.isdigit())
        moved = {"better": MOVEMENTS["better"], "worse": MOVEMENTS["worse"], "no change shown": MOVEMENTS["flat"]}
        names: Mapping[str, Mapping[str, str]] = {
            "movement": {key: str(words[0]).lower() for key, words in moved.items()},
            "state": {key: str(words.label).lower() for key, words in STATES.items()},
            "action": {key: str(words.button) for key, words in ACTIONS.items()},
        }
        return names[kind].get(word, word)


_ENGLISH, _READERS = _English(), _Readers()

FILTERS: Mapping[str, Callable[[str], str]] = {"told": told}
"""Under this name templates use it."""
