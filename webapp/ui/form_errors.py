"""Where on the define page an error stands: the definition's field path, as the page names its inputs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from experiments.errors import FieldError

Errors = Mapping[str, list[str]]
"""Messages by the place of the page where they stand."""

_GROUPS = re.compile(r"(variants\[\d+\]\.offer\.(?:discount|frequency_cap|pairs|products|items))\b.*")
_LABELS = {
    "key": _("Key"),
    "name": _("Name"),
    "placement": _("Placement"),
    "new_placement": _("New placement"),
    "coverage": _("Coverage"),
    "variants": _("Variants"),
    "targeting": _("Targeting"),
    "targeting_json": _("Targeting as JSON"),
    "hypothesis": _("Hypothesis"),
    "metrics.primary": _("Primary metric"),
    "analysis.confidence": _("Confidence"),
    "unit": _("Unit"),
    "analysis.window_days": _("Conversion window"),
    "analysis.minimum_days": _("Minimum run time"),
    "analysis.target_mde": _("Smallest lift worth finding"),
    "analysis.monitoring": _("Where it may be read early, by"),
    "analysis.planned_units": _("Planned visitors, control and one variant"),
    "analysis.looks": _("Planned looks"),
    "analysis.spending": _("Planned looks share the error"),
    "schedule.start_at": _("Start"),
    "schedule.end_at": _("End"),
    "layer.key": _("Layer"),
    "layer.start": _("Layer, from"),
    "layer.end": _("Layer, to"),
}

_OFFER_PARTS = {
    "key": _("Key"),
    "name": _("Name"),
    "weight": _("Weight"),
    "items": _("Products"),
    "pairs": _("Pairs"),
    "products": _("Products to add"),
    "discount": _("Discount"),
    "headline": _("Headline"),
    "body": _("Text"),
    "call_to_action": _("Button"),
    "image": _("Picture"),
    "valid_from": _("Shown from"),
    "valid_until": _("Shown until"),
    "minimum_margin": _("Least margin"),
    "free_shipping_over": _("Free shipping over"),
    "limit": _("Show at most"),
    "frequency_cap": _("Frequency cap"),
    "max_price_ratio": _("Highest price ratio"),
}


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
        return str(_LABELS[where])
    named = re.fullmatch(r"variants\[(\d+)\]\.?(?:offer\.)?(.*)", where)
    if named:
        return _variant_label(int(named[1]) + 1, named[2])
    row = re.fullmatch(r"targeting\[(\d+)\]", where)
    if row:
        return str(gettext("Targeting, condition %(number)s", number=int(row[1]) + 1))
    return where.replace("_", " ").replace(".", ", ").capitalize()


def _variant_label(number: int, part: str) -> str:
    if not part:
        return str(gettext("Variant %(number)s", number=number))
    named = _OFFER_PARTS.get(part.partition("[")[0].partition(".")[0], part.replace("_", " "))
    return str(gettext("Variant %(number)s, %(part)s", number=number, part=str(named).lower()))


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
