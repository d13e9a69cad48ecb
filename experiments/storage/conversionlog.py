"""Conversions in the event log: orders with their lines, refunds, cancellations, and whatever else units did.

A repeat changes nothing. An order of a higher version replaces the money and the lines of the one before; its time and
its unit stay, so that an edit moves nobody into or out of an experiment's window; a unit that nobody knew is filled in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal_column, select, update

from experiments.events import Conversion
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.eventlog import CHUNK, Outcome
from experiments.storage.newrows import Row, insert_all, insert_new
from experiments.storage.productviews import count_views
from experiments.storage.tables import WAITING, conversion, order_line

_COLUMNS = (
    "storefront_id", "event_key", "type", "at", "day", "received_at", "visitor_id", "customer_id", "order_id",
    "order_at", "currency", "revenue", "discount", "shipping", "tax", "cost", "refunded", "item_count", "value",
    "experiment", "variant", "offer_id", "version", "cancelled_at", "paid_currency", "paid_amount",
)  # fmt: skip
_LINE = ("storefront_id", "order_id", "number", "product_id", "quantity", "price", "cost", "offer")
_ORDERS_LOCK = 0x0FFE
"""A PostgreSQL advisory lock for each storefront: a refund and its order in two transactions must see one another."""


def append_conversions(
    conn: Connection, storefront_id: StorefrontId, rows: Sequence[Conversion], received_at: Micros
) -> list[Outcome]:
    """For each conversion whether it was new. Refunds carry their order's unit and time, whichever arrives first."""
    wanted: dict[str, Conversion] = {}
    for row in rows:
        wanted.setdefault(row.event_key, row)
    _take_turn(conn, storefront_id, {row.type for row in rows})
    orders = _orders_named(conn, storefront_id, wanted.values())
    values = [_values(storefront_id, row, orders, received_at) for _, row in sorted(wanted.items())]
    new = {row[1] for row in insert_new(conn, conversion, _COLUMNS, values, key=2)}
    _finish_orders(conn, storefront_id, [wanted[key] for key in sorted(new) if wanted[key].type == "order"])
    _cancel(conn, storefront_id, [wanted[key] for key in sorted(new) if wanted[key].type == "order_cancelled"])
    edited = _edit(conn, storefront_id, [row for row in rows if row.version > 0 and wanted[row.event_key] is not row],
                   [row for row in wanted.values() if row.version > 0 and row.event_key not in new])  # fmt: skip
    looked_at = [(row.product_id, row.day) for key in new if (row := wanted[key]).product_id is not None]
    count_views(conn, storefront_id, looked_at)
    outcomes: list[Outcome] = []
    for row in rows:
        fresh = row.event_key in new or id(row) in edited
        outcomes.append("accepted" if fresh else "duplicate")
        new.discard(row.event_key)
    return outcomes


def _take_turn(conn: Connection, storefront_id: StorefrontId, types: set[str]) -> None:
    if conn.dialect.name != "postgresql" or not types & {"order", "refund", "order_cancelled"}:
        return
    alone = types & {"refund", "order_cancelled"}
    lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
    conn.execute(select(lock(_ORDERS_LOCK, storefront_id)))


@dataclass(frozen=True, slots=True)
class _OrderFacts:
    visitor_id: str | None
    customer_id: str | None
    at: int
    cancelled_at: int | None


def _orders_named(conn: Connection, storefront_id: StorefrontId, rows: Iterable[Conversion]) -> dict[str, _OrderFacts]:
    """The orders that refunds and cancellations are about, as far as they are known."""
    rows = list(rows)
    named = sorted({row.order_id for row in rows if row.type in {"refund", "order_cancelled"} and row.order_id})
    found: dict[str, _OrderFacts] = {}
    for start in range(0, len(named), CHUNK):
        keys = [f"order:{order_id}" for order_id in named[start : start + CHUNK]]
        query = select(conversion).where(conversion.c.storefront_id == storefront_id, conversion.c.event_key.in_(keys))
        for r in conn.execute(query):
            found[r.order_id] = _OrderFacts(r.visitor_id, r.customer_id, r.at, r.cancelled_at)
    for row in rows:  # an order in the same batch as its refund
        if row.type == "order" and row.order_id in named:
            found.setdefault(row.order_id, _OrderFacts(row.visitor_id, row.customer_id, row.at, None))
    return found


def _values(storefront_id: StorefrontId, row: Conversion, orders: dict[str, _OrderFacts], received_at: Micros) -> Row:
    order = orders.get(row.order_id or "") if row.type in {"refund", "order_cancelled"} else None
    return (
        storefront_id, row.event_key, row.type, row.at, row.day, received_at,
        order.visitor_id if order else row.visitor_id, order.customer_id if order else row.customer_id,
        row.order_id, order.at if order else None, row.currency, row.revenue, row.discount, row.shipping, row.tax,
        row.cost, row.refunded, row.item_count, row.value, row.experiment, row.variant, row.offer_id, row.version,
        order.cancelled_at if order and row.type == "refund" else None, row.paid_currency, row.paid_amount,
    )  # fmt: skip


def _finish_orders(conn: Connection, storefront_id: StorefrontId, orders: Sequence[Conversion]) -> None:
    """Write the lines of new orders, and tie what came before its order to it: refunds, a cancellation."""
    insert_all(conn, order_line, _LINE, [line for order in orders for line in _lines(storefront_id, order)])
    by_id = {order.order_id: order for order in orders if order.order_id is not None}
    ids = list(by_id)
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        early = _early(conn, storefront_id, some)
        for row in early:
            order = by_id[row.order_id]
            known = {"order_at": order.at, "visitor_id": order.visitor_id, "customer_id": order.customer_id}
            conn.execute(update(conversion).where(conversion.c.id == row.id).values(**known))
        for row in early:
            if row.type == "order_cancelled":
                _mark_cancelled(conn, storefront_id, row.order_id, row.at)


def _early(conn: Connection, storefront_id: StorefrontId, order_ids: Sequence[str]) -> list[Any]:
    """Refunds and cancellations that came before these orders: an index holds all that still wait, mostly none."""
    c = conversion.c
    query = select(c.id, c.type, c.order_id, c.at).where(
        c.storefront_id == storefront_id, c.order_id.in_(order_ids), literal_column(WAITING)
    )
    return list(conn.execute(query))


def _refunds_of(storefront_id: StorefrontId, order_ids: Sequence[str]) -> ColumnElement[bool]:
    # The type is a literal: no database knows that a parameter will be what its partial index is about.
    is_refund = conversion.c.type == literal_column("'refund'")
    return and_(conversion.c.storefront_id == storefront_id, is_refund, conversion.c.order_id.in_(order_ids))


def _lines(storefront_id: StorefrontId, order: Conversion) -> list[Row]:
    return [
        (storefront_id, order.order_id, number, line.product_id, line.quantity, line.price, line.cost, line.offer)
        for number, line in enumerate(order.lines)
    ]


def _cancel(conn: Connection, storefront_id: StorefrontId, cancellations: Sequence[Conversion]) -> None:
    for row in cancellations:
        if row.order_id is not None:
            _mark_cancelled(conn, storefront_id, row.order_id, row.at)


def _mark_cancelled(conn: Connection, storefront_id: StorefrontId, order_id: str, at: int) -> None:
    here = conversion.c.storefront_id == storefront_id
    order = and_(here, conversion.c.event_key == f"order:{order_id}")
    refunds = _refunds_of(storefront_id, [order_id])
    for which in (order, refunds):
        conn.execute(update(conversion).where(which).values(cancelled_at=at))


def _edit(
    conn: Connection, storefront_id: StorefrontId, later: Sequence[Conversion], known: Sequence[Conversion]
) -> set[int]:
    """Apply the edits, oldest version first; the ids (Python's) of those that were news."""
    edits = sorted([*later, *known], key=lambda row: (row.event_key, row.version))
    return {id(row) for row in edits if _replace(conn, storefront_id, row)}


def _replace(conn: Connection, storefront_id: StorefrontId, order: Conversion) -> bool:
    before = and_(
        conversion.c.storefront_id == storefront_id,
        conversion.c.event_key == order.event_key,
        conversion.c.version < order.version,
    )
    values: dict[str, Any] = {
        "currency": order.currency, "revenue": order.revenue, "discount": order.discount, "shipping": order.shipping,
        "tax": order.tax, "cost": order.cost, "item_count": order.item_count, "version": order.version,
        "paid_currency": order.paid_currency, "paid_amount": order.paid_amount,
    }  # fmt: skip
    unit = {
        "visitor_id": func.coalesce(conversion.c.visitor_id, order.visitor_id),
        "customer_id": func.coalesce(conversion.c.customer_id, order.customer_id),
    }
    if conn.execute(update(conversion).where(before).values(**values, **unit)).rowcount == 0:
        return False
    conn.execute(update(conversion).where(_refunds_of(storefront_id, [order.order_id or ""])).values(**unit))
    of_order = and_(order_line.c.storefront_id == storefront_id, order_line.c.order_id == order.order_id)
    conn.execute(delete(order_line).where(of_order))
    insert_all(conn, order_line, _LINE, _lines(storefront_id, order))
    return True
