"""All that is kept about one person: found, and deleted, wherever it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, func, not_, or_, select

from experiments.identifiers import StorefrontId
from experiments.storage.quarantine import drop, held
from experiments.storage.tables import (
    conversion,
    crossover,
    experiment,
    exposure,
    ineligible,
    link,
    offer_view,
    order_line,
    visitor_customer,
)

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Person:
    """A visitor, or a customer with the visitors that belong to it."""

    visitors: frozenset[str]
    customers: frozenset[str]

    @property
    def ids(self) -> frozenset[str]:
        """Every name of the person."""
        return self.visitors | self.customers


def visitor_alone(visitor_id: str) -> Person:
    """A visitor, without the customer that it may be."""
    return Person(frozenset([visitor_id]), frozenset())


def customer_whole(conn: Connection, storefront_id: StorefrontId, customer_id: str) -> Person:
    """A customer with all visitors that belong to it."""
    theirs = select(visitor_customer.c.visitor_id).where(
        visitor_customer.c.storefront_id == storefront_id, visitor_customer.c.customer_id == customer_id
    )
    return Person(frozenset(conn.scalars(theirs)), frozenset([customer_id]))


def person_rows(conn: Connection, storefront_id: StorefrontId, person: Person) -> dict[str, list[dict[str, Any]]]:
    """Every row about the person, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table, which in _places(conn, storefront_id, person):
        rows = [dict(row._mapping) for row in conn.execute(select(table).where(which))]
        found.setdefault(table.name, []).extend(rows)
    found["quarantine"] = [
        {"id": event.id, "source": event.source, "code": event.code, "message": event.message, "count": event.count,
         "received_at": event.received_at, "body": event.body.decode("utf-8", "replace")}
        for event in held(conn, storefront_id)
        if _is_about(event.body, person)
    ]  # fmt: skip
    return found


def delete_person(conn: Connection, storefront_id: StorefrontId, person: Person) -> dict[str, int]:
    """Delete every row about the person; how many there were, by table."""
    gone: dict[str, int] = {}
    for table, which in _places(conn, storefront_id, person):
        gone[table.name] = gone.get(table.name, 0) + conn.execute(delete(table).where(which)).rowcount
    refused = [event.id for event in held(conn, storefront_id) if _is_about(event.body, person)]
    gone["quarantine"] = drop(conn, storefront_id, refused)
    return gone


def _places(
    conn: Connection, storefront_id: StorefrontId, person: Person
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Where the person's rows are; the lines of orders before the orders."""
    visitors, customers = sorted(person.visitors), sorted(person.customers)
    here = conversion.c.storefront_id == storefront_id
    theirs = or_(
        func.coalesce(conversion.c.visitor_id, "").in_(visitors),
        func.coalesce(conversion.c.customer_id, "").in_(customers),
    )
    orders = list(conn.scalars(select(conversion.c.order_id).where(here, theirs, conversion.c.type == "order")))
    for some in _chunks(orders):
        yield order_line, (order_line.c.storefront_id == storefront_id) & order_line.c.order_id.in_(some)
        yield conversion, here & not_(theirs) & conversion.c.order_id.in_(some)  # what others sent about these orders
    yield conversion, here & theirs
    mine = list(conn.execute(select(experiment.c.id).where(experiment.c.storefront_id == storefront_id)).scalars())
    for units in _chunks(sorted(person.ids)):
        kinds = exposure.c.kind.in_(["assigned", "viewed"])  # with both, the primary key finds the rows
        yield exposure, exposure.c.experiment_id.in_(mine) & kinds & exposure.c.unit_id.in_(units)
        yield crossover, crossover.c.experiment_id.in_(mine) & crossover.c.unit_id.in_(units)
        yield ineligible, ineligible.c.experiment_id.in_(mine) & ineligible.c.unit_id.in_(units)
    for some in _chunks(visitors):
        yield offer_view, (offer_view.c.storefront_id == storefront_id) & offer_view.c.visitor_id.in_(some)
    for table in (link, visitor_customer):
        named = or_(table.c.visitor_id.in_(visitors), table.c.customer_id.in_(customers))
        yield table, (table.c.storefront_id == storefront_id) & named


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _is_about(body: bytes, person: Person) -> bool:
    """Whether a refused event names the person: as it stands, or however its JSON spells it."""
    if any(name.encode() in body for name in person.ids):
        return True
    try:
        return _names(msgspec.json.decode(body), person.ids)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _names(value: Any, ids: frozenset[str]) -> bool:
    if isinstance(value, dict):
        return any(_names(each, ids) for each in value.values())
    if isinstance(value, list):
        return any(_names(each, ids) for each in value)
    return isinstance(value, str) and value in ids
