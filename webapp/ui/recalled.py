"""Sentences that were kept as English text, in alerts and in decisions: said in the reader's language again."""

import re
from collections.abc import Sequence
from functools import cache

from babel.messages.mofile import read_mo
from flask_babel import get_locale

from experiments.wording import Figure, Listed, Term, Worded
from webapp.ui.language import CATALOGUES, NAMES
from webapp.ui.told import in_english, told

_VALUE = re.compile(r"%\((\w+)\)s")
_FIGURE = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(%| [A-Z]{3})?")
_FIELD = re.compile(r"[A-Za-z_][\w.\[\]]*: ")
_TYPED = "given"
"""The name of what somebody sent, which stays as they wrote it."""
_MOVEMENTS, _MOVED = {"word", "change"}, {"better", "worse", "no change shown"}
FEWEST = 8
"""Signs that a whole sentence's template must have of its own: ` to ` alone says nothing of where a text is from."""

_TRANSLATED = next(key for key in NAMES if key != "en")
"""Every catalogue has all sentences; English, which they are written in, has none of its own."""

Template = tuple[int, str, re.Pattern[str]]
"""How many signs of its own it has, the template, and what texts were made of it."""


def recalled(text: str) -> str:
    """What the domain once said, in the reader's language; what it never said, as it is."""
    if isinstance(text, Worded):
        return told(text)
    return told(_recall(text, _known(), FEWEST))


def recalled_refusal(text: str) -> str:
    """Why something was refused, kept as `field: reason; field: reason`, with each reason in the reader's language."""
    known, parts, said = _known(), text.split("; "), list[str]()
    while parts:
        one, two = (_reason("; ".join(parts[:several]), known) for several in (1, 2))
        joined = _own(two[1]) > _own(one[1])  # a reason may have a semicolon of its own
        field, reason = two if joined else one
        said.append(field + told(reason))
        del parts[: 2 if joined else 1]
    return "; ".join(said)


def _reason(text: str, known: Sequence[Template]) -> tuple[str, str]:
    """The field that it begins with, if any, and the reason."""
    found = _FIELD.match(text)
    field = found[0] if found else ""
    return field, _recall(text[len(field) :], known, FEWEST)


def _own(text: str) -> int:
    """How many signs are a template's own; none of a text that the domain never said."""
    return len("".join(_VALUE.split(text.template)[::2])) if isinstance(text, Worded) else 0


def _known() -> Sequence[Template]:
    return templates(_TRANSLATED if in_english() else str(get_locale()))


@cache
def templates(language: str) -> Sequence[Template]:
    """The sentences of a catalogue, those with the most signs of their own first."""
    place = CATALOGUES / language / "LC_MESSAGES" / "messages.mo"
    if not place.exists():
        return ()
    with place.open("rb") as file:
        known = [message.id for message in read_mo(file) if isinstance(message.id, str) and message.id]
    # of two that are alike, the one of intervals: most of what is kept is about effects
    return sorted((_template(one) for one in known), key=lambda found: (-found[0], "%(low)s" not in found[1]))


def _template(text: str) -> Template:
    parts, names = _VALUE.split(text)[::2], _VALUE.findall(text)
    pattern = re.escape(_literal(parts[0], names))
    for index, (name, after) in enumerate(zip(names, parts[1:], strict=True)):
        group = f"(?P={name})" if name in names[:index] else f"(?P<{name}>.+?)"
        pattern += group + re.escape(_literal(after, names))
    return len("".join(parts)), text, re.compile(pattern, re.DOTALL)


def _literal(part: str, names: Sequence[str]) -> str:
    return part.replace("%%", "%") if names else part


def _recall(text: str, known: Sequence[Template], fewest: int) -> str:
    if _FIGURE.fullmatch(text):
        return Figure(text)
    first, stop, rest = text.partition(". ")
    if stop and any(template == f"{first}." for _, template, _ in known):
        return Listed([Worded(f"{first}.", {}), _recall(rest, known, fewest)], " ")
    for signs, template, pattern in known:
        if signs < fewest:
            break
        if found := pattern.fullmatch(text):
            return Worded(template, {name: _value(name, value, known) for name, value in found.groupdict().items()})
    return text


def _value(name: str, text: str, known: Sequence[Template]) -> str:
    """What stood in a sentence; a single word is a key that somebody chose, but where the sentence's word stands."""
    if name == _TYPED:
        return text
    if name in _MOVEMENTS and text in _MOVED:
        return Term("movement", text)
    return _recall(text, known, 1) if " " in text or _FIGURE.fullmatch(text) else text
