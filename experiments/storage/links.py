"""Whose visitor it is: every link is kept, and the first one says which customer the visitor counts for."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.eventlog import Outcome
from experiments.storage.newrows import insert_new
from experiments.storage.tables import link, visitor_customer

_COLUMNS = ("storefront_id", "visitor_id", "customer_id", "at")


@dataclass(frozen=True, slots=True)
class Link:
    """A visitor is a customer."""

    visitor_id: str
    customer_id: str
    at: Micros


def append_links(conn: Connection, storefront_id: StorefrontId, rows: Sequence[Link]) -> list[Outcome]:
    """For each link whether it was new. A visitor that has a customer keeps it, whatever is linked later."""
    links: dict[tuple[str, str], Link] = {}
    firsts: dict[str, Link] = {}
    for row in rows:
        links.setdefault((row.visitor_id, row.customer_id), row)
        firsts.setdefault(row.visitor_id, row)
    values = [(storefront_id, row.visitor_id, row.customer_id, row.at) for _, row in sorted(links.items())]
    new = {tuple(row[:3]) for row in insert_new(conn, link, _COLUMNS, values, key=3)}
    insert_new(
        conn,
        visitor_customer,
        _COLUMNS,
        [(storefront_id, row.visitor_id, row.customer_id, row.at) for _, row in sorted(firsts.items())],
        key=2,
    )
    outcomes: list[Outcome] = []
    for row in rows:
        key = (storefront_id, row.visitor_id, row.customer_id)
        outcomes.append("accepted" if key in new else "duplicate")
        new.discard(key)
    return outcomes
