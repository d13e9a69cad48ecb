"""Erasure: one person's data deleted everywhere, or events past their time; the audit says so, without the name.

What is deleted is gone from the reports too: their numbers are those of the data that is left.
"""

from typing import Any

from sqlalchemy import Connection, and_, delete, func, select

from experiments.errors import Conflict, Invalid
from experiments.identifiers import StorefrontId
from experiments.lifecycle import MEASURING
from experiments.moment import DAY, Micros, day_number, iso
from experiments.storage.offerviews import forget_views
from experiments.storage.people import Person, customer_whole, delete_person, person_rows, visitor_alone
from experiments.storage.registry import AuditEntry, experiments, write_audit
from experiments.storage.storefronts import Storefront
from experiments.storage.tables import conversion, crossover, exposure, ineligible, order_line


def person_of(conn: Connection, storefront_id: StorefrontId, visitor_id: str | None, customer_id: str | None) -> Person:
    """Who is meant: a visitor alone, or a customer with all its visitors; Invalid unless exactly one is named."""
    if (visitor_id is None) == (customer_id is None):
        raise Invalid.at("visitor", "name one: a visitor or a customer")
    if customer_id is not None:
        return customer_whole(conn, storefront_id, customer_id)
    return visitor_alone(visitor_id or "")


def person_data(conn: Connection, storefront: Storefront, person: Person) -> dict[str, list[dict[str, Any]]]:
    """All that is kept about a person, by table."""
    return person_rows(conn, storefront.id, person)


def erase(conn: Connection, storefront: Storefront, person: Person, actor: str, now: Micros) -> dict[str, int]:
    """Delete all that is kept about a person; how many rows, by table."""
    gone = delete_person(conn, storefront.id, person)
    whom = "customer" if person.customers else "visitor"
    _audit(conn, storefront, actor, whom, gone, now)
    return gone


def erase_before(conn: Connection, storefront: Storefront, before: Micros, actor: str, now: Micros) -> dict[str, int]:
    """Delete events from before a time; Conflict where an experiment that still measures would lose some."""
    finished: list[int] = []
    for found in experiments(conn, storefront.id):
        if found.state not in MEASURING:
            finished.append(found.id)
            continue
        since = conn.scalar(select(func.min(exposure.c.at)).where(exposure.c.experiment_id == found.id))
        if since is not None and since < before:
            message = f"{found.key!r} is {found.state} and has exposures since {iso(since)}; stop it first"
            raise Conflict("still_measuring", message)
    old = and_(conversion.c.storefront_id == storefront.id, conversion.c.at < before)
    keys = select(conversion.c.order_id).where(old, conversion.c.type == "order")
    lines = and_(order_line.c.storefront_id == storefront.id, order_line.c.order_id.in_(keys))
    gone = {"order_line": conn.execute(delete(order_line).where(lines)).rowcount}
    gone["conversion"] = conn.execute(delete(conversion).where(old)).rowcount
    for table in (exposure, crossover, ineligible):
        which = and_(table.c.experiment_id.in_(finished), table.c.at < before)
        gone[table.name] = conn.execute(delete(table).where(which)).rowcount
    gone["offer_view"] = forget_views(conn, storefront.id, day_number(before, storefront.zone))
    _audit(conn, storefront, actor, f"before {iso(Micros(before - before % DAY))}", gone, now)
    return gone


def _audit(conn: Connection, storefront: Storefront, actor: str, whom: str, gone: dict[str, int], now: Micros) -> None:
    after = {"deleted": {table: rows for table, rows in sorted(gone.items()) if rows}}
    write_audit(conn, storefront.id, AuditEntry(now, actor, "erase", whom, None, after))
