"""How often visitors met offers: counted by day, and never above a cap, however many ask at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.identifiers import StorefrontId
from experiments.incentives import FrequencyCap
from experiments.storage.tables import offer_view


@dataclass(frozen=True, slots=True)
class View:
    """A visitor is about to meet an offer; the caps are those of the experiment that shows it."""

    visitor_id: str
    day: int
    caps: tuple[FrequencyCap, ...] = ()


def views(conn: Connection, storefront_id: StorefrontId, visitor_id: str, day: int, days: int) -> int:
    """How often the visitor met offers on this day and the `days` - 1 before it."""
    c = offer_view.c
    ours = (c.storefront_id == storefront_id, c.visitor_id == visitor_id, c.day > day - days, c.day <= day)
    counted: int = conn.execute(select(func.coalesce(func.sum(c.views), 0)).where(*ours)).scalar_one()
    return counted


def append_views(conn: Connection, storefront_id: StorefrontId, rows: Sequence[View]) -> list[bool]:
    """For each view whether its caps allow it; only then it is counted."""
    allowed = [False] * len(rows)
    # one order in every process: rows locked crosswise would deadlock
    for index in sorted(range(len(rows)), key=lambda i: (rows[i].visitor_id, rows[i].day)):
        allowed[index] = _append(conn, storefront_id, rows[index])
    return allowed


def _append(conn: Connection, storefront_id: StorefrontId, row: View) -> bool:
    made = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    key = {"storefront_id": storefront_id, "visitor_id": row.visitor_id, "day": row.day}
    first = made(offer_view).values(**key, views=0)
    # the row is locked before it is counted: two requests of one visitor take turns
    locked = first.on_conflict_do_update(index_elements=list(key), set_={"views": offer_view.c.views})
    conn.execute(locked)
    if any(views(conn, storefront_id, row.visitor_id, row.day, cap.days) >= cap.views for cap in row.caps):
        return False
    ours = [offer_view.c[name] == value for name, value in key.items()]
    conn.execute(update(offer_view).where(*ours).values(views=offer_view.c.views + 1))
    return True


def forget_views(conn: Connection, storefront_id: StorefrontId, day: int) -> int:
    """Delete the views of earlier days; how many rows that were."""
    old = (offer_view.c.storefront_id == storefront_id, offer_view.c.day < day)
    return conn.execute(delete(offer_view).where(*old)).rowcount
