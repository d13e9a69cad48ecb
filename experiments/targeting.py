"""Who an experiment is for: GrowthBook's condition language, compiled once and asked many times.

What a condition means is settled by GrowthBook's JavaScript SDK (1.8.0, specification 0.8.0), whose conversions are in
`ecmascript`: `8 > "5"` holds, a missing attribute is null. What cannot be evaluated at all matches nobody, not even
under `$not`; `check_condition` keeps it out at the door.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.conditions import check_condition
from experiments.ecmascript import is_index, to_string
from experiments.operators import (
    OPERATORS,
    Test,
    Unevaluable,
    always,
    contains,
    equals_literal,
    negation,
    never,
    unevaluable,
)

__all__ = ["Condition", "SavedGroups", "check_condition", "compile_condition"]

SavedGroups = Mapping[str, object]
"""By id: a bare list of values, or an object `{"type": "list" | "condition", ...}`."""

_DEEPEST = 50  # far beyond what the door lets in, and far from Python's own limit


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    source: Mapping[str, object]
    _test: Test = field(repr=False, compare=False)

    def matches(self, attributes: Mapping[str, object]) -> bool:
        """Whether a unit with these attributes is meant."""
        try:
            return self._test(attributes)
        except (Unevaluable, RecursionError):  # the latter from attributes nested a thousand deep
            return False


def compile_condition(condition: Mapping[str, object], saved_groups: SavedGroups | None = None) -> Condition:
    """The condition, ready to be asked; it is total: what is malformed in it matches nobody."""
    return Condition(condition, _Scope(saved_groups or {}).condition(condition))


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where in a condition the compiler is: how deep, and inside which saved groups."""

    groups: SavedGroups
    inside: frozenset[str] = frozenset()
    depth: int = 0

    def _deeper(self, group: str | None = None) -> "_Scope":
        return _Scope(self.groups, self.inside | {group} if group else self.inside, self.depth + 1)

    def condition(self, condition: object) -> Test:
        if not isinstance(condition, Mapping) or self.depth > _DEEPEST:
            return unevaluable
        return _all([self._deeper()._entry(key, operand) for key, operand in condition.items()])

    def _entry(self, key: str, operand: object) -> Test:
        match key:
            case "$or":
                return self._listed(operand, _any)
            case "$nor":
                return negation(self._listed(operand, _any))
            case "$and":
                return self._listed(operand, _all)
            case "$not":
                return negation(self.condition(operand))
            case "$savedGroup":
                return self._saved_group(operand)
        return _at_path(key, self.value(operand))

    def _listed(self, conditions: object, combine: Callable[[Sequence[Test]], Test]) -> Test:
        if not isinstance(conditions, list):
            return unevaluable
        return combine([self.condition(condition) for condition in conditions]) if conditions else always

    def _saved_group(self, reference: object) -> Test:
        if not isinstance(reference, Mapping):
            return never
        name, attribute = reference.get("id"), reference.get("attributeKey")
        group = self.groups.get(name) if isinstance(name, str) and name not in self.inside else None
        if not isinstance(group, Mapping) or ("attributeKey" in reference and not isinstance(attribute, str)):
            return never
        if group.get("type") == "condition":
            body = group.get("condition")
            return self._deeper(name).condition(body) if isinstance(body, Mapping) else never
        values = group.get("values") if group.get("type") == "list" else None
        path = group.get("attributeKey") if attribute is None else attribute
        return _at_path(path, contains(values)) if isinstance(path, str) and isinstance(values, list) else never

    def value(self, operand: object, *, ignore_case: bool = False) -> Test:
        """The test of one attribute's value: a literal, or an object of operators that must all pass."""
        if not _is_operators(operand):
            return equals_literal(operand, ignore_case=ignore_case)
        assert isinstance(operand, Mapping)
        if self.depth > _DEEPEST:
            return unevaluable
        return _all([self._deeper()._operator(name, inner) for name, inner in operand.items()])

    def _operator(self, name: str, operand: object) -> Test:
        if build := OPERATORS.get(name):
            return build(operand)
        match name:
            case "$not":
                return negation(self.value(operand))
            case "$inGroup":
                values = self._group_values(operand)
                return never if values is None else contains(values)
            case "$notInGroup":
                values = self._group_values(operand)
                return never if values is None else negation(contains(values))
            case "$size":
                return _sized(self.value(operand))
            case "$elemMatch":
                return _element(self.value(operand) if _is_operators(operand) else self.condition(operand))
            case "$all" | "$alli" if isinstance(operand, list):
                return _every([self.value(item, ignore_case=name == "$alli") for item in operand])
        return never

    def _group_values(self, name: object) -> Sequence[object] | None:
        """The members of a saved group; none if it is unknown, None if what is known is no list."""
        group = self.groups.get(to_string(name), [])
        values = group.get("values") if isinstance(group, Mapping) and group.get("type") == "list" else group
        return values if isinstance(values, list) else None


def _is_operators(operand: object) -> bool:
    """Whether it is an object of operators: one with keys, which all begin with `$`."""
    return isinstance(operand, Mapping) and bool(operand) and all(key.startswith("$") for key in operand)


def _all(tests: Sequence[Test]) -> Test:
    match tests:
        case []:
            return always
        case [only]:
            return only
        case [first, second]:
            return lambda value: first(value) and second(value)

    def every(value: Any) -> bool:
        for test in tests:  # noqa: SIM110  # all() and a generator cost twice as much, in the hottest place there is
            if not test(value):
                return False
        return True

    return every


def _any(tests: Sequence[Test]) -> Test:
    return lambda value: any(test(value) for test in tests)


def _at_path(path: str, test: Test) -> Test:
    names = path.split(".")
    if len(names) == 1:
        return lambda owner: test(owner.get(path) if type(owner) is dict else _own(owner, path))

    def at_path(owner: Any) -> bool:
        for name in names:
            owner = owner.get(name) if type(owner) is dict else _own(owner, name)
        return test(owner)

    return at_path


def _own(owner: Any, name: str) -> Any:
    """A property of an object or an array's item or length; null where there is none."""
    if isinstance(owner, Mapping):
        return owner.get(name)
    if isinstance(owner, (list, tuple)):
        if name == "length":
            return len(owner)
        if is_index(name) and int(name) < len(owner):
            return owner[int(name)]
    return None


def _sized(test: Test) -> Test:
    return lambda value: isinstance(value, (list, tuple)) and test(len(value))


def _element(test: Test) -> Test:
    return lambda value: isinstance(value, (list, tuple)) and any(test(item) for item in value if item is not None)


def _every(tests: Sequence[Test]) -> Test:
    def test(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(any(map(each, value)) for each in tests)

    return test
