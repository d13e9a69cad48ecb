"""Past orders as baskets, and what they suggest, as rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.associations import Companion, Seller, Suggestions
from experiments.identifiers import StorefrontId
from experiments.moment import DAY, Micros
from experiments.recommend import Habits, History
from experiments.storage.productviews import read_most_viewed
from experiments.storage.sales import read_sold
from experiments.storage.tables import bestseller, companion, conversion, history, order_line, visitor_customer

MOST_ORDERS = 500_000
"""The newest orders that are read; a shop with more learns from its last months."""
OLDEST = 730 * DAY
"""Orders so long before the newest one tell of another shop."""
EVERYBODY = ""
"""The segment that is none: all orders."""
_UNIT_SEPARATOR = "\x1f"
"""Between product ids: no id holds a control character."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What was worked out last: when, up to which conversion, from how many orders."""

    at: Micros
    claimed_at: Micros
    last_id: int
    orders: int


NEVER = Progress(Micros(0), Micros(0), 0, 0)


def progress(conn: Connection, storefront_id: StorefrontId) -> Progress:
    """How far a storefront's history is worked out."""
    columns = (history.c.at, history.c.claimed_at, history.c.last_id, history.c.orders)
    row = conn.execute(select(*columns).where(history.c.storefront_id == storefront_id)).first()
    return NEVER if row is None else Progress(*row)


def newest_order(conn: Connection, storefront_id: StorefrontId) -> int:
    """The id of the newest order that is recorded; 0 where there is none."""
    ours = (conversion.c.storefront_id == storefront_id, conversion.c.type == "order")
    newest: int | None = conn.execute(select(func.max(conversion.c.id)).where(*ours)).scalar_one()
    return newest or 0


def claim(conn: Connection, storefront_id: StorefrontId, seen: Progress, now: Micros) -> bool:
    """Whether it is this process that works it out: of those that saw the same progress only the first one does."""
    made = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    first = {"storefront_id": storefront_id, "at": 0, "claimed_at": 0, "last_id": 0, "orders": 0}
    conn.execute(made(history).values(**first).on_conflict_do_nothing())
    mine = (history.c.storefront_id == storefront_id, history.c.claimed_at == seen.claimed_at)
    return conn.execute(update(history).where(*mine).values(claimed_at=now)).rowcount == 1


def baskets(conn: Connection, storefront_id: StorefrontId) -> Iterator[tuple[int, list[str], str | None]]:
    """The day and the products of each order that stands, one after the other, none kept; and whose it was.

    `new` is who ordered for the first time, `returning` who had ordered before; None where nobody knows who it was.
    """
    c, owner = conversion.c, visitor_customer
    unit = func.coalesce(c.customer_id, owner.c.customer_id, c.visitor_id)
    owned = conversion.outerjoin(
        owner, and_(owner.c.storefront_id == c.storefront_id, owner.c.visitor_id == c.visitor_id)
    )
    first = (
        select(unit.label("unit"), func.min(c.at).label("at"))
        .select_from(owned)
        .where(*_standing(storefront_id), unit.is_not(None))
        .group_by(unit)
        .cte("first_order")
    )
    segment = case((first.c.at.is_(None), None), (c.at > first.c.at, "returning"), else_="new")
    line = and_(order_line.c.storefront_id == storefront_id, order_line.c.order_id == c.order_id)
    products = func.aggregate_strings(order_line.c.product_id, _UNIT_SEPARATOR)
    query: Select[Any] = (
        select(c.day, products, segment)
        .select_from(owned.outerjoin(first, first.c.unit == unit).join(order_line, line))
        .where(*_standing(storefront_id), c.at >= _since(conn, storefront_id), order_line.c.quantity > 0)
        .group_by(c.id, c.day, segment)
    )
    for day, joined, whose in conn.execution_options(yield_per=2000).execute(query):
        yield day, joined.split(_UNIT_SEPARATOR), whose


def _standing(storefront_id: StorefrontId) -> tuple[Any, ...]:
    return (
        conversion.c.storefront_id == storefront_id,
        conversion.c.type == "order",
        conversion.c.cancelled_at.is_(None),
    )


def _since(conn: Connection, storefront_id: StorefrontId) -> int:
    ordered = select(conversion.c.at).where(*_standing(storefront_id)).order_by(conversion.c.at.desc()).limit(1)
    newest: int | None = conn.execute(ordered).scalar()
    most: int | None = conn.execute(ordered.offset(MOST_ORDERS - 1)).scalar()
    return max((newest or 0) - OLDEST, most or 0)


def write_suggestions(
    conn: Connection, storefront_id: StorefrontId, found: Suggestions, last_id: int, now: Micros
) -> None:
    """Put these in the place of the former ones."""
    for table in (companion, bestseller):
        conn.execute(delete(table).where(table.c.storefront_id == storefront_id))
    for segment, part in {EVERYBODY: found, **found.segments}.items():
        _write_segment(conn, storefront_id, segment, part)
    done = {"at": now, "last_id": last_id, "orders": found.orders}
    conn.execute(update(history).where(history.c.storefront_id == storefront_id).values(**done))


def _write_segment(conn: Connection, storefront_id: StorefrontId, segment: str, found: Suggestions) -> None:
    here = {"storefront_id": storefront_id, "segment": segment}
    companions = [
        here
        | {
            "product_id": product_id, "rank": rank, "companion_id": c.product_id, "orders": c.orders,
            "support": c.support, "confidence": c.confidence, "lift": c.lift, "p_value": c.p_value,
        }
        for product_id, several in found.companions.items()
        for rank, c in enumerate(several)
    ]  # fmt: skip
    sellers = [
        here | {"rank": rank, "product_id": s.product_id, "orders": s.orders} for rank, s in enumerate(found.sellers)
    ]
    if companions:
        conn.execute(insert(companion), companions)
    if sellers:
        conn.execute(insert(bestseller), sellers)


def read_companions(
    conn: Connection, storefront_id: StorefrontId, product_id: str, segment: str = EVERYBODY
) -> list[Companion]:
    """A product's companions with their figures, strongest first."""
    c = companion.c
    columns = (c.companion_id, c.orders, c.support, c.confidence, c.lift, c.p_value)
    ours = (c.storefront_id == storefront_id, c.segment == segment, c.product_id == product_id)
    return [Companion(*row) for row in conn.execute(select(*columns).where(*ours).order_by(c.rank))]


def read_sellers(conn: Connection, storefront_id: StorefrontId, segment: str = EVERYBODY) -> list[Seller]:
    """The bestsellers with their orders, first first."""
    ours = (bestseller.c.storefront_id == storefront_id, bestseller.c.segment == segment)
    query = select(bestseller.c.product_id, bestseller.c.orders).where(*ours)
    return [Seller(*row) for row in conn.execute(query.order_by(bestseller.c.rank))]


def read_history(conn: Connection, storefront_id: StorefrontId) -> History:
    """What offers look up."""
    c, s = companion.c, bestseller.c
    pairs: dict[str, dict[str, list[str]]] = {}
    query = select(c.segment, c.product_id, c.companion_id).where(c.storefront_id == storefront_id)
    for segment, product_id, companion_id in conn.execute(query.order_by(c.segment, c.product_id, c.rank)):
        pairs.setdefault(segment, {}).setdefault(product_id, []).append(companion_id)
    sellers: dict[str, list[str]] = {}
    ranked = select(s.segment, s.product_id).where(s.storefront_id == storefront_id).order_by(s.segment, s.rank)
    for segment, product_id in conn.execute(ranked):
        sellers.setdefault(segment, []).append(product_id)
    parts = {
        segment: Habits({p: tuple(found) for p, found in pairs.get(segment, {}).items()}, tuple(sold))
        for segment, sold in sellers.items()
    }
    everybody = parts.pop(EVERYBODY, Habits())
    return History(
        everybody.pairs,
        everybody.sellers,
        viewed=tuple(read_most_viewed(conn, storefront_id)),
        segments=parts,
        sold=read_sold(conn, storefront_id),
        counted_at=progress(conn, storefront_id).at,
    )
