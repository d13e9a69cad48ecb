"""Where on the define page an error stands: the definition's field path, as the page names its inputs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from experiments.errors import FieldError
from webapp.ui.told import told

Errors = Mapping[str, list[str]]
"""Messages by the place of the page where they stand."""

_GROUPS = re.compile(
    r"(analysis\.segments|(?:variants\[\d+\]\.)?offer\.(?:if_\w+\.)*(?:tiers\[\d+\]\.)?(?:discount|frequency_cap|pairs|products|items))\b.*"
)
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
    "analysis.segments": _("Groups to compare"),
    "rule.metric": _("What decides"),
    "rule.least_lift": _("By how much"),
    "rule.max_loss": _("Or loses at most, a visitor"),
    "rule.minimum_precision": _("Least precision, of what was planned"),
    "schedule.start_at": _("Start"),
    "schedule.end_at": _("End"),
    "schedule.pause_when": _("Pause by itself"),
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
    "minimum_stock": _("Least stock"),
    "instalments": _("Instalments"),
    "count": _("Parts"),
    "text": _("Text"),
    "social_proof": _("Social proof"),
    "days": _("Days"),
    "minimum": _("Fewest orders"),
    "tier_name": _("Name of the first choice"),
    "tiers": _("Choices"),
    "if_declined": _("Who says no"),
    "if_accepted": _("Who says yes"),
    "saved": _("Saved offer"),
    "type": _("Offer type"),
    "pick": _("Which products"),
}
_DEEPER = frozenset({"if_declined", "if_accepted", "instalments", "social_proof"})


def place(errors: Iterable[FieldError], definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """The errors by place, in the reader's language; of several about one field all are kept, in order, none twice."""
    placed: dict[str, list[str]] = {}
    for error in errors:
        where, said = _place(error.field, definition), told(error.message)
        if where == "targeting" and error.field != where:  # one box holds the whole condition: which part of it?
            said = f"{error.field.removeprefix('targeting.')}: {said}"
        messages = placed.setdefault(where, [])
        if said not in messages:
            messages.append(said)
    return placed


def label(where: str) -> str:
    """A place in words: `variants[1].offer.items` is `Variant 2, items`."""
    if where in _LABELS:
        return str(_LABELS[where])
    named = re.fullmatch(r"variants\[(\d+)\]\.?(?:offer\b\.?)?(.*)", where)
    if named:
        number = gettext("Variant %(number)s", number=int(named[1]) + 1)
        return ", ".join([str(number), *_offer_parts(named[2])])
    if where.startswith("offer."):
        first, *rest = _offer_parts(where.removeprefix("offer."))
        return ", ".join([first[:1].upper() + first[1:], *rest])
    row = re.fullmatch(r"targeting\[(\d+)\]", where)
    if row:
        return str(gettext("Targeting, condition %(number)s", number=int(row[1]) + 1))
    return where.replace("_", " ").replace(".", ", ").capitalize()


def _offer_parts(path: str) -> list[str]:
    """A path within a variant, each part in words: `if_declined.items` is `who says no`, `products`."""
    first, _, rest = path.partition(".")
    if not first:
        return []
    if tier := re.fullmatch(r"tiers\[(\d+)\]", first):
        return [str(gettext("choice %(number)s", number=int(tier[1]) + 2)), *_offer_parts(rest)]
    named = [str(_OFFER_PARTS.get(first.partition("[")[0], first.replace("_", " "))).lower()]
    return named + (_offer_parts(rest) if first in _DEEPER else [])


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
