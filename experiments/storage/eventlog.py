"""The event log: append-only and idempotent. What a call has written is durable when its transaction commits.

A repeat changes nothing and is counted as a duplicate; uniqueness is the database's, so that it holds across processes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.events import Conversion, ExposureKind
from experiments.identifiers import ExperimentId, StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import conversion, crossover, exposure, link, order_line

CHUNK = 500
Outcome = Literal["accepted", "duplicate"]
_Unit = tuple[int, str]
"""An experiment's id and a unit's."""


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """An exposure whose experiment, variant and unit are known."""

    experiment_id: ExperimentId
    kind: ExposureKind
    unit_id: str
    variant: str
    at: Micros
    day: int
    fingerprint: str


def append_exposures(conn: Connection, rows: Sequence[ExposureRow], received_at: Micros) -> list[Outcome]:
    """For each exposure whether it was new; a different variant than the unit's first is kept as a crossover.

    A view implies an assignment: it also writes the `assigned` row where there is none, so that the report has to count
    one kind only.
    """
    first: dict[_Unit, ExposureRow] = {}
    for row in rows:
        first.setdefault((row.experiment_id, row.unit_id), row)
    assigned = _insert_exposures(conn, "assigned", first, received_at)
    held = {unit: row.variant for unit, row in first.items()}
    held |= _held_variants(conn, [unit for unit in first if unit not in assigned])
    crossed = _insert_crossovers(conn, (r for r in rows if r.variant != held[r.experiment_id, r.unit_id]))
    views: dict[_Unit, ExposureRow] = {}
    for row in rows:
        if row.kind == "viewed" and row.variant == held[row.experiment_id, row.unit_id]:
            views.setdefault((row.experiment_id, row.unit_id), row)
    viewed = _insert_exposures(conn, "viewed", views, received_at)
    outcomes: list[Outcome] = []
    for row in rows:
        unit = (row.experiment_id, row.unit_id)
        fresh = viewed if row.kind == "viewed" else assigned
        if row.variant != held[unit]:
            outcomes.append("accepted" if (*unit, row.variant) in crossed else "duplicate")
            crossed.discard((*unit, row.variant))
        else:
            outcomes.append("accepted" if unit in fresh else "duplicate")
            fresh.discard(unit)
    return outcomes


def _insert_exposures(
    conn: Connection, kind: ExposureKind, wanted: dict[_Unit, ExposureRow], received_at: Micros
) -> set[_Unit]:
    values = [
        {
            "experiment_id": unit[0], "kind": kind, "unit_id": unit[1], "variant": row.variant, "at": row.at,
            "day": row.day, "fingerprint": row.fingerprint, "received_at": received_at,
        }
        for unit, row in sorted(wanted.items())  # one order in every process: rows locked crosswise would deadlock
    ]  # fmt: skip
    return {(r[0], r[1]) for r in _insert_new(conn, exposure, values, "experiment_id", "unit_id")}


def _held_variants(conn: Connection, units: Sequence[_Unit]) -> dict[_Unit, str]:
    held: dict[_Unit, str] = {}
    by_experiment: dict[int, list[str]] = {}
    for experiment_id, unit_id in units:
        by_experiment.setdefault(experiment_id, []).append(unit_id)
    for experiment_id, unit_ids in by_experiment.items():
        for start in range(0, len(unit_ids), CHUNK):
            query = select(
                exposure.c.unit_id, exposure.c.variant
            ).where(
                exposure.c.experiment_id == experiment_id,  # one experiment a query: SQLite scans for a tuple IN a list
                exposure.c.kind == "assigned",
                exposure.c.unit_id.in_(unit_ids[start : start + CHUNK]),
            )
            held |= {(experiment_id, r.unit_id): r.variant for r in conn.execute(query)}
    return held


def _insert_crossovers(conn: Connection, rows: Iterable[ExposureRow]) -> set[tuple[int, str, str]]:
    wanted = {(row.experiment_id, row.unit_id, row.variant): row for row in rows}
    values = [
        {"experiment_id": key[0], "unit_id": key[1], "variant": key[2], "at": row.at}
        for key, row in sorted(wanted.items())
    ]
    new = _insert_new(conn, crossover, values, "experiment_id", "unit_id", "variant")
    return {(r[0], r[1], r[2]) for r in new}


def append_conversions(
    conn: Connection, storefront_id: StorefrontId, rows: Sequence[Conversion], received_at: Micros
) -> list[Outcome]:
    """For each conversion whether it was new. Refunds carry their order's unit and time, whichever arrives first."""
    wanted: dict[str, Conversion] = {}
    for row in rows:
        wanted.setdefault(row.event_key, row)
    orders = _orders_of_refunds(conn, storefront_id, wanted.values())
    values = [
        _conversion_values(storefront_id, row, orders.get(row.order_id or ""), received_at)
        for _, row in sorted(wanted.items())
    ]
    new = {r[0] for r in _insert_new(conn, conversion, values, "event_key")}
    _finish_orders(conn, storefront_id, [wanted[key] for key in sorted(new) if wanted[key].type == "order"])
    outcomes: list[Outcome] = []
    for row in rows:
        outcomes.append("accepted" if row.event_key in new else "duplicate")
        new.discard(row.event_key)
    return outcomes


@dataclass(frozen=True, slots=True)
class _OrderFacts:
    visitor_id: str | None
    customer_id: str | None
    at: int


def _orders_of_refunds(
    conn: Connection, storefront_id: StorefrontId, rows: Iterable[Conversion]
) -> dict[str, _OrderFacts]:
    rows = list(rows)
    refunded = sorted({row.order_id for row in rows if row.type == "refund" and row.order_id})
    found: dict[str, _OrderFacts] = {}
    for start in range(0, len(refunded), CHUNK):
        keys = [f"order:{order_id}" for order_id in refunded[start : start + CHUNK]]
        query = select(conversion).where(conversion.c.storefront_id == storefront_id, conversion.c.event_key.in_(keys))
        for r in conn.execute(query):
            found[r.order_id] = _OrderFacts(r.visitor_id, r.customer_id, r.at)
    for row in rows:  # an order in the same batch as its refund
        if row.type == "order" and row.order_id in refunded:
            found.setdefault(row.order_id, _OrderFacts(row.visitor_id, row.customer_id, row.at))
    return found


def _conversion_values(
    storefront_id: StorefrontId, row: Conversion, order: _OrderFacts | None, received_at: Micros
) -> dict[str, Any]:
    is_refund = row.type == "refund" and order is not None
    return {
        "storefront_id": storefront_id,
        "event_key": row.event_key,
        "type": row.type,
        "at": row.at,
        "day": row.day,
        "received_at": received_at,
        "visitor_id": order.visitor_id if is_refund and order else row.visitor_id,
        "customer_id": order.customer_id if is_refund and order else row.customer_id,
        "order_id": row.order_id,
        "order_at": order.at if is_refund and order else None,
        "currency": row.currency,
        "revenue": row.revenue,
        "discount": row.discount,
        "shipping": row.shipping,
        "tax": row.tax,
        "cost": row.cost,
        "refunded": row.refunded,
        "item_count": row.item_count,
        "value": row.value,
        "experiment": row.experiment,
        "variant": row.variant,
        "offer_id": row.offer_id,
    }


def _finish_orders(conn: Connection, storefront_id: StorefrontId, orders: Sequence[Conversion]) -> None:
    """Write the lines of new orders, and give refunds that came before their order its unit and time."""
    lines = [
        {
            "storefront_id": storefront_id, "order_id": order.order_id, "number": number, "product_id": line.product_id,
            "quantity": line.quantity, "price": line.price, "cost": line.cost, "offer": line.offer,
        }
        for order in orders
        for number, line in enumerate(order.lines)
    ]  # fmt: skip
    if lines:
        conn.execute(insert(order_line), lines)
    by_id = {order.order_id: order for order in orders}
    ids = list(by_id)
    for start in range(0, len(ids), CHUNK):
        early = (
            conversion.c.storefront_id == storefront_id,
            conversion.c.type == "refund",
            conversion.c.order_id.in_(ids[start : start + CHUNK]),
            conversion.c.order_at.is_(None),
        )
        for refund in conn.execute(select(conversion.c.id, conversion.c.order_id).where(*early)).all():
            order = by_id[refund.order_id]
            known = {"order_at": order.at, "visitor_id": order.visitor_id, "customer_id": order.customer_id}
            conn.execute(update(conversion).where(conversion.c.id == refund.id).values(**known))


def held_variant(conn: Connection, experiment_id: ExperimentId, unit_id: str) -> str | None:
    """The variant that a unit already met in an experiment, or None."""
    return _held_variants(conn, [(experiment_id, unit_id)]).get((experiment_id, unit_id))


def append_link(
    conn: Connection, storefront_id: StorefrontId, visitor_id: str, customer_id: str, at: Micros
) -> Outcome:
    """Tie a visitor to a customer, once."""
    values = [{"storefront_id": storefront_id, "visitor_id": visitor_id, "customer_id": customer_id, "at": at}]
    return "accepted" if _insert_new(conn, link, values, "visitor_id") else "duplicate"


def _insert_new(conn: Connection, table: Table, values: list[dict[str, Any]], *returning: str) -> list[Any]:
    """Insert what is not there yet; gives the named columns of the rows that were."""
    if not values:
        return []
    return list(conn.execute(_insert_if_new(conn.dialect.name, table, returning), values).all())


@cache
def _insert_if_new(dialect: str, table: Table, returning: tuple[str, ...]) -> Any:
    """The statement, made once: making it costs as much as running it."""
    insert_into = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert_into(table).on_conflict_do_nothing().returning(*(table.c[name] for name in returning))
