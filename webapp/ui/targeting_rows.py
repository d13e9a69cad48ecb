"""Targeting as rows that anybody can fill in, and back from the condition's JSON where rows can say it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

OPERATORS: Mapping[str, str] = {
    "is": _("is"),
    "$ne": _("is not"),
    "$in": _("is one of"),
    "$nin": _("is none of"),
    "$gte": _("is at least"),
    "$gt": _("is more than"),
    "$lte": _("is at most"),
    "$lt": _("is less than"),
    "$regex": _("matches the pattern"),
    "exists": _("has a value"),
    "missing": _("has no value"),
}
"""What stands between attribute and value, in words."""

VALUELESS = ("exists", "missing")
_LISTS = ("$in", "$nin")
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Row:
    """One condition: `country` `is one of` `DE, FR`."""

    attribute: str = ""
    operator: str = "is"
    value: str = ""

    @property
    def blank(self) -> bool:
        """Whether nothing was typed."""
        return not self.attribute.strip() and not self.value.strip()


def to_condition(rows: Sequence[Row]) -> dict[str, Any]:
    """The condition that all rows must hold; empty where there are none."""
    singles = [{row.attribute.strip(): _operand(row)} for row in rows if not row.blank]
    merged: dict[str, Any] = {}
    for single in singles:
        ((attribute, operand),) = single.items()
        held = merged.get(attribute)
        if attribute not in merged:
            merged[attribute] = operand
        elif isinstance(held, dict) and isinstance(operand, dict) and not held.keys() & operand.keys():
            merged[attribute] = held | operand
        else:
            return {"$and": singles}
    return merged


def to_rows(condition: Mapping[str, Any]) -> list[Row] | None:
    """The rows that say exactly this condition, or None where it takes JSON."""
    if set(condition) == {"$and"}:
        inner = condition["$and"]
        parts = inner if isinstance(inner, list) and all(isinstance(p, dict) for p in inner) else None
    else:
        parts = [condition]
    if parts is None:
        return None
    rows = [row for part in parts for key, operand in part.items() for row in _rows(key, operand)]
    return rows if to_condition(rows) == condition else None


def in_words(condition: Mapping[str, Any]) -> list[str] | None:
    """A sentence a row, or None where only the JSON says it."""
    rows = to_rows(condition)
    if rows is None:
        return None
    return [f"{r.attribute} {OPERATORS[r.operator]} {r.value}".strip() for r in rows]


def parse_value(text: str) -> str | float | bool:
    """`true`, `12` and `1.5` are what they look like; quotes make a text of them."""
    cleaned = text.strip()
    if len(cleaned) > 1 and cleaned.startswith('"') and cleaned.endswith('"'):
        try:
            return str(json.loads(cleaned))
        except ValueError:
            return cleaned
    if cleaned in {"true", "false"}:
        return cleaned == "true"
    if _NUMBER.fullmatch(cleaned):
        return float(cleaned) if "." in cleaned else int(cleaned)
    return cleaned


def value_text(value: object) -> str:
    """The text that `parse_value` reads as this value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = value == value.strip() and "," not in value and '"' not in value and parse_value(value) == value
        return value if plain and value else json.dumps(value, ensure_ascii=False)
    return str(value)


def _operand(row: Row) -> Any:
    match row.operator:
        case "is":
            return parse_value(row.value)
        case "exists":
            return {"$exists": True}
        case "missing":
            return {"$exists": False}
        case "$regex":
            return {"$regex": row.value}
        case operator if operator in _LISTS:
            tokens = [m[1].strip() for m in _TOKEN.finditer(row.value)]
            return {operator: [parse_value(token) for token in tokens if token]}
    return {row.operator: parse_value(row.value)}


def _rows(attribute: str, operand: object) -> list[Row]:
    if not isinstance(operand, Mapping):
        return [Row(attribute, "is", value_text(operand))]
    rows = []
    for operator, inner in operand.items():
        if operator == "$exists":
            rows.append(Row(attribute, "exists" if inner is True else "missing"))
        elif operator == "$regex":
            rows.append(Row(attribute, operator, str(inner)))
        elif operator in _LISTS:
            rows.append(Row(attribute, operator, ", ".join(map(value_text, inner if isinstance(inner, list) else []))))
        elif operator in OPERATORS:
            rows.append(Row(attribute, operator, value_text(inner)))
    return rows
