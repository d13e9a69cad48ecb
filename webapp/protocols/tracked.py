"""What GrowthBook's tracking plugin sends, as exposures and conversions.

The plugin has no event id, no time and no retry: what came is stamped with its arrival, exposures are kept apart by
(experiment, unit), orders by their id. Names differ by language: JavaScript sends `variationId` with the variant's
key, Python `variation_id` with its index and `variation_key` with its key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson

from experiments.errors import Invalid, Malformed
from experiments.events import NewId
from experiments.moment import Micros
from experiments.service.recording import Receipt, Rejection, record_conversions, record_exposures
from experiments.service.snapshot import StorefrontView
from experiments.storage.eventwriter import EventWriter
from webapp.errors import TooLarge

MOST_EVENTS = 1_000
DROPPED = {"feature_evaluated"}
ORDER_NAMES = {"order_completed", "completed_order", "purchase", "order"}
"""An order by the names that shops' trackers give it."""
ORDER_FIELDS = ("order_id", "currency", "discount", "shipping", "tax", "cost")


def record_tracked(writer: EventWriter, view: StorefrontView, body: bytes, now: Micros, new_id: NewId) -> Receipt:
    """Record a batch; a bad event is rejected alone, and Malformed is only what is no array of JSON."""
    exposures: list[tuple[int, bytes]] = []
    conversions: list[tuple[int, bytes]] = []
    rejected: list[Rejection] = []
    for index, event in enumerate(_events(body)):
        try:
            found = _read(event)
        except Invalid as refusal:
            rejected.append(Rejection(index, refusal.code, refusal.message, refusal.errors))
            continue
        if found is not None:
            (exposures if "experiment" in found else conversions).append((index, orjson.dumps(found)))
    met = record_exposures(writer, view, [raw for _, raw in exposures], now)
    done = record_conversions(writer, view, [raw for _, raw in conversions], now, new_id)
    rejected += _placed(met, exposures) + _placed(done, conversions)
    return Receipt(met.accepted + done.accepted, met.duplicate + done.duplicate, tuple(rejected))


def _placed(receipt: Receipt, sent: Sequence[tuple[int, bytes]]) -> list[Rejection]:
    """The rejections, by the place that their events had in the batch."""
    return [replace(r, index=sent[r.index][0]) for r in receipt.rejected]


def _events(body: bytes) -> Sequence[object]:
    try:
        events = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not valid JSON: {error}") from None
    events = [events] if isinstance(events, dict) else events
    if not isinstance(events, list):
        raise Malformed("The body must be an array of events")
    if len(events) > MOST_EVENTS:
        raise TooLarge(f"The batch has {len(events)} events; at most {MOST_EVENTS} are read")
    return events


def _read(event: object) -> dict[str, Any] | None:
    """The event as the contract writes exposures and conversions; None for what is not kept."""
    if not isinstance(event, dict) or not isinstance(event.get("event_name"), str):
        raise Invalid.at("event_name", "is required")
    given = event.get("properties_json")
    properties: Mapping[str, Any] = given if isinstance(given, dict) else {}
    name = re.sub(r"[^a-z0-9]+", "_", event["event_name"].lower()).strip("_")
    if name in DROPPED or (name == "experiment_viewed" and properties.get("in_experiment") is False):
        return None
    if name == "experiment_viewed":
        return _exposure(event, properties)
    if name in ORDER_NAMES:
        return _order(event, properties)
    if not name:
        raise Invalid.at("event_name", f"{event['event_name']!r} has no letter to be named by")
    return {"type": name[:100], "value": _number(properties.get("value")), **_unit(event, properties)}


def _exposure(event: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    variant = properties.get("variation_key", properties.get("variationId"))
    experiment = properties.get("experiment_id", properties.get("experimentId"))
    attribute = properties.get("hash_attribute", properties.get("hashAttribute"))
    hashed = properties.get("hash_value", properties.get("hashValue"))
    unit = (
        {"customer_id" if attribute == "customer_id" else "visitor_id": hashed} if hashed else _unit(event, properties)
    )
    return {"experiment": experiment, "variant": variant, "kind": "viewed", **unit}


def _order(event: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: properties[name] for name in ORDER_FIELDS if properties.get(name) is not None}
    lines = properties.get("products", properties.get("items"))
    if isinstance(lines, list):
        kept = ("product_id", "quantity", "price")
        named["items"] = [
            {"quantity": 1} | {n: line[n] for n in kept if n in line} for line in lines if isinstance(line, dict)
        ]
    return {"type": "order", "revenue": _revenue(properties), **named, **_unit(event, properties)}


def _revenue(properties: Mapping[str, Any]) -> object:
    """What was paid for goods: `revenue`, else `subtotal`, else `total` less the shipping and tax that are given."""
    for name in ("revenue", "subtotal"):
        if properties.get(name) is not None:
            return properties[name]
    if properties.get("total") is None:
        return None
    try:
        parts = [Decimal(str(properties.get(name) or 0)) for name in ("total", "shipping", "tax")]
    except InvalidOperation:
        raise Invalid.at("total", "total, shipping and tax must be numbers") from None
    return str(parts[0] - parts[1] - parts[2])


def _unit(event: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Who it was: the visitor is the `id` attribute, which the plugin sends as `device_id`."""
    context = event.get("context_json")
    attributes: Mapping[str, Any] = context if isinstance(context, dict) else {}
    visitor = properties.get("visitor_id") or event.get("device_id")
    customer = properties.get("customer_id") or attributes.get("customer_id") or event.get("user_id")
    return {name: value for name, value in (("visitor_id", visitor), ("customer_id", customer)) if value}


def _number(value: object) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
