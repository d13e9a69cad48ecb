"""Webhooks of shop systems: signed deliveries into the inbox, and from there into the event log.

A delivery is durable before it is read, and is answered 200 even where it cannot be: the shop would only send the same
again. What it could not be made of stays in the inbox with the reason.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import msgspec
from flask import Blueprint, Response, request

from experiments.errors import NotFound, Unavailable
from experiments.moment import Micros
from experiments.sealing import Unsealable
from experiments.service.inbox import Read, is_signed, take_delivery
from experiments.service.snapshot import StorefrontView
from experiments.storage.inbox import Delivery, Source
from webapp.clock import now
from webapp.errors import PROBLEM_JSON, Unauthorized, encode, problem_of
from webapp.lab import Lab, new_id, the_lab
from webapp.protocols import shopify, woocommerce

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")
log = logging.getLogger(__name__)

READERS: Mapping[Source, Read] = MappingProxyType({"shopify": shopify.read, "woocommerce": woocommerce.read})
SIGNATURE = {"shopify": "X-Shopify-Hmac-Sha256", "woocommerce": "X-WC-Webhook-Signature"}
TOPIC = {"shopify": "X-Shopify-Topic", "woocommerce": "X-WC-Webhook-Topic"}
KEPT = (
    "X-Shopify-Topic", "X-Shopify-Shop-Domain", "X-Shopify-API-Version", "X-Shopify-Webhook-Id", "X-Shopify-Event-Id",
    "X-Shopify-Triggered-At", "X-WC-Webhook-Source", "X-WC-Webhook-Topic", "X-WC-Webhook-ID",
    "X-WC-Webhook-Delivery-ID",
)  # fmt: skip
"""The headers that the inbox keeps; of the others none is of use."""

PING = re.compile(rb"webhook_id=[0-9]+\Z")
"""What WooCommerce sends, unsigned, when a webhook is made; anything but 200 and it is not saved."""

PERSONAL = frozenset({
    "addresses", "billing", "billing_address", "browser_ip", "client_details", "contact_email", "customer_ip_address",
    "customer_locale", "customer_note", "customer_user_agent", "default_address", "email", "first_name",
    "landing_site", "last_name", "note", "order_status_url", "payment_details", "payment_url", "phone", "receipt",
    "referring_site", "shipping", "shipping_address", "user_agent",
})  # fmt: skip
"""Who people are and where they live is nothing that an experiment needs, so it is never stored."""


@blueprint.post("/<any(shopify, woocommerce):source>/<storefront>")
def deliver(source: str, storefront: str) -> Response:
    """Take one delivery."""
    lab, at, known = the_lab(), now(), cast("Source", source)
    body = request.get_data(cache=False)
    view = _view(lab, storefront, at)
    if source == "woocommerce" and PING.match(body):
        return _json(200, {"state": "pong"})
    signed = request.headers.get(SIGNATURE[source], "")
    if not _is_signed(lab, view, known, body, signed, at):
        raise Unauthorized(f"{SIGNATURE[source]} is not this body's signature by a secret of this storefront")
    headers = {name: value[:500] for name in KEPT if (value := request.headers.get(name)) is not None}
    delivery = Delivery(known, _delivery_id(headers, body), headers.get(TOPIC[source], ""), headers, _lean(body), at)
    held = take_delivery(lab.engine, lab.writer, view, delivery, READERS[known], at, new_id)
    return _json(200, {"state": held.state, "reason": held.reason})


@blueprint.errorhandler(Exception)
def refused(error: Exception) -> Response:
    """The one error shape."""
    status, headers, shape = problem_of(error)
    return _json(status, shape, {"Content-Type": PROBLEM_JSON} | headers)


def _is_signed(lab: Lab, view: StorefrontView, source: Source, body: bytes, signed: str, at: Micros) -> bool:
    try:
        return is_signed(lab.engine, view.storefront.id, source, body, signed, at, lab.seal)
    except Unsealable as refusal:  # the shop sends again, and may find it mended
        log.warning("webhooks of %s for %s are refused: %s", source, view.storefront.key, refusal.message)
        raise Unavailable("The secret of these webhooks cannot be read just now", retry_after=60) from None


def _view(lab: Lab, key: str, at: Micros) -> StorefrontView:
    for snapshot in (lab.snapshots.current(at), lab.snapshots.refresh(at)):
        for view in snapshot.storefronts.values():
            if view.storefront.key == key:
                return view
    raise NotFound(f"There is no storefront {key!r}")


def _delivery_id(headers: Mapping[str, str], body: bytes) -> str:
    """What a delivery is known by when it comes again.

    Shopify gives each an id and repeats it; WooCommerce's id is a second's, so the body goes with it.
    """
    digest = hashlib.sha256(body).hexdigest()
    shopifys = headers.get("X-Shopify-Webhook-Id") or headers.get("X-Shopify-Event-Id")
    return shopifys or f"{headers.get('X-WC-Webhook-Delivery-ID', '')}:{digest}"


def _lean(body: bytes) -> bytes:
    """The body without what is personal or null; one that cannot be read is kept as it came."""
    try:
        return msgspec.json.encode(_without(msgspec.json.decode(body)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return body


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        kept = ((name, inner) for name, inner in value.items() if inner is not None and name not in PERSONAL)
        return {name: _without(inner) for name, inner in kept}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


def _json(status: int, body: object, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    return Response(encode(body), status, {"Content-Type": "application/json"} | dict(headers))
