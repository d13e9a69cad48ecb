"""Sentences for people that pages can say in their own language: English texts that remember what they are made of.

Each is a plain `str` to everybody else: it compares, hashes, joins and is written to JSON as its English sentence.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol, Self

Value = str | int | float | Decimal
"""What stands in a sentence; a text may itself be one of those below."""


class Worded(str):
    """A sentence with its template and values; `many` is the template for more than one of `number`."""

    __slots__ = ("many", "number", "template", "values")
    template: str
    values: Mapping[str, Value]
    many: str | None
    number: int

    def __new__(cls, template: str, values: Mapping[str, Value], many: str | None = None, number: int = 1) -> Self:
        """The English sentence; without values the template is the sentence."""
        text = template if many is None or number == 1 else many
        made = super().__new__(cls, text % values if values else text)
        made.template, made.values, made.many, made.number = template, MappingProxyType(dict(values)), many, number
        return made

    def __reduce__(self) -> tuple[type["Worded"], tuple[object, ...]]:
        return Worded, (self.template, dict(self.values), self.many, self.number)


class Listed(str):
    """Several texts one after the other, each of which is said by itself."""

    __slots__ = ("between", "parts")
    parts: tuple[str, ...]
    between: str

    def __new__(cls, parts: Sequence[str], between: str = ", ") -> Self:
        """The texts in English with this between them, which may be a sentence's part of its own, such as ` or `."""
        made = super().__new__(cls, between.join(parts))
        made.parts, made.between = tuple(parts), between
        return made

    def __reduce__(self) -> tuple[type["Listed"], tuple[object, ...]]:
        return Listed, (self.parts, self.between)


class Term(str):
    """A word of the product's vocabulary, such as a state; pages have a name for it under its `kind`."""

    __slots__ = ("kind",)
    kind: str

    def __new__(cls, kind: str, word: str) -> Self:
        """The word as programs know it."""
        made = super().__new__(cls, word)
        made.kind = kind
        return made

    def __reduce__(self) -> tuple[type["Term"], tuple[object, ...]]:
        return Term, (self.kind, str(self))


class Figure(str):
    """A number as English writes it, such as `1,234.5%`: pages write it with their own signs."""

    __slots__ = ()


def worded(template: str, /, **values: Value) -> Worded:
    """A sentence; the template is a literal, so that it can be gathered for translation."""
    return Worded(template, values)


def worded_n(one: str, many: str, number: int, /, **values: Value) -> Worded:
    """A sentence whose words depend on how many it is about."""
    return Worded(one, values, many, number)


def figure(text: str) -> Figure:
    """A number that was written for English."""
    return Figure(text)


def plain(value: Any) -> Any:
    """What msgspec asks for a text of a kind that it does not know: the English sentence alone."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is no text")


class Tongue(Protocol):
    """A language that sentences are said in."""

    def sentence(self, text: Worded, values: Mapping[str, object]) -> str:
        """A sentence, with its values said already."""

    def figures(self, text: str) -> str:
        """A number that was written for English."""

    def term(self, kind: str, word: str) -> str:
        """The name of a word of the vocabulary."""


def say(text: str, tongue: Tongue) -> str:
    """A text in another language; one that does not remember what it is made of stays as it is."""
    if isinstance(text, Worded):
        values = {name: say(value, tongue) if isinstance(value, str) else value for name, value in text.values.items()}
        return tongue.sentence(text, values)
    if isinstance(text, Listed):
        return say(text.between, tongue).join(say(part, tongue) for part in text.parts)
    if isinstance(text, Term):
        return tongue.term(text.kind, str(text))
    return tongue.figures(text) if isinstance(text, Figure) else text
