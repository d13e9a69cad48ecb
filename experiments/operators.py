"""The operators of a condition that look at one value: each takes its operand once and gives a test.

The conversions are GrowthBook's JavaScript SDK's; a test for the operand's own type stands first in each, since that
is what nearly every visitor's attribute has.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from experiments.ecmascript import comparable, double, identical, kind, same_json, to_number, to_string, truthy
from experiments.patterns import UnsupportedPattern, compile_pattern
from experiments.versions import padded_version

Test = Callable[[Any], bool]


class Unevaluable(Exception):  # a signal inside an evaluation, which no caller sees
    """The condition cannot be evaluated, so that nothing may be concluded from it, and not its opposite either."""


def always(_: object) -> bool:
    """Passes every value."""
    return True


def never(_: object) -> bool:
    """Passes no value."""
    return False


def unevaluable(_: object) -> bool:
    """Ends the evaluation."""
    raise Unevaluable


def negation(test: Test) -> Test:
    """The opposite of a test."""
    return lambda value: not test(value)


def equals_literal(expected: object, *, ignore_case: bool = False) -> Test:
    """The test of `{"country": "US"}`: the value, converted to the literal's type, equals it."""
    if isinstance(expected, str):
        return _equals_text(expected, ignore_case)
    if isinstance(expected, bool):
        return lambda value: value is not None and truthy(value) is expected
    if isinstance(expected, (int, float)):
        number = double(expected)
        return lambda value: to_number(value) == number
    if expected is None:
        return lambda value: value is None
    return lambda value: same_json(value, expected)


def _equals_text(expected: str, ignore_case: bool) -> Test:
    if ignore_case:
        lower = expected.lower()
        return lambda value: to_string(value).lower() == lower
    return lambda value: value == expected if type(value) is str else to_string(value) == expected


def contains(values: Iterable[object], *, ignore_case: bool = False) -> Test:
    """Whether a value, or one of an array's, is among these; types count, and no array or object is among them."""
    texts, numbers, flags = set(), set(), set()
    for value in values:
        if isinstance(value, str):
            texts.add(value.lower() if ignore_case else value)
        elif value is None or isinstance(value, bool):
            flags.add(value)
        elif isinstance(value, (int, float)):
            numbers.add(double(value))

    def single(value: Any) -> bool:
        if isinstance(value, str):
            return (value.lower() if ignore_case else value) in texts
        if value is None or isinstance(value, bool):
            return value in flags
        return isinstance(value, (int, float)) and double(value) in numbers

    def test(value: Any) -> bool:
        if type(value) is str and not ignore_case:
            return value in texts
        return any(map(single, value)) if isinstance(value, (list, tuple)) else single(value)

    return test


def _identical_to(expected: object) -> Test:
    if isinstance(expected, str):
        return lambda value: bool(value == expected)
    return lambda value: identical(value, expected)


def _ordered(relation: Callable[[Any, Any], bool]) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        if isinstance(expected, (int, float)):
            number = to_number(expected)
            return lambda value: relation(value if type(value) is float else to_number(value), number)

        def test(value: Any) -> bool:
            return relation(*comparable(value, expected))

        return test

    return build


def _versioned(relation: Callable[[Any, Any], bool]) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        padded = padded_version(expected)
        return lambda value: relation(padded_version(value), padded)

    return build


def _member(*, ignore_case: bool = False) -> Callable[[object], Test]:
    return lambda expected: contains(expected, ignore_case=ignore_case) if isinstance(expected, list) else never


def _no_member(*, ignore_case: bool = False) -> Callable[[object], Test]:
    return lambda expected: (
        negation(contains(expected, ignore_case=ignore_case)) if isinstance(expected, list) else never
    )


def _pattern(*, ignore_case: bool) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        try:
            found = compile_pattern(expected, ignore_case=ignore_case) if isinstance(expected, str) else None
        except UnsupportedPattern:
            return unevaluable
        if found is None:
            return never
        return lambda value: found(value if type(value) is str else to_string(value))

    return build


def _exists(expected: object) -> Test:
    return (lambda value: value is not None) if truthy(expected) else (lambda value: value is None)


def _of_type(expected: object) -> Test:
    return lambda value: kind(value) == expected


OPERATORS: Mapping[str, Callable[[object], Test]] = {
    "$eq": _identical_to,
    "$ne": lambda expected: negation(_identical_to(expected)),
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$veq": _versioned(operator.eq),
    "$vne": _versioned(operator.ne),
    "$vlt": _versioned(operator.lt),
    "$vlte": _versioned(operator.le),
    "$vgt": _versioned(operator.gt),
    "$vgte": _versioned(operator.ge),
    "$in": _member(),
    "$nin": _no_member(),
    "$ini": _member(ignore_case=True),
    "$nini": _no_member(ignore_case=True),
    "$exists": _exists,
    "$type": _of_type,
    "$regex": _pattern(ignore_case=False),
    "$regexi": _pattern(ignore_case=True),
}
"""Those whose operand is a plain value; `targeting` has those whose operand is itself a condition."""
