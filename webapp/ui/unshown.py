"""What somebody did not touch stays exactly as it was: what the page has no field for, and what a field cannot hold.

A browser's fields know no hour that comes twice, no blank at the end of a line, and nothing that only the API writes.
So what is saved is merged three ways: of what was held, of what the page made of that, and of what came back.
"""

from collections.abc import Mapping
from typing import Any


def with_unshown(value: Mapping[str, Any], held: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """The page's values, with what is held wherever they are what the page showed of it."""
    merged: dict[str, Any] = as_held(value, held, shown)
    before = {variant["key"]: variant for variant in held["variants"]}
    pictured = {variant["key"]: variant for variant in shown["variants"]}
    merged["variants"] = [
        as_held(variant, before[key], pictured[key])
        if (key := variant["key"]) in before and key in pictured
        else variant
        for variant in value["variants"]
    ]
    margins = {guardrail["metric"]: guardrail for guardrail in held["metrics"]["guardrails"]}
    guardrails = [{**margins.get(g["metric"], {}), **g} for g in value["metrics"]["guardrails"]]
    merged["metrics"] = {**merged["metrics"], "guardrails": guardrails}
    return merged


def as_held(value: Any, held: Any, shown: Any) -> Any:
    """What came back, and what was held wherever that is what was shown of it."""
    if value == shown:
        return held
    if isinstance(value, Mapping) and isinstance(held, Mapping) and isinstance(shown, Mapping):
        if value.get("type") != shown.get("type") or ("saved" in value) != ("saved" in shown):
            return value  # another kind of offer: nothing of the one before is meant
        return {
            name: as_held(value[name], held[name], shown[name]) if name in held and name in shown else value[name]
            for name in value
        } | {name: kept for name, kept in held.items() if name not in value and name not in shown}
    lists = all(isinstance(part, list) for part in (value, held, shown))
    if lists and len(value) == len(held) == len(shown):
        return [as_held(*parts) for parts in zip(value, held, shown, strict=True)]
    return value
