"""What GrowthBook's tracking plugin sends, as exposures and conversions.

The plugin has no event id, no time and no retry: what came is stamped with its arrival, exposures are kept apart by
(experiment, unit), orders by their id. Names differ by language: JavaScript sends `variationId` with the variant's
key, Python `variation_id` with its index and `variation_key` with its key.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from experiments.errors import Invalid, Malformed
from experiments.moment import Micros
from experiments.service.recording import Receipt
from experiments.service.snapshot import StorefrontView
from experiments.wording import worded
from webapp.errors import TooLarge
from webapp.protocols.batches import Dialect, Store, record_messages
from webapp.protocols.ecommerce import MET, Context, Record, snake, to_record

MOST_EVENTS = 1_000
SOURCE = "growthbook"
"""The intake by which quarantine knows these events."""
DROPPED = frozenset({"feature_evaluated"})
UNKEPT = frozenset({"context_json", "url"})


def record_tracked(store: Store, view: StorefrontView, body: bytes, now: Micros) -> Receipt:
    """Record a batch; a bad event is rejected alone, and Malformed is only what is no array of JSON."""
    return record_messages(store, view, _events(body), dialect(view), now)


def dialect(view: StorefrontView) -> Dialect:
    """How the plugin's events are read. The page's address and the visitor's attributes are not kept."""
    return Dialect(SOURCE, lambda event: _read(event, view), _kept)


def _kept(event: object) -> object:
    """An event in quarantine: who it is about, without the rest that is known about them."""
    if not isinstance(event, dict):
        return event
    customer = _unit(event, {}).get("customer_id")
    return {k: v for k, v in event.items() if k not in UNKEPT} | ({"user_id": customer} if customer else {})


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


def _read(event: object, view: StorefrontView) -> Record | None:
    """The event as the contract writes exposures and conversions; None for what is not kept."""
    if not isinstance(event, dict) or not isinstance(event.get("event_name"), str):
        raise Invalid.at("event_name", worded("is required"))
    given = event.get("properties_json")
    properties: Mapping[str, Any] = given if isinstance(given, dict) else {}
    name = snake(event["event_name"])
    if name in DROPPED or (name in MET and properties.get("in_experiment") is False):
        return None
    if not name:
        raise Invalid.at(
            "event_name", worded("%(given)s has no letter to be named by", given=repr(event["event_name"]))
        )
    unit = (_hashed(properties) if name in MET else None) or _unit(event, properties)
    return to_record(event["event_name"], properties, Context(view, **unit, occurred_at=None, event_id=None))


def _hashed(properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """The unit that was drawn, as the SDK says it."""
    named = {snake(name): value for name, value in properties.items()}
    value = named.get("hash_value")
    if not value:
        return None
    drawn = named.get("hash_attribute") == "customer_id"
    return {"visitor_id": None if drawn else value, "customer_id": value if drawn else None}


def _unit(event: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Who it was: the visitor is the `id` attribute, which the plugin sends as `device_id`."""
    context = event.get("context_json")
    attributes: Mapping[str, Any] = context if isinstance(context, dict) else {}
    visitor = properties.get("visitor_id") or event.get("device_id")
    customer = properties.get("customer_id") or attributes.get("customer_id") or event.get("user_id")
    return {"visitor_id": visitor or None, "customer_id": customer or None}
