"""Orders that came in other words than ours and were not counted: for the books, which name a reason for each."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Connection

from experiments.errors import Invalid, Malformed
from experiments.service.reconciling import Claim
from experiments.service.snapshot import StorefrontView
from experiments.storage.inbox import kept_bodies
from experiments.storage.quarantine import held
from webapp.protocols import messages, shopify, tracked, woocommerce
from webapp.protocols.ecommerce import ORDER_ID, ORDERED, snake

_CLAIMED = {"shopify": shopify.claimed, "woocommerce": woocommerce.claimed}


def all_claims(conn: Connection, view: StorefrontView) -> Iterator[Claim]:
    """The claims of tracking clients and of shops' webhooks."""
    return chain(_tracked(conn, view), _delivered(conn, view))


def _delivered(conn: Connection, view: StorefrontView) -> Iterator[Claim]:
    """Paid orders in the inbox that were passed over, or could not be recorded."""
    for one in kept_bodies(conn, view.storefront.id):
        if one.state == "done":
            continue
        try:
            found = _CLAIMED[one.delivery.source](view, one.delivery)
        except (Invalid, Malformed):
            continue
        if found is not None:
            why, order = found
            code = why or one.reason.partition(":")[0] or one.state
            yield Claim(order["order_id"], code, one.delivery.received_at, order["revenue"], order["currency"])


def _tracked(conn: Connection, view: StorefrontView) -> Iterator[Claim]:
    """Refused messages that were meant to be orders."""
    for event in held(conn, view.storefront.id):
        if event.source not in {messages.SOURCE, tracked.SOURCE}:
            continue
        try:
            given = msgspec.json.decode(event.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        name, properties = _said(given.get("message", given) if isinstance(given, dict) else None)
        order_id = next((properties[known] for known in ORDER_ID if properties.get(known)), None)
        if snake(name) in ORDERED and isinstance(order_id, str | int):
            currency = properties.get("currency", view.storefront.currency)
            yield Claim(str(order_id), event.code, event.received_at, properties.get("revenue"), currency)


def _said(message: object) -> tuple[str, dict[str, Any]]:
    """A message's name and its properties, in one spelling."""
    if not isinstance(message, dict):
        return "", {}
    name = message.get("event", message.get("event_name"))
    given = message.get("properties", message.get("properties_json"))
    properties = {snake(key): value for key, value in given.items()} if isinstance(given, dict) else {}
    return name if isinstance(name, str) else "", properties
