"""Saved audiences: who is meant, said once and used in the targeting of many experiments.

A list is asked as `{"id": {"$inGroup": "vip"}}`, a list or a condition as `{"$savedGroup": {"id": "vip"}}`. They are
GrowthBook's saved groups, so that its SDKs understand them too.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from experiments.conditions import check_condition
from experiments.errors import FieldError, Invalid
from experiments.identifiers import Key, Name
from experiments.shape import convert
from experiments.wording import worded

MOST_VALUES = 100_000
Member = str | int | float


class AudienceInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An audience as the API writes it: a list of an attribute's values, or a condition."""

    key: Key
    type: Literal["list", "condition"]
    name: Name = ""
    attribute: Annotated[Name, msgspec.Meta(min_length=1)] | None = None
    values: Annotated[list[Member], msgspec.Meta(max_length=MOST_VALUES)] | None = None
    condition: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """A saved audience; `group` is the object that GrowthBook's SDKs read."""

    key: str
    name: str
    group: dict[str, Any]

    @property
    def is_list(self) -> bool:
        """Whether it is a list of values rather than a condition."""
        return bool(self.group["type"] == "list")


def parse_audience(value: object, others: Collection[str]) -> Audience:
    """An audience at the door; a condition may name the `others`. Invalid lists every broken rule."""
    given = convert(value, AudienceInput)
    errors: list[FieldError] = []
    if given.type == "list":
        if given.values is None:
            errors.append(FieldError("values", worded("is required: the members of the list")))
        if given.condition is not None:
            errors.append(FieldError("condition", worded("does not go with a list")))
        group: dict[str, Any] = {"type": "list", "attributeKey": given.attribute or "id", "values": given.values}
    else:
        if not given.condition:
            errors.append(FieldError("condition", worded("is required, and must say something")))
        errors += [
            FieldError(n, worded("does not go with a condition"))
            for n in ("values", "attribute")
            if getattr(given, n) is not None
        ]
        errors += check_condition(given.condition or {}, "condition", set(others) - {given.key})
        group = {"type": "condition", "condition": given.condition}
    if errors:
        raise Invalid(errors)
    return Audience(given.key, given.name or given.key, group)


def audience_json(audience: Audience) -> dict[str, Any]:
    """As the API writes it; `parse_audience` gives the same back."""
    shown: dict[str, Any] = {"key": audience.key, "name": audience.name, "type": audience.group["type"]}
    if audience.is_list:
        return shown | {"attribute": audience.group["attributeKey"], "values": audience.group["values"]}
    return shown | {"condition": audience.group["condition"]}


def named_audiences(condition: object) -> set[str]:
    """The keys of the audiences that a condition names, at any depth."""
    if isinstance(condition, list):
        return set().union(*map(named_audiences, condition))
    if not isinstance(condition, dict):
        return set()
    named: set[str] = set()
    for key, inner in condition.items():
        if key in {"$inGroup", "$notInGroup"} and isinstance(inner, str):
            named.add(inner)
        elif key == "$savedGroup" and isinstance(inner, dict) and isinstance(inner.get("id"), str):
            named.add(inner["id"])
        else:
            named |= named_audiences(inner)
    return named
