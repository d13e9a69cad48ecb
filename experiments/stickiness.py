"""Sticky buckets: a unit keeps its variation although weights, coverage or targeting changed since.

A document holds what one attribute's value was assigned; its key is `attribute||value`, the key of an assignment in it
`experiment__bucketVersion`. GrowthBook's clients keep such documents in a cookie or a store of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from experiments.ecmascript import to_string, truthy

Document = Mapping[str, Any]  # {"attributeName", "attributeValue", "assignments": {...}}


class StickyBuckets:
    """A unit's documents during one evaluation, and those that the evaluation changed and the caller should save."""

    __slots__ = ("changed", "documents")

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self.documents = dict(documents)
        self.changed: dict[str, Document] = {}

    def assignments(self, key: str) -> Mapping[str, str]:
        """What is kept under this key."""
        return self.documents.get(key, {}).get("assignments") or {}

    def keep(self, attribute: str, value: object, assignments: Mapping[str, str]) -> None:
        """Adds to the document of this attribute's value."""
        key = _key(attribute, value)
        before = self.assignments(key)
        after = {**before, **assignments}
        if after != before:
            document = {"attributeName": attribute, "attributeValue": to_string(value), "assignments": after}
            self.documents[key] = self.changed[key] = document


class Stickiness(msgspec.Struct, frozen=True):
    """How one experiment sticks: units of a bucket version below the minimum are put out of it."""

    experiment: str
    attribute: str
    fallback: str | None
    bucket_version: int
    minimum_version: int
    variation_keys: Sequence[str | None]

    def look_up(self, attributes: Mapping[str, object], buckets: StickyBuckets) -> tuple[int, bool]:
        """The index of the variation the unit holds, or -1; and whether an older version bars it."""
        held: dict[str, str] = {}
        for attribute in (self.fallback or "id", self.attribute):  # the later one wins
            value = attributes.get(attribute)
            if truthy(value):
                held.update(buckets.assignments(_key(attribute, value)))
        if any(f"{self.experiment}__{version}" in held for version in range(self.minimum_version)):
            return -1, True
        key = held.get(f"{self.experiment}__{self.bucket_version}")
        return (self.variation_keys.index(key) if key is not None and key in self.variation_keys else -1), False

    def keep(self, attribute: str, value: object, variation_key: str, buckets: StickyBuckets) -> None:
        """Keeps this variation for the unit."""
        buckets.keep(attribute, value, {f"{self.experiment}__{self.bucket_version}": variation_key})


def _key(attribute: str, value: object) -> str:
    return f"{attribute}||{to_string(value)}"
