"""All that is kept about one person: found, and deleted, wherever it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, false, func, not_, or_, select, update

from experiments.identifiers import StorefrontId
from experiments.storage import inbox, quarantine
from experiments.storage.mentions import Named
from experiments.storage.tables import (
    audience,
    audit,
    conversion,
    crossover,
    draft,
    experiment,
    exposure,
    ineligible,
    link,
    offer_view,
    order_line,
    review,
    visitor_customer,
)

T = TypeVar("T")
_CHUNK = 500
_DEFINING = (
    (audience, ("definition",)), (experiment, ("definition",)), (review, ("definition",)), (audit, ("before", "after")),
)  # fmt: skip
"""Where definitions are, which may list people or be aimed at them."""


@dataclass(frozen=True, slots=True)
class Person:
    """A visitor, or a customer with the visitors that belong to it, and orders that are known to be theirs."""

    visitors: frozenset[str]
    customers: frozenset[str]
    orders: frozenset[str] = frozenset()

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
    person = _with_orders(conn, storefront_id, person)
    found: dict[str, list[dict[str, Any]]] = {}
    for table, which in _places(conn, storefront_id, person):
        rows = [dict(row._mapping) for row in conn.execute(select(table).where(which))]
        found.setdefault(table.name, []).extend(rows)
    found["quarantine"] = [
        {"id": event.id, "source": event.source, "code": event.code, "message": event.message, "count": event.count,
         "received_at": event.received_at, "body": event.body.decode("utf-8", "replace")}
        for event in _refused(conn, storefront_id, person)
    ]  # fmt: skip
    found["webhook_delivery"] = [
        {"id": held.id, "source": held.delivery.source, "topic": held.delivery.topic, "state": held.state,
         "received_at": held.delivery.received_at, "body": held.delivery.body.decode("utf-8", "replace")}
        for held in _delivered(conn, storefront_id, person)
    ]  # fmt: skip
    for table, number, before, _ in _definitions(conn, storefront_id, person):
        found.setdefault(table.name, []).append({"id": number, **before})
    return found


def event_rows(conn: Connection, storefront_id: StorefrontId, person: Person) -> dict[str, list[dict[str, Any]]]:
    """What the person met and did: the rows of exposures and conversions alone, by table."""
    person = _with_orders(conn, storefront_id, person)
    found: dict[str, list[dict[str, Any]]] = {}
    for table, which in _places(conn, storefront_id, person):
        if table in (exposure, conversion):
            rows = [dict(row._mapping) for row in conn.execute(select(table).where(which))]
            found.setdefault(table.name, []).extend(rows)
    return found


def delete_person(conn: Connection, storefront_id: StorefrontId, person: Person) -> dict[str, int]:
    """Delete every row about the person, and take them out of definitions; how many rows, by table."""
    person = _with_orders(conn, storefront_id, person)
    gone: dict[str, int] = {}
    gone["quarantine"] = quarantine.drop(conn, storefront_id, [e.id for e in _refused(conn, storefront_id, person)])
    delivered = [held.id for held in _delivered(conn, storefront_id, person)]
    gone["webhook_delivery"] = sum(inbox.emptied(conn, some) for some in _chunks(delivered))
    for table, which in _places(conn, storefront_id, person):
        gone[table.name] = gone.get(table.name, 0) + conn.execute(delete(table).where(which)).rowcount
    for table, number, _, changed in list(_definitions(conn, storefront_id, person)):
        if table is experiment:
            changed["version"] = experiment.c.version + 1  # what every process has read is read again
        conn.execute(update(table).where(table.c.id == number).values(**changed))
        gone[table.name] = gone.get(table.name, 0) + 1
    return gone


def _with_orders(conn: Connection, storefront_id: StorefrontId, person: Person) -> Person:
    here = (conversion.c.storefront_id == storefront_id, conversion.c.type == "order", _theirs(person))
    return replace(person, orders=person.orders | set(conn.scalars(select(conversion.c.order_id).where(*here))))


def _theirs(person: Person) -> ColumnElement[bool]:
    return or_(
        func.coalesce(conversion.c.visitor_id, "").in_(sorted(person.visitors)),
        func.coalesce(conversion.c.customer_id, "").in_(sorted(person.customers)),
    )


def _places(
    conn: Connection, storefront_id: StorefrontId, person: Person
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Where the person's rows are; the lines of orders before the orders."""
    visitors, customers = sorted(person.visitors), sorted(person.customers)
    here, theirs = conversion.c.storefront_id == storefront_id, _theirs(person)
    for some in _chunks(sorted(person.orders)):
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
        named = or_(
            table.c.visitor_id.in_(visitors) if visitors else false(),
            table.c.customer_id.in_(customers) if customers else false(),
        )
        yield table, (table.c.storefront_id == storefront_id) & named


def _refused(conn: Connection, storefront_id: StorefrontId, person: Person) -> Iterator[quarantine.Held]:
    named = Named(person.ids, person.orders)
    return (event for event in quarantine.held(conn, storefront_id) if named.in_body(event.body))


def _delivered(conn: Connection, storefront_id: StorefrontId, person: Person) -> Iterator[inbox.Held]:
    named = Named(person.ids, person.orders)
    for held in inbox.kept_bodies(conn, storefront_id):
        if named.in_body(held.delivery.body, is_order=held.delivery.topic.lower().startswith("order")):
            yield held


def _definitions(
    conn: Connection, storefront_id: StorefrontId, person: Person
) -> Iterator[tuple[Table, int, dict[str, Any], dict[str, Any]]]:
    """Definitions that name the person: the table, the row, what it says of them, and that without them."""
    named = Named(person.ids)
    for row in conn.execute(select(draft.c.id, draft.c.form).where(draft.c.storefront_id == storefront_id)).all():
        typed = named.untyped(row.form)
        if typed != row.form:
            yield draft, row.id, {"form": row.form}, {"form": typed}
    for table, columns in _DEFINING:
        query = select(table.c.id, *(table.c[name] for name in columns)).where(table.c.storefront_id == storefront_id)
        for row in conn.execute(query).all():
            before = {name: row._mapping[name] for name in columns}
            without = {name: named.removed(value) for name, value in before.items()}
            if without != before:
                yield table, row.id, before, without


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
