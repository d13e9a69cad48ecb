"""Shopify's webhooks as orders and refunds.

Each message about an order holds all of it, so whichever comes first, in whatever order, gives the same. Amounts are in
the shop's own currency (`shop_money`), revenue without the tax that prices may include.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from experiments.errors import Invalid
from experiments.service.inbox import Meaning, Redaction
from experiments.service.snapshot import StorefrontView
from experiments.shape import decode
from experiments.storage.inbox import Delivery
from experiments.wording import worded
from webapp.protocols.shop_order import Number, Record, amount, each, named, offer_of, product_of, text, visitor_of

PAID = frozenset({"paid", "partially_refunded", "refunded"})
ELSEWHERE = {"pos": "sold in a shop, not in the storefront", "shopify_draft_order": "written by staff"}
"""Orders that no visitor of the storefront made, by `source_name`."""
PRIVACY = frozenset({"customers/redact", "shop/redact", "customers/data_request"})


class Money(msgspec.Struct, frozen=True):
    """An amount in one currency."""

    amount: Decimal
    currency_code: str = ""


class MoneySet(msgspec.Struct, frozen=True):
    """An amount in the shop's currency and, left out here, in the buyer's."""

    shop_money: Money | None = None


class TaxLine(msgspec.Struct, frozen=True):
    """One tax on a line."""

    price: Number = None
    price_set: MoneySet | None = None


class Note(msgspec.Struct, frozen=True):
    """A named note: a cart attribute, a line property."""

    name: str = ""
    value: object = None


class Allocation(msgspec.Struct, frozen=True):
    """A line's share of one of the order's discounts."""

    amount: Number = None
    amount_set: MoneySet | None = None


class LineItem(msgspec.Struct, frozen=True):
    """One line of an order, as it was placed."""

    quantity: int = 1
    product_id: int | str | None = None
    variant_id: int | str | None = None
    sku: str | None = None
    title: str | None = None
    price: Number = None
    price_set: MoneySet | None = None
    discount_allocations: list[Allocation] = []
    tax_lines: list[TaxLine] = []
    properties: list[Note] | None = None


class ShippingLine(msgspec.Struct, frozen=True):
    """Shipping, with its taxes."""

    subtotal_amount_set: MoneySet | None = None
    tax_lines: list[TaxLine] = []


class Transaction(msgspec.Struct, frozen=True):
    """Money that moved, or tried to."""

    kind: str = ""
    status: str = ""
    amount: Number = None
    currency: str | None = None
    test: bool = False


class RefundLine(msgspec.Struct, frozen=True):
    """A line that came back."""

    total_tax: Number = None
    total_tax_set: MoneySet | None = None


class Adjustment(msgspec.Struct, frozen=True):
    """What a refund gives back beside lines."""

    kind: str | None = None
    amount: Number = None
    tax_amount: Number = None


class Refund(msgspec.Struct, frozen=True):
    """The body of `refunds/create`, and of each refund in an order."""

    id: int | str
    order_id: int | str
    created_at: str | None = None
    processed_at: str | None = None
    transactions: list[Transaction] = []
    refund_line_items: list[RefundLine] = []
    refund_shipping_lines: list[ShippingLine] = []
    order_adjustments: list[Adjustment] = []


class Customer(msgspec.Struct, frozen=True):
    """The account that ordered."""

    id: int | str | None = None


class Privacy(msgspec.Struct, frozen=True):
    """The body of Shopify's three privacy webhooks."""

    customer: Customer | None = None
    orders_to_redact: list[int | str] = []


class Order(msgspec.Struct, frozen=True):
    """The body of `orders/…`: the fields that are read."""

    id: int | str
    test: bool | None = False
    source_name: str | None = None
    financial_status: str | None = None
    currency: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    cancelled_at: str | None = None
    taxes_included: bool | None = False
    subtotal_price: Number = None
    subtotal_price_set: MoneySet | None = None
    total_discounts: Number = None
    total_discounts_set: MoneySet | None = None
    total_tax: Number = None
    total_tax_set: MoneySet | None = None
    total_shipping_price_set: MoneySet | None = None
    shipping_lines: list[ShippingLine] = []
    line_items: list[LineItem] = []
    note_attributes: list[Note] = []
    customer: Customer | None = None
    refunds: list[Refund] = []


def read(view: StorefrontView, delivery: Delivery) -> Meaning:
    """What a delivery says; Invalid or Malformed where it cannot be read."""
    topic = delivery.topic.strip().lower()
    if topic in PRIVACY:
        return _privacy(topic, decode(delivery.body, Privacy), view)
    if topic == "refunds/create":
        return _meaning([_refund(decode(delivery.body, Refund), view)], "no money was given back")
    if topic.startswith("orders/") and topic not in {"orders/edited", "orders/delete"}:
        order = decode(delivery.body, Order)
        if order.test:
            return Meaning(ignored="a test order")
        if order.source_name in ELSEWHERE:
            return Meaning(ignored=ELSEWHERE[order.source_name])
        paid = _is_paid(topic, order)
        records = [_order(order, view), *(_refund(refund, view) for refund in order.refunds)] if paid else []
        return _meaning([*records, _cancellation(order)], f"not paid: {order.financial_status}")
    return Meaning(ignored=f"the topic {topic[:100] or 'is missing:'} is not one that counts here")


def claimed(view: StorefrontView, delivery: Delivery) -> tuple[str, Record] | None:
    """The paid order that a delivery tells of, counted or not, and why it may not be; Invalid where it tells none."""
    topic = delivery.topic.strip().lower()
    if not topic.startswith("orders/") or topic in {"orders/edited", "orders/delete"}:
        return None
    order = decode(delivery.body, Order)
    if not _is_paid(topic, order):
        return None
    why = "test_order" if order.test else (order.source_name or "") if order.source_name in ELSEWHERE else ""
    return why, _order(order, view)


def _is_paid(topic: str, order: Order) -> bool:
    return topic == "orders/paid" or order.financial_status in PAID


def _privacy(topic: str, request: Privacy, view: StorefrontView) -> Meaning:
    """Erasures are carried out; a question about somebody's data is for a person to answer."""
    customer = None if request.customer is None or request.customer.id is None else str(request.customer.id)
    if topic == "shop/redact":
        return Meaning(redaction=Redaction(everybody=True))
    if topic == "customers/redact":
        orders = frozenset(map(str, request.orders_to_redact))
        if customer is None and not orders:
            return Meaning(ignored="it names nobody")
        return Meaning(redaction=Redaction(customer, orders))
    if customer is None:
        return Meaning(ignored="it names nobody")
    how = f"offerlab export DIRECTORY --storefront {view.storefront.key} --customer {customer}"
    raise Invalid.at(
        "", worded("customer %(customer)s asks what is kept about them: %(how)s", customer=customer, how=how)
    )


def _meaning(records: Iterable[Record | None], nothing: str) -> Meaning:
    found = tuple(msgspec.json.encode(record) for record in records if record is not None)
    return Meaning(found) if found else Meaning(ignored=nothing)


def _cancellation(order: Order) -> Record | None:
    if order.cancelled_at is None:
        return None
    return {"type": "order_cancelled", "order_id": str(order.id), "occurred_at": order.cancelled_at}


def _order(order: Order, view: StorefrontView) -> Record:
    included = bool(order.taxes_included)
    subtotal = _shop(order.subtotal_price_set, order.subtotal_price)
    goods_tax = sum((_taxes(line.tax_lines) for line in order.line_items), Decimal(0))
    revenue = None if subtotal is None else amount(subtotal, "subtotal_price") - (goods_tax if included else 0)
    shipping = amount(_shop(order.total_shipping_price_set, None), "total_shipping_price_set")
    shipping -= sum((_taxes(line.tax_lines) for line in order.shipping_lines), Decimal(0)) if included else 0
    lines = [_line(line, view, included=included) for line in order.line_items if line.quantity > 0]
    return {
        "type": "order",
        "order_id": str(order.id),
        "revenue": None if revenue is None else text(revenue),
        "currency": _currency(order.subtotal_price_set) or order.currency,
        "shipping": text(max(shipping, Decimal(0))),
        "items": lines,
    } | named(
        discount=_shop(order.total_discounts_set, order.total_discounts),
        tax=_shop(order.total_tax_set, order.total_tax),
        occurred_at=order.created_at,
        updated_at=order.updated_at,
        visitor_id=visitor_of((note.name, note.value) for note in order.note_attributes),
        customer_id=None if order.customer is None or order.customer.id is None else str(order.customer.id),
    )


def _line(line: LineItem, view: StorefrontView, *, included: bool) -> Record:
    """A line at what its pieces really cost: after the order's discounts, without tax."""
    total = amount(_shop(line.price_set, line.price), "line_items.price") * line.quantity
    total -= sum((amount(_shop(a.amount_set, a.amount), "discount") for a in line.discount_allocations), Decimal(0))
    total -= _taxes(line.tax_lines) if included else 0
    product_id = product_of(view, (line.product_id, line.sku, line.variant_id, line.title))
    offer = offer_of((note.name, note.value) for note in line.properties or ())
    price = each(max(total, Decimal(0)), line.quantity)
    return {"quantity": line.quantity, "price": price} | named(product_id=product_id, offer=offer)


def _refund(refund: Refund, view: StorefrontView) -> Record | None:
    """The money that went back, without the tax and shipping in it, as revenue is without both; None where none did."""
    gone = [t for t in refund.transactions if t.kind == "refund" and t.status == "success" and not t.test]
    if not gone:
        return None
    money = sum((amount(t.amount, "transactions.amount") for t in gone), Decimal(0))
    lines = refund.refund_line_items
    tax = sum((amount(_shop(li.total_tax_set, li.total_tax), "total_tax") for li in lines), Decimal(0))
    net = max(money - tax - _shipping_back(refund), Decimal(0))
    return {
        "type": "refund",
        "refund_id": str(refund.id),
        "order_id": str(refund.order_id),
        "amount": text(net),
        "currency": gone[0].currency or view.storefront.currency,
    } | named(occurred_at=refund.processed_at or refund.created_at)


def _shipping_back(refund: Refund) -> Decimal:
    """Shipping given back, with its tax: as adjustments, or since 2024-10 as lines of its own."""
    lines = refund.refund_shipping_lines
    if lines:
        parts = [amount(_shop(line.subtotal_amount_set, None), "subtotal_amount") for line in lines]
        return sum(parts, Decimal(0)) + sum((_taxes(line.tax_lines) for line in lines), Decimal(0))
    back = [a for a in refund.order_adjustments if a.kind == "shipping_refund"]
    parts = [amount(a.amount, "order_adjustments") + amount(a.tax_amount, "order_adjustments") for a in back]
    return abs(sum(parts, Decimal(0)))


def _taxes(lines: Iterable[TaxLine]) -> Decimal:
    return sum((amount(_shop(line.price_set, line.price), "tax_lines.price") for line in lines), Decimal(0))


def _shop(found: MoneySet | None, plain: Number) -> Number:
    """The amount in the shop's currency: the plain field is the same where there is no set."""
    return plain if found is None or found.shop_money is None else found.shop_money.amount


def _currency(found: MoneySet | None) -> str:
    return "" if found is None or found.shop_money is None else found.shop_money.currency_code
