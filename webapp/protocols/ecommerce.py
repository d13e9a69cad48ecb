"""Shops' own event names and properties, as the contract writes exposures and conversions.

The names are those of Segment's e-commerce specification, with the older orders of words, Google Analytics 4's and
Mixpanel's beside them; property names may be written orderId, order_id or "Order ID".
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from experiments.errors import Invalid
from experiments.money import LARGEST_MINOR, to_decimal
from experiments.service.snapshot import StorefrontView
from experiments.wording import worded

ORDERED = frozenset({"order_completed", "completed_order", "order_updated", "order_paid", "purchase", "order"})
REFUNDED = frozenset({"order_refunded", "refunded_order", "refund"})
CANCELLED = frozenset({"order_cancelled", "order_canceled", "cancelled_order", "canceled_order"})
SHOWN = frozenset({"promotion_viewed", "viewed_promotion", "view_promotion"})
ACCEPTED = frozenset({"promotion_clicked", "clicked_promotion", "select_promotion", "offer_accepted"})
MET = frozenset({"experiment_viewed", "viewed_experiment", "experiment_started", "experiment_exposure", "exposure"})
LOOKED = frozenset({"product_viewed", "viewed_product", "view_item", "page_viewed", "page_view"})

EXPERIMENT = ("experiment_id", "experiment", "experiment_key", "experiment_name")
VARIANT = ("variation_key", "variation_id", "variant", "variant_id", "variant_key", "variation", "variation_name",
           "variant_name")  # fmt: skip
PRODUCT = ("product_id", "sku", "item_id", "variant_id", "id", "name")
ORDER_ID = ("order_id", "transaction_id", "order_number", "checkout_id")

Record = dict[str, Any]
"""An event as the contract writes it: a conversion has a `type`, an exposure has none."""


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds the properties of one event: whose it is, when it was, under which id, in which storefront."""

    view: StorefrontView
    visitor_id: str | None
    customer_id: str | None
    occurred_at: str | None
    event_id: str | None

    @property
    def unit(self) -> Record:
        """Who and when, under the contract's names."""
        named = {"visitor_id": self.visitor_id, "customer_id": self.customer_id, "occurred_at": self.occurred_at}
        return {name: value for name, value in named.items() if value is not None}


def snake(name: str) -> str:
    """One spelling of a name: `orderId`, "Order ID" and `order_id` are the same."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def to_record(name: str, given: Mapping[str, Any], context: Context) -> Record:
    """What an event of this name means here; Invalid names what it lacks.

    A refund without an `amount` is of the whole order: what that brought is the store's to know.
    """
    found = snake(name)
    properties = {snake(key): value for key, value in given.items() if value is not None and value != ""}
    if found in ORDERED:
        order = _order(properties, context)
        edited = found == "order_updated" and context.occurred_at is not None
        return order | {"updated_at": context.occurred_at} if edited else order
    if found in REFUNDED:
        return _refund(properties, context)
    if found in CANCELLED:
        return {"type": "order_cancelled", "order_id": _required(properties, ORDER_ID), **context.unit}
    if found in MET:
        return _exposure(properties, context)
    if found in SHOWN:
        tied = _promoted(properties, context)
        return {**tied, "kind": "viewed", **context.unit} if tied else _other("promotion_viewed", properties, context)
    if found in ACCEPTED:
        return _offer("offer_accepted", properties, context)
    if found == "offer_dismissed":
        return _offer("offer_dismissed", properties, context)
    if found in LOOKED:
        return _other("page_view", properties, context)
    return _other(found or quote(name, safe=""), properties, context)


def _order(properties: Mapping[str, Any], context: Context) -> Record:
    named = {name: properties[name] for name in ("discount", "shipping", "tax", "cost") if name in properties}
    order = {"type": "order", "order_id": _required(properties, ORDER_ID), "revenue": _revenue(properties), **named}
    if lines := _lines(properties):
        order["items"] = [_line(line, context) for line in lines]
    return order | _currency(properties, context) | context.unit


def _revenue(properties: Mapping[str, Any]) -> object:
    """After discounts, without tax and shipping: `revenue`, else `subtotal`, else `total` less its tax and shipping.

    GA4's `value` is without tax and shipping already. None where the event says nothing of money.
    """
    for name in ("revenue", "subtotal", "value"):
        if name in properties:
            return properties[name]
    return _net(properties, "total") if "total" in properties else None


def _refund(properties: Mapping[str, Any], context: Context) -> Record:
    """A refund; products in it, or an amount, make it a partial one."""
    order_id = _required(properties, ORDER_ID)
    amount: object = None
    for name in ("amount", "refund_amount", "revenue", "subtotal", "value"):
        if name in properties:
            amount = properties[name]
            break
    lines = _lines(properties)
    if amount is None and lines and all(_first(line, ("price",)) is not None for line in lines):
        # the specification's example repeats the order's total beside the products that came back
        amount = str(sum(_number(li["price"], "price") * _number(li.get("quantity", 1), "quantity") for li in lines))
    if amount is None and "total" in properties:
        amount = _net(properties, "total")
    refund_id = properties.get("refund_id")
    if refund_id is None:
        refund_id = f"whole:{order_id}" if amount is None else (context.event_id or f"of:{order_id}:{amount}")
    refund = {"type": "refund", "refund_id": _text(refund_id), "order_id": order_id}
    refund |= {} if amount is None else {"amount": amount}
    return refund | _currency(properties, context) | context.unit


def _exposure(properties: Mapping[str, Any], context: Context) -> Record:
    experiments = context.view.experiments
    key = _best(properties, EXPERIMENT, experiments.__contains__)
    known = experiments.get(key) if isinstance(key, str) else None
    variant = _best(properties, VARIANT, lambda v: known is not None and known.definition.variant(v) is not None)
    return {"experiment": key, "variant": variant, "kind": "viewed", **context.unit}


def _promoted(properties: Mapping[str, Any], context: Context) -> Record | None:
    """The experiment and variant that a promotion stands for.

    It names them like an exposure, or its id is the experiment's key and its creative the variant's.
    """
    renamed = {"experiment_id": properties.get("promotion_id"), "variation_id": properties.get("creative")}
    for named in (properties, {**properties, **renamed}):
        tied = _exposure(named, context)
        experiment = context.view.experiments.get(str(tied["experiment"]))
        if experiment is not None and experiment.definition.variant(str(tied["variant"])) is not None:
            return {"experiment": tied["experiment"], "variant": tied["variant"]}
    return None


def _offer(kind: str, properties: Mapping[str, Any], context: Context) -> Record:
    offer_id = _first(properties, ("offer_id", "promotion_id"))
    tied = _promoted(properties, context) or {}
    placement = properties.get("placement", properties.get("position"))
    if isinstance(placement, str) and placement in context.view.placements:
        tied["placement"] = placement
    if isinstance(offer_id, str | int):
        tied["offer_id"] = str(offer_id)[:200]
    return _other(kind, properties, context) | tied


def _other(kind: str, properties: Mapping[str, Any], context: Context) -> Record:
    found = {"type": kind[:100], **context.unit}
    if context.event_id is not None:
        found["event_id"] = context.event_id
    value = properties.get("value")
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(InvalidOperation):  # a value that is no number is no reason to lose the event
            number = Decimal(str(value).strip())
            found |= {"value": str(number)} if number.is_finite() and number.copy_abs() <= LARGEST_MINOR else {}
    return found


def _lines(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = properties.get("products", properties.get("items"))
    if not isinstance(given, list):
        return []
    lines = [
        {snake(k): v for k, v in line.items() if v is not None and v != ""} for line in given if isinstance(line, dict)
    ]
    if len(lines) != len(given):
        raise Invalid.at("products", worded("each must be an object"))
    return lines


def _line(line: Mapping[str, Any], context: Context) -> Record:
    catalogue = context.view.catalogue
    product_id = _best(line, PRODUCT, lambda known: catalogue.get(known) is not None)
    found: Record = {"product_id": product_id, "quantity": _whole(line.get("quantity", 1))}
    found |= {name: line[name] for name in ("price", "cost") if name in line}
    product = catalogue.get(product_id) if isinstance(product_id, str) else None
    if "price" not in found and product is not None:
        found["price"] = to_decimal(product.price, catalogue.currency)
    offer = _first(line, ("offer", "offer_id"))
    return found if offer is None else found | {"offer": _text(offer)}


def _best(given: Mapping[str, Any], names: Iterable[str], known: Callable[[str], bool]) -> object:
    """The first of these properties whose value is known here; else the first that there is, for the refusal."""
    there = [_text(given[name]) for name in names if name in given]
    return next((value for value in there if isinstance(value, str) and known(value)), there[0] if there else None)


def _first(given: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((given[name] for name in names if name in given), None)


def _required(properties: Mapping[str, Any], names: tuple[str, ...]) -> object:
    value = _first(properties, names)
    if value is None:
        raise Invalid.at(names[0], worded("is required"))
    return _text(value)


def _text(value: object) -> object:
    """Ids that were sent as numbers, as text; other shapes stay what they are, for the refusal to name."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _whole(value: object) -> object:
    """A count that was sent as text or as 2.0, as an integer."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _net(properties: Mapping[str, Any], name: str) -> str:
    parts = [_number(properties.get(part, 0), part) for part in (name, "shipping", "tax")]
    return str(parts[0] - parts[1] - parts[2])


def _number(value: object, name: str) -> Decimal:
    try:
        number = Decimal(str(value).strip()) if isinstance(value, int | float | str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number.copy_abs() > LARGEST_MINOR or isinstance(value, bool):
        raise Invalid.at(name, worded("%(given)s is not a number", given=repr(str(value)[:40])))
    return number


def _currency(properties: Mapping[str, Any], context: Context) -> Record:
    """The currency that the event names; without one, that of the storefront, which counts in no other."""
    given = properties.get("currency", context.view.storefront.currency)
    return {"currency": given.strip().upper() if isinstance(given, str) else given}
