"""Erasure: one person's data deleted everywhere, everybody's, or what is past its time; the audit says so, nameless.

What is deleted is gone from the reports too: their numbers are those of the data that is left.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from experiments.errors import Conflict, Invalid
from experiments.identifiers import StorefrontId
from experiments.lifecycle import MEASURING
from experiments.moment import DAY, Micros, iso
from experiments.storage import retention
from experiments.storage.people import Person, customer_whole, delete_person, person_rows, visitor_alone
from experiments.storage.registry import AuditEntry, experiments, write_audit
from experiments.storage.storefronts import Storefront, bump_revision


def person_of(
    conn: Connection,
    storefront_id: StorefrontId,
    visitor_id: str | None,
    customer_id: str | None,
    orders: frozenset[str] = frozenset(),
) -> Person:
    """Who is meant: a visitor alone, a customer with all its visitors, or who made these orders; Invalid for nobody."""
    if visitor_id is not None and customer_id is not None:
        raise Invalid.at("visitor", "name one: a visitor or a customer")
    if customer_id is not None:
        found = customer_whole(conn, storefront_id, customer_id)
        return Person(found.visitors, found.customers, orders)
    if visitor_id is not None:
        found = visitor_alone(visitor_id)
        return Person(found.visitors, found.customers, orders)
    if not orders:
        raise Invalid.at("visitor", "name one: a visitor or a customer")
    return Person(frozenset(), frozenset(), orders)


def person_data(conn: Connection, storefront: Storefront, person: Person) -> dict[str, list[dict[str, Any]]]:
    """All that is kept about a person, by table."""
    return person_rows(conn, storefront.id, person)


def erase(conn: Connection, storefront: Storefront, person: Person, actor: str, now: Micros) -> dict[str, int]:
    """Delete all that is kept about a person; how many rows, by table."""
    gone = delete_person(conn, storefront.id, person)
    whom = "customer" if person.customers else "visitor" if person.visitors else "orders"
    _audit(conn, storefront, actor, whom, gone, now)
    bump_revision(conn)  # they may have stood on a list that every process holds
    return gone


def erase_everybody(conn: Connection, storefront: Storefront, actor: str, now: Micros) -> dict[str, int]:
    """Delete all that is kept about any person of a storefront; its experiments, offers and catalogue stay."""
    gone = retention.delete_everybody(conn, storefront.id)
    _audit(conn, storefront, actor, "everybody", gone, now)
    bump_revision(conn)
    return gone


def erase_before(conn: Connection, storefront: Storefront, before: Micros, actor: str, now: Micros) -> dict[str, int]:
    """Delete what is from before a time; Conflict where an experiment that still measures would lose some."""
    measuring = _measuring(conn, storefront)
    for key, (state, since) in measuring.items():
        if since < before:
            message = f"{key!r} is {state} and has exposures since {iso(since)}; stop it first"
            raise Conflict("still_measuring", message)
    gone = retention.delete_before(conn, storefront, before, before, _finished(conn, storefront))
    _audit(conn, storefront, actor, f"before {iso(Micros(before - before % DAY))}", gone, now)
    return gone


def enforce_retention(
    conn: Connection, storefront: Storefront, actor: str, now: Micros
) -> tuple[dict[str, int], Collection[str]]:
    """Delete what is past the storefront's retention period, and who holds some of it back.

    An experiment that still measures keeps its exposures, and what was done since the first of them, until it stops.
    Invalid where the storefront has no such period.
    """
    days = retention.retention_days(conn, storefront.id)
    if days is None:
        raise Invalid.at("expired", f"{storefront.key!r} has no retention period: offerlab storefront set sets one")
    before = Micros(now - days * DAY)
    holding = {key: since for key, (_, since) in _measuring(conn, storefront).items() if since < before}
    deeds_before = min([before, *holding.values()])
    gone = retention.delete_before(conn, storefront, before, deeds_before, _finished(conn, storefront))
    if any(gone.values()):
        _audit(conn, storefront, actor, f"older than {days} days", gone, now)
    return gone, sorted(holding)


def _measuring(conn: Connection, storefront: Storefront) -> dict[str, tuple[str, Micros]]:
    """The experiments that still measure: their state, and since when they have exposures."""
    found: dict[str, tuple[str, Micros]] = {}
    for experiment in experiments(conn, storefront.id):
        if experiment.state in MEASURING and (since := retention.exposed_since(conn, experiment.id)) is not None:
            found[experiment.key] = (experiment.state, since)
    return found


def _finished(conn: Connection, storefront: Storefront) -> list[int]:
    return [found.id for found in experiments(conn, storefront.id) if found.state not in MEASURING]


def _audit(conn: Connection, storefront: Storefront, actor: str, whom: str, gone: dict[str, int], now: Micros) -> None:
    after = {"deleted": {table: rows for table, rows in sorted(gone.items()) if rows}}
    write_audit(conn, storefront.id, AuditEntry(now, actor, "erase", whom, None, after))
