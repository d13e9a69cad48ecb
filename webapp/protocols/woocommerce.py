"""WooCommerce's webhooks as orders and refunds.

The body is the whole order as the REST API gives it, refunds within; line totals are after discounts and without tax.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from experiments.service.inbox import Meaning
from experiments.service.snapshot import StorefrontView
from experiments.shape import decode
from experiments.storage.inbox import Delivery
from webapp.protocols.shop_order import Number, Record, amount, each, named, offer_of, product_of, text, visitor_of

TOPICS = frozenset({"order.created", "order.updated", "order.restored"})
PAID = frozenset({"processing", "completed", "refunded"})


class Meta(msgspec.Struct, frozen=True):
    """A named note on an order or a line."""

    key: str = ""
    value: Any = None


class LineItem(msgspec.Struct, frozen=True):
    """One line; `total` is after discounts, without tax."""

    quantity: int = 1
    product_id: int | str | None = None
    variation_id: int | str | None = None
    sku: str | None = None
    name: str | None = None
    total: Number = None
    meta_data: list[Meta] = []


class Refund(msgspec.Struct, frozen=True):
    """A refund as its order tells of it; `total` is negative."""

    id: int
    total: Number = None


class Order(msgspec.Struct, frozen=True):
    """The body of `order.…`: the fields that are read."""

    id: int | str
    status: str = ""
    currency: str | None = None
    total: Number = None
    total_tax: Number = None
    shipping_total: Number = None
    discount_total: Number = None
    customer_id: int | str | None = None
    date_created_gmt: str | None = None
    date_modified_gmt: str | None = None
    date_paid_gmt: str | None = None
    line_items: list[LineItem] = []
    refunds: list[Refund] = []
    meta_data: list[Meta] = []


def read(view: StorefrontView, delivery: Delivery) -> Meaning:
    """What a delivery says; Invalid or Malformed where it cannot be read."""
    topic = delivery.topic.strip().lower()
    if topic not in TOPICS:
        return Meaning(ignored=f"the topic {topic[:100] or 'is missing:'} is not one that counts here")
    order = decode(delivery.body, Order)
    paid = order.date_paid_gmt is not None or order.status in PAID
    records = [_order(order, view), *_refunds(order)] if paid else []
    if order.status == "cancelled":
        cancelled = {"type": "order_cancelled", "order_id": str(order.id)}
        records.append(cancelled | named(occurred_at=_utc(order.date_modified_gmt)))
    if not records:
        return Meaning(ignored=f"not paid: {order.status[:40]}")
    return Meaning(tuple(msgspec.json.encode(record) for record in records))


def claimed(view: StorefrontView, delivery: Delivery) -> tuple[str, Record] | None:
    """The paid order that a delivery tells of, and no reason why it may not count; Invalid where it tells none."""
    if delivery.topic.strip().lower() not in TOPICS:
        return None
    order = decode(delivery.body, Order)
    return ("", _order(order, view)) if order.date_paid_gmt is not None or order.status in PAID else None


def _order(order: Order, view: StorefrontView) -> Record:
    customer = None if order.customer_id in {None, 0, "0", ""} else str(order.customer_id)  # 0 is a guest
    return {
        "type": "order",
        "order_id": str(order.id),
        "revenue": None if order.total is None else text(_revenue(order)),
        "currency": order.currency,
        "items": [_line(line, view) for line in order.line_items if line.quantity > 0],
    } | named(
        discount=order.discount_total,
        shipping=order.shipping_total,
        tax=order.total_tax,
        occurred_at=_utc(order.date_created_gmt),
        updated_at=_utc(order.date_modified_gmt),
        visitor_id=visitor_of((meta.key, meta.value) for meta in order.meta_data),
        customer_id=customer,
    )


def _revenue(order: Order) -> Decimal:
    parts = [amount(order.total, "total"), amount(order.total_tax, "total_tax")]
    return parts[0] - parts[1] - amount(order.shipping_total, "shipping_total")


def _line(line: LineItem, view: StorefrontView) -> Record:
    product_id = product_of(view, (line.product_id, line.sku, line.variation_id, line.name))
    offer = offer_of((meta.key, meta.value) for meta in line.meta_data)
    price = each(max(amount(line.total, "line_items.total"), Decimal(0)), line.quantity)
    return {"quantity": line.quantity, "price": price} | named(product_id=product_id, offer=offer)


def _refunds(order: Order) -> Iterator[Record]:
    """The order's refunds on the footing of its revenue.

    The order says of a refund only what went back in all: its share of tax is taken to be the order's, and what goes
    beyond the revenue is shipping. A refund's amount depends on those before it alone, so it never changes.
    """
    total, left = amount(order.total, "total"), max(_revenue(order), Decimal(0))
    net_share = 1 - amount(order.total_tax, "total_tax") / total if total > 0 else Decimal(1)
    for refund in sorted(order.refunds, key=lambda r: r.id):
        net = min(abs(amount(refund.total, "refunds.total")) * net_share, left)
        left -= net
        yield {
            "type": "refund",
            "refund_id": str(refund.id),
            "order_id": str(order.id),
            "amount": text(net),
            "currency": order.currency,
        } | named(occurred_at=_utc(order.date_modified_gmt))


def _utc(given: str | None) -> str | None:
    """WooCommerce leaves the zone out of its times in UTC."""
    return None if not given else given if given.endswith("Z") or "+" in given else f"{given}Z"
