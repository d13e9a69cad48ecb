"""What must hold of other features before a rule or an experiment applies."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from experiments.targeting import Condition, SavedGroups, compile_condition


class Prerequisite(msgspec.Struct, frozen=True):
    """Another feature's value must match; behind a gate, failing ends the whole feature and not just the rule."""

    feature: str
    condition: Condition
    gate: bool

    def holds(self, value: object) -> bool:
        """Whether the other feature's value is as required."""
        return self.condition.matches({"value": value})


def compile_prerequisites(owner: Mapping[str, Any], saved_groups: SavedGroups | None) -> Sequence[Prerequisite]:
    """The `parentConditions` of a rule or an experiment."""
    return [
        Prerequisite(
            parent["id"], compile_condition(parent.get("condition") or {}, saved_groups), bool(parent.get("gate"))
        )
        for parent in owner.get("parentConditions") or []
    ]
