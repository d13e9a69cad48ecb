"""What the domain and the analysis say, in the language of the page."""

from collections.abc import Callable, Mapping

from babel.numbers import get_decimal_symbol, get_group_symbol
from flask_babel import get_locale, gettext, ngettext

from experiments.errors import Invalid, OfferlabError
from experiments.wording import Worded, say


def told(text: str) -> str:
    """A sentence of the domain in the reader's language; any other text as it is."""
    locale = get_locale()
    return str(text) if locale is None or locale.language == "en" else say(text, _READERS)


def refused(error: OfferlabError) -> str:
    """Why something was refused, in the reader's language."""
    if not isinstance(error, Invalid):
        return told(error.message)
    return "; ".join(f"{e.field}: {told(e.message)}" if e.field else told(e.message) for e in error.errors)


def figures(text: str) -> str:
    """A number that was written for English, with the reader's decimal sign and thousands."""
    locale = get_locale()
    if locale is None or locale.language == "en":
        return text
    return text.translate({ord(","): get_group_symbol(locale), ord("."): get_decimal_symbol(locale)})


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


_READERS = _Readers()

FILTERS: Mapping[str, Callable[[str], str]] = {"told": told}
"""Under this name templates use it."""
