"""Where on the define page an error stands: the definition's field path, as the page names its inputs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.errors import FieldError

Errors = Mapping[str, list[str]]
"""Messages by the place of the page where they stand."""

_GROUPS = re.compile(r"(variants\[\d+\]\.offer\.(?:discount|frequency_cap|pairs|products|items))\b.*")
_LABELS = {
    "key": "Key", "name": "Name", "placement": "Placement", "new_placement": "New placement", "coverage": "Coverage",
    "variants": "Variants", "targeting": "Targeting", "targeting_json": "Targeting as JSON", "hypothesis": "Hypothesis",
    "metrics.primary": "Primary metric", "analysis.confidence": "Confidence", "unit": "Unit",
    "analysis.window_days": "Conversion window", "analysis.minimum_days": "Minimum run time",
    "analysis.target_mde": "Smallest lift worth finding", "schedule.start_at": "Start", "schedule.end_at": "End",
    "layer.key": "Layer", "layer.start": "Layer, from", "layer.end": "Layer, to",
}  # fmt: skip


def place(errors: Iterable[FieldError], definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """The errors by place; of several about one field all are kept, in order, none twice."""
    placed: dict[str, list[str]] = {}
    for error in errors:
        messages = placed.setdefault(_place(error.field, definition), [])
        if error.message not in messages:
            messages.append(error.message)
    return placed


def label(where: str) -> str:
    """A place in words: `variants[1].offer.items` is `Variant 2, items`."""
    if where in _LABELS:
        return _LABELS[where]
    named = re.fullmatch(r"variants\[(\d+)\]\.?(?:offer\.)?(.*)", where)
    if named:
        part = named[2].replace("_", " ")
        return f"Variant {int(named[1]) + 1}" + (f", {part}" if part else "")
    row = re.fullmatch(r"targeting\[(\d+)\]", where)
    if row:
        return f"Targeting, condition {int(row[1]) + 1}"
    return where.replace("_", " ").replace(".", ", ").capitalize()


def anchor(where: str) -> str:
    """The id of the input at a place: letters, digits and hyphens."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", where).strip("-") or "form"


def _place(field: str, definition: Mapping[str, Any]) -> str:
    if grouped := _GROUPS.fullmatch(field):
        return grouped[1]
    plan = definition.get("metrics", {})
    if listed := re.match(r"metrics\.(secondary|guardrails)\[(\d+)\]", field):
        chosen = plan[listed[1]][int(listed[2])]
        return f"metrics.{chosen if isinstance(chosen, str) else chosen['metric']}"
    if field.startswith("targeting.") or field == "targeting":
        return "targeting"
    return field
