"""OpenFeature's evaluation context: one flat object, from which the visitor and the offer's context are lifted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from experiments.errors import Invalid, Malformed
from experiments.service.serving import AssignmentRequest
from experiments.shape import convert


class TargetingKeyMissing(Malformed):
    """Nobody to evaluate for."""

    code = "targeting_key_missing"


def read_context(body: bytes) -> Mapping[str, Any]:
    """The context of a request's body; Malformed where that is no JSON, Invalid where the context is no object."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise Malformed('The body must be an object: {"context": {"targetingKey": …}}')
    context = given.get("context", {})
    if not isinstance(context, dict):
        raise Invalid.at("context", "must be an object")
    return context


def to_request(context: Mapping[str, Any], placement: str) -> AssignmentRequest:
    """The context as an assignment is asked for; it never records.

    `customerId` (or `customer_id`), `product_id`, `cart` (a list of lines or of product ids) and `currency` are the
    offer's context; they stay attributes too, as there is no other place to target them by.
    """
    visitor_id = context.get("targetingKey")
    if visitor_id is None or visitor_id == "":
        raise TargetingKeyMissing("context.targetingKey is required: the visitor's id")
    lifted: dict[str, Any] = {
        name: value
        for name, value in (
            ("product_id", _either(context, "product_id", "productId")),
            ("cart", _lines(context.get("cart"))),
            ("currency", context.get("currency")),
        )
        if value is not None
    }
    asked = {
        "visitor_id": visitor_id,
        "customer_id": _either(context, "customerId", "customer_id"),
        "placement": placement,
        "attributes": {name: value for name, value in context.items() if name != "targetingKey"},
        "context": lifted,
        "record": False,
    }
    return convert(asked, AssignmentRequest)


def _either(context: Mapping[str, Any], one: str, other: str) -> Any:
    value = context.get(one)
    return context.get(other) if value is None or value == "" else value


def _lines(cart: object) -> list[dict[str, Any]] | None:
    """The cart's lines; None where `cart` is something else, such as its totals, to be targeted by."""
    if not isinstance(cart, list):
        return None
    lines: list[dict[str, Any]] = []
    for line in cart:
        if isinstance(line, dict):
            named = {"product_id": _either(line, "product_id", "productId"), "quantity": line.get("quantity", 1)}
            lines.append({name: value for name, value in named.items() if value is not None})
        else:
            lines.append({"product_id": line})
    return lines
