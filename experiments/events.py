"""What storefronts report: exposures and conversions, from untrusted JSON to rows that can be stored.

Money arrives as decimals and becomes integer minor units; times become microseconds. What cannot be read is an Invalid
that names the field; the batch around it goes on.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from experiments.amounts import Amounts
from experiments.context import ContextInput
from experiments.errors import Invalid
from experiments.identifiers import EventId, Key, ProductId, UnitId
from experiments.moment import DAY, Micros, day_number, micros, moment
from experiments.offers import Moment
from experiments.shape import decode
from experiments.wording import worded

ExposureKind = Literal["assigned", "viewed"]
NewId = Callable[[], str]

MOST_PIECES = 1_000_000_000
"""Of one order; more is a mistake, and would not fit where pieces are counted."""
EARLIEST = 946_684_800_000_000
"""2000-01-01: an event before it is a clock that was never set."""


class ExposureInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An exposure as the contract writes it; `attributes` and `context` are as in a request for an assignment."""

    experiment: Key
    variant: Key
    visitor_id: UnitId | None = None
    customer_id: UnitId | None = None
    kind: ExposureKind = "viewed"
    occurred_at: Moment | None = None
    event_id: EventId | None = None
    attributes: dict[str, Any] = {}
    context: ContextInput | None = None


class LineInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an order; `price` and `cost` are of one piece."""

    product_id: ProductId
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    price: Decimal
    cost: Decimal | None = None
    offer: EventId | None = None


class OrderInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order; `revenue` is after discounts, without tax and shipping.

    A `version`, or else the time `updated_at`, that is later than what is known makes it an edit.
    """

    type: str
    order_id: EventId
    revenue: Decimal | None
    currency: str
    visitor_id: UnitId | None = None
    customer_id: UnitId | None = None
    event_id: EventId | None = None
    occurred_at: Moment | None = None
    discount: Decimal | None = None
    shipping: Decimal | None = None
    tax: Decimal | None = None
    cost: Decimal | None = None
    items: list[LineInput] = []
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    updated_at: Moment | None = None


class CancellationInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order that will not be: neither it nor its refunds count from then on."""

    type: str
    order_id: EventId
    visitor_id: UnitId | None = None
    customer_id: UnitId | None = None
    event_id: EventId | None = None
    occurred_at: Moment | None = None


class RefundInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money given back on an order, in part or in full."""

    type: str
    refund_id: EventId
    order_id: EventId
    amount: Decimal
    currency: str
    visitor_id: UnitId | None = None
    customer_id: UnitId | None = None
    event_id: EventId | None = None
    occurred_at: Moment | None = None


class OtherInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any other conversion: an interaction with an offer, a page view, a name of the shop's own."""

    type: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+\Z")]
    visitor_id: UnitId | None = None
    customer_id: UnitId | None = None
    event_id: EventId | None = None
    occurred_at: Moment | None = None
    value: Decimal | None = None
    experiment: Key | None = None
    variant: Key | None = None
    placement: Key | None = None
    offer_id: EventId | None = None
    product_id: ProductId | None = None
    url: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    properties: dict[str, Any] = {}


class _Typed(msgspec.Struct, frozen=True):
    type: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """A unit met its variant; the last two are what was told of it besides."""

    experiment: str
    variant: str
    visitor_id: str | None
    customer_id: str | None
    kind: ExposureKind
    at: Micros
    attributes: Mapping[str, object] | None = None
    context: ContextInput | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order, money in minor units."""

    product_id: str
    quantity: int
    price: int
    cost: int | None
    offer: str | None


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a unit did; `event_key` is what makes a repeat a repeat, `revenue` None is an amount that nobody knows."""

    event_key: str
    type: str
    at: Micros
    day: int
    visitor_id: str | None = None
    customer_id: str | None = None
    order_id: str | None = None
    currency: str | None = None
    revenue: int | None = None
    discount: int | None = None
    shipping: int | None = None
    tax: int | None = None
    cost: int | None = None
    refunded: int | None = None
    item_count: int = 0
    value: float | None = None
    experiment: str | None = None
    variant: str | None = None
    offer_id: str | None = None
    version: int = 0
    paid_currency: str | None = None
    paid_amount: int | None = None
    lines: tuple[Line, ...] = field(default=())
    product_id: str | None = None
    """Of a page view: the product that was looked at."""


def parse_exposure(raw: bytes, now: Micros) -> Exposure:
    """One exposure from its JSON; Invalid names the field."""
    given = decode(raw, ExposureInput)
    if given.visitor_id is None and given.customer_id is None:
        raise Invalid.at(
            "visitor_id", worded("is required (or customer_id, where the experiment's unit is the customer)")
        )
    at = _when(given.occurred_at, now)
    who = (given.visitor_id, given.customer_id)
    return Exposure(given.experiment, given.variant, *who, given.kind, at, given.attributes, given.context)


def parse_conversion(raw: bytes, now: Micros, zone: tzinfo, new_id: NewId) -> Conversion:
    """One conversion from its JSON; Invalid names the field."""
    kind = decode(raw, _Typed).type
    if kind == "order":
        return _order(decode(raw, OrderInput), now, zone)
    if kind == "refund":
        return _refund(decode(raw, RefundInput), now, zone)
    if kind == "order_cancelled":
        return _cancellation(decode(raw, CancellationInput), now, zone)
    return _other(decode(raw, OtherInput), raw, now, zone, new_id)


def _order(given: OrderInput, now: Micros, zone: tzinfo) -> Conversion:
    money = Amounts(given.currency)
    at = _when(given.occurred_at, now)
    lines = tuple(
        Line(
            product_id=line.product_id,
            quantity=line.quantity,
            price=money.take(line.price, f"items[{i}].price") or 0,
            cost=money.take(line.cost, f"items[{i}].cost"),
            offer=line.offer,
        )
        for i, line in enumerate(given.items)
    )
    order = Conversion(
        event_key=f"order:{given.order_id}",
        type="order",
        at=at,
        day=day_number(at, zone),
        visitor_id=given.visitor_id,
        customer_id=given.customer_id,
        order_id=given.order_id,
        currency=given.currency,
        revenue=money.take(given.revenue, "revenue"),
        discount=money.take(given.discount, "discount"),
        shipping=money.take(given.shipping, "shipping"),
        tax=money.take(given.tax, "tax"),
        cost=money.take(given.cost, "cost"),
        item_count=sum(line.quantity for line in lines),
        version=given.version or (0 if given.updated_at is None else _when(given.updated_at, now, "updated_at")),
        lines=lines,
    )
    money.finish()
    if order.item_count > MOST_PIECES:
        raise Invalid.at(
            "items", worded("are %(pieces)s pieces, which is more than any order has", pieces=order.item_count)
        )
    return order


def _cancellation(given: CancellationInput, now: Micros, zone: tzinfo) -> Conversion:
    at = _when(given.occurred_at, now)
    return Conversion(
        event_key=f"cancel:{given.order_id}",
        type="order_cancelled",
        at=at,
        day=day_number(at, zone),
        visitor_id=given.visitor_id,
        customer_id=given.customer_id,
        order_id=given.order_id,
    )


def _refund(given: RefundInput, now: Micros, zone: tzinfo) -> Conversion:
    money = Amounts(given.currency)
    at = _when(given.occurred_at, now)
    refund = Conversion(
        event_key=f"refund:{given.refund_id}",
        type="refund",
        at=at,
        day=day_number(at, zone),
        visitor_id=given.visitor_id,
        customer_id=given.customer_id,
        order_id=given.order_id,
        currency=given.currency,
        refunded=money.take(given.amount, "amount"),
    )
    money.finish()
    return refund


def _other(given: OtherInput, raw: bytes, now: Micros, zone: tzinfo, new_id: NewId) -> Conversion:
    if given.visitor_id is None and given.customer_id is None:
        raise Invalid.at("visitor_id", worded("is required (or customer_id)"))
    if given.value is not None and not (given.value.is_finite() and given.value.copy_abs() <= 10**15):
        raise Invalid.at("value", worded("%(given)s is not a number to add up", given=given.value))
    at = _when(given.occurred_at, now)
    return Conversion(
        event_key=_event_key(given, raw, new_id),
        type=given.type,
        at=at,
        day=day_number(at, zone),
        visitor_id=given.visitor_id,
        customer_id=given.customer_id,
        value=None if given.value is None else float(given.value),
        experiment=given.experiment,
        variant=given.variant,
        offer_id=given.offer_id,
        product_id=given.product_id if given.type == "page_view" else None,
    )


def _event_key(given: OtherInput, raw: bytes, new_id: NewId) -> str:
    """The sender's id; without one, the content where it carries its time (a retry is then the same), else a new id."""
    if given.event_id is not None:
        return f"event:{given.event_id}"
    if given.occurred_at is not None:
        canonical = msgspec.json.encode(msgspec.json.decode(raw), order="sorted")
        return f"same:{hashlib.blake2b(canonical, digest_size=16).hexdigest()}"
    return f"once:{new_id()}"


def _when(given: datetime | None, now: Micros, name: str = "occurred_at") -> Micros:
    if given is None:
        return now
    at = micros(given)
    if at < EARLIEST:
        raise Invalid.at(name, worded("%(given)s is before the year 2000", given=given.isoformat()))
    if at > now + DAY:
        raise Invalid.at(
            name,
            worded("%(given)s is in the future; it is %(now)s", given=given.isoformat(), now=moment(now).isoformat()),
        )
    return at
