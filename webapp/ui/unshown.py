"""What a definition holds that the define page has no field for: saving the page must not lose it."""

from collections.abc import Mapping
from typing import Any

from webapp.ui.variant_form import OFFER_FIELDS


def with_unshown(value: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """The page's values with what only the API can write, of the experiment and of each offer that kept its type."""
    merged = {**{name: kept for name, kept in held.items() if name not in value and name != "layer"}, **value}
    for name in ("analysis", "metrics", "schedule"):
        merged[name] = {**{k: v for k, v in held[name].items() if k not in value[name]}, **value[name]}
    before = {variant["key"]: variant for variant in held["variants"]}
    merged["variants"] = [_variant(variant, before.get(variant["key"])) for variant in value["variants"]]
    margins = {guardrail["metric"]: guardrail for guardrail in held["metrics"]["guardrails"]}
    merged["metrics"]["guardrails"] = [{**margins.get(g["metric"], {}), **g} for g in merged["metrics"]["guardrails"]]
    return merged


def _variant(variant: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    if before is None or before["offer"]["type"] != variant["offer"]["type"]:
        return dict(variant)
    unshown = {name: kept for name, kept in before["offer"].items() if name not in OFFER_FIELDS}
    return {
        **{k: v for k, v in before.items() if k not in variant},
        **variant,
        "offer": {**unshown, **variant["offer"]},
    }
