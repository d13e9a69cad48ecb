"""What is wrong with a condition, found before anybody depends on it.

The evaluation follows GrowthBook and lets nearly everything pass with some meaning or other: an unknown operator
matches nobody, a misspelt type never. Here such things are refused, each with its path.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping

from experiments.errors import FieldError
from experiments.patterns import UnsupportedPattern, compile_pattern
from experiments.wording import worded

MAX_DEPTH = 20
MAX_LIST = 10_000

TYPES = ("string", "number", "boolean", "array", "object", "null")
_ORDERINGS = ("$lt", "$lte", "$gt", "$gte")
_VERSIONS = ("$veq", "$vne", "$vlt", "$vlte", "$vgt", "$vgte")
_MEMBERSHIPS = ("$in", "$nin", "$ini", "$nini")

_Errors = Iterator[FieldError]


def check_condition(
    condition: object, where: str = "targeting", saved_groups: Collection[str] | None = None
) -> list[FieldError]:
    """Everything that is wrong with the condition, each with its path below `where`; empty if it is sound.

    With `saved_groups`, a group of another name is wrong too.
    """
    return list(_Check(saved_groups)._condition(condition, where, 0))


class _Check:
    def __init__(self, groups: Collection[str] | None) -> None:
        self._groups = groups

    def _condition(self, condition: object, where: str, depth: int) -> _Errors:
        if not isinstance(condition, Mapping):
            yield FieldError(where, worded("needs an object, not %(given)s", given=_named(condition)))
            return
        if depth > MAX_DEPTH:
            yield FieldError(where, _too_deep())
            return
        for key, operand in condition.items():
            if not isinstance(key, str):
                yield FieldError(where, worded("has a key that is no text: %(key)s", key=repr(key)))
                continue
            yield from self._entry(key, operand, f"{where}.{key}", depth + 1)

    def _entry(self, key: str, operand: object, where: str, depth: int) -> _Errors:
        if key in ("$or", "$nor", "$and"):
            if not isinstance(operand, list) or not operand:
                yield FieldError(where, worded("needs a list of at least one condition"))
                return
            for index, inner in enumerate(operand):
                yield from self._condition(inner, f"{where}[{index}]", depth)
        elif key == "$not":
            yield from self._condition(operand, where, depth)
        elif key == "$savedGroup":
            yield from self._saved_group(operand, where)
        elif key.startswith("$"):
            yield FieldError(
                where, worded("is no operator that stands here: $and, $or, $nor, $not or an attribute's name")
            )
        elif not all(key.split(".")):
            yield FieldError(where, worded("is no attribute's name: a part of it is empty"))
        else:
            yield from self._value(operand, where, depth)

    def _saved_group(self, reference: object, where: str) -> _Errors:
        if not isinstance(reference, Mapping):
            yield FieldError(where, worded("needs an object like %(example)s", example='{"id": "vip"}'))
            return
        yield from self._group(reference.get("id"), f"{where}.id")
        if "attributeKey" in reference and not isinstance(reference["attributeKey"], str):
            yield FieldError(f"{where}.attributeKey", worded("needs an attribute's name"))

    def _group(self, name: object, where: str) -> _Errors:
        if not isinstance(name, str) or not name:
            yield FieldError(where, worded("needs the id of a saved group"))
        elif self._groups is not None and name not in self._groups:
            yield FieldError(where, worded("there is no saved group %(name)s", name=repr(name)))

    def _value(self, operand: object, where: str, depth: int) -> _Errors:
        if not isinstance(operand, Mapping):
            yield from _literal(operand, where, depth)
            return
        if depth > MAX_DEPTH:
            yield FieldError(where, _too_deep())
        elif not operand:
            yield FieldError(
                where, worded("is an empty object, which says nothing; $exists asks whether there is a value")
            )
        elif not any(isinstance(key, str) and key.startswith("$") for key in operand):
            yield from _literal(operand, where, depth)
        else:
            for name, inner in operand.items():
                yield from self._operator(name, inner, f"{where}.{name}", depth + 1)

    def _operator(self, name: object, operand: object, where: str, depth: int) -> _Errors:
        if name in _LEAVES and isinstance(name, str):
            if fault := _LEAVES[name](operand):
                yield FieldError(where, fault)
        elif name in ("$inGroup", "$notInGroup"):
            yield from self._group(operand, where)
        elif name == "$not":
            yield from self._value(operand, where, depth)
        elif name == "$size":
            if isinstance(operand, Mapping):
                yield from self._value(operand, where, depth)
            elif not isinstance(operand, int) or isinstance(operand, bool) or operand < 0:
                yield FieldError(where, worded("needs a whole number, or an object of operators"))
        elif name == "$elemMatch":
            yield from self._element(operand, where, depth)
        elif name in ("$all", "$alli"):
            if not isinstance(operand, list) or not operand:
                yield FieldError(where, worded("needs a list of at least one value"))
                return
            for index, item in enumerate(operand):
                yield from self._value(item, f"{where}[{index}]", depth)
        elif isinstance(name, str) and name.startswith("$"):
            yield FieldError(
                where,
                worded(
                    "%(name)s is no operator; there are %(known)s", name=name, known=", ".join(sorted(OPERATOR_NAMES))
                ),
            )
        else:
            yield FieldError(
                where, worded("%(name)s stands among operators; either all keys begin with $ or none", name=repr(name))
            )

    def _element(self, operand: object, where: str, depth: int) -> _Errors:
        if isinstance(operand, Mapping) and operand and all(str(key) in OPERATOR_NAMES for key in operand):
            yield from self._value(operand, where, depth)
        else:
            yield from self._condition(operand, where, depth)


def _literal(value: object, where: str, depth: int) -> _Errors:
    if depth > MAX_DEPTH:
        yield FieldError(where, _too_deep())
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _literal(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _literal(item, f"{where}.{key}", depth + 1)
    elif fault := _scalar(value):
        yield FieldError(where, fault)


def _scalar(value: object) -> str | None:
    if value is None or isinstance(value, str | bool):
        return None
    if isinstance(value, int):
        return (
            None
            if abs(value) <= 2**53
            else worded("is a number beyond 2^53, which not every client holds; write it as text")
        )
    if isinstance(value, float):
        return None if math.isfinite(value) else worded("is not a finite number")
    return worded("needs a text, a number, true, false or null, not %(given)s", given=_named(value))


def _sortable(value: object) -> str | None:
    if isinstance(value, str) and value:
        return None
    return _scalar(value) if _is_number(value) else worded("needs a number or a text")


def _version(value: object) -> str | None:
    if isinstance(value, str) and any(character.isdigit() for character in value):
        return None
    return _scalar(value) if _is_number(value) else worded('needs a version like "1.2.3"')


def _members(values: object) -> str | None:
    if not isinstance(values, list):
        return worded("needs a list, not %(given)s", given=_named(values))
    if not 0 < len(values) <= MAX_LIST:
        return worded("needs 1 to %(most)s values, not %(given)s", most=MAX_LIST, given=len(values))
    return next((fault for fault in map(_scalar, values) if fault), None)


def _regular_expression(pattern: object) -> str | None:
    if not isinstance(pattern, str) or not pattern:
        return worded("needs a regular expression as a text")
    try:
        return (
            None if compile_pattern(pattern) else worded("is no regular expression: %(pattern)s", pattern=repr(pattern))
        )
    except UnsupportedPattern as reason:
        return reason.why


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else worded("needs true or false")


def _type_name(value: object) -> str | None:
    return None if value in TYPES else worded("needs one of %(types)s", types=", ".join(TYPES))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _too_deep() -> str:
    return worded("is nested more than %(most)s deep", most=MAX_DEPTH)


def _named(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return worded("true or false")
    if _is_number(value):
        return worded("a number")
    if isinstance(value, str):
        return worded("a text")
    if isinstance(value, Mapping):
        return worded("an object")
    return worded("a list") if isinstance(value, list) else worded("a value of another kind")


_LEAVES: Mapping[str, Callable[[object], str | None]] = {
    "$eq": _scalar,
    "$ne": _scalar,
    **dict.fromkeys(_ORDERINGS, _sortable),
    **dict.fromkeys(_VERSIONS, _version),
    **dict.fromkeys(_MEMBERSHIPS, _members),
    "$exists": _flag,
    "$type": _type_name,
    "$regex": _regular_expression,
    "$regexi": _regular_expression,
}
OPERATOR_NAMES = {*_LEAVES, "$not", "$size", "$elemMatch", "$all", "$alli", "$inGroup", "$notInGroup"}
