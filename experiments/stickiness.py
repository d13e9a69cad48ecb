"""Sticky buckets: a unit keeps its variation although weights, coverage or targeting changed since.

A document holds what one attribute's value was assigned; its key is `attribute||value`, the key of an assignment in it
`experiment__bucketVersion`. GrowthBook's clients keep such documents in a cookie or a store of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from experiments.ecmascript import to_string, truthy

Documents = Mapping[str, Mapping[str, Any]]


class Held(msgspec.Struct, frozen=True):
    """A sticky document to be saved: GrowthBook's JSON under its key."""

    key: str
    document: Mapping[str, object]


class Stickiness(msgspec.Struct, frozen=True):
    """How one experiment sticks: units of a bucket version below the minimum are put out of it."""

    experiment: str
    attribute: str
    fallback: str | None
    bucket_version: int
    minimum_version: int
    variation_keys: Sequence[str | None]

    def look_up(self, attributes: Mapping[str, object], documents: Documents) -> tuple[int, bool]:
        """The index of the variation the unit holds, or -1; and whether an older version bars it."""
        held = self._held(attributes, documents)
        if any(f"{self.experiment}__{version}" in held for version in range(self.minimum_version)):
            return -1, True
        key = held.get(f"{self.experiment}__{self.bucket_version}")
        return (self.variation_keys.index(key) if key is not None and key in self.variation_keys else -1), False

    def _held(self, attributes: Mapping[str, object], documents: Documents) -> dict[str, str]:
        held: dict[str, str] = {}
        for attribute in (self.fallback or "id", self.attribute):  # the later one wins
            value = attributes.get(attribute)
            document = documents.get(_key(attribute, value)) if truthy(value) else None
            held.update((document or {}).get("assignments") or {})
        return held

    def hold(self, attribute: str, value: object, variation_key: str, documents: Documents) -> Held | None:
        """The document that keeps this variation; None if the unit's own says so already."""
        key = _key(attribute, value)
        before = (documents.get(key) or {}).get("assignments") or {}
        after = {**before, f"{self.experiment}__{self.bucket_version}": variation_key}
        if after == before:
            return None
        return Held(key, {"attributeName": attribute, "attributeValue": to_string(value), "assignments": after})


def _key(attribute: str, value: object) -> str:
    return f"{attribute}||{to_string(value)}"
