"""Which unit of an experiment an event belongs to, where visitors are linked to customers. Resolved when it is read.

A visitor belongs to the customer of its first link. Of a customer's visitors the one that was exposed first leads: all
that the customer or any of its visitors did counts for that one, under the variant that it met.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    select,
)

from experiments.storage.tables import exposure, visitor_customer

_PAD = 10**17
"""Added to a time it gives 18 digits, whatever the time: as text they sort as numbers do."""


def has_links(conn: Connection, storefront_id: int) -> bool:
    """Whether any visitor of the storefront is linked at all."""
    query = select(visitor_customer.c.visitor_id).where(visitor_customer.c.storefront_id == storefront_id).limit(1)
    return conn.execute(query).first() is not None


@dataclass(frozen=True, slots=True)
class Resolved:
    """Conversions with the unit that each belongs to, its variant and when it met it; NULL where there is none."""

    source: FromClause
    unit: ColumnElement[Any]
    variant: ColumnElement[Any]
    at: ColumnElement[Any]
    day: ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Identities:
    """The links known until a time, for one experiment whose unit is the visitor or the customer.

    Joins are made so that a database without statistics cannot choose an order that reads everything for each row.
    """

    storefront_id: int
    experiment_id: int
    unit: str
    until: int

    def members(self, kind: str = "assigned") -> CTE:
        """Exposed visitors that have a customer."""
        p, e = visitor_customer, exposure
        mine = and_(e.c.experiment_id == self.experiment_id, e.c.kind == kind, e.c.unit_id == p.c.visitor_id)
        return (
            select(p.c.customer_id, e.c.unit_id, e.c.variant, e.c.at, e.c.day)
            .select_from(p.join(e, mine))
            .where(p.c.storefront_id == self.storefront_id, p.c.at <= self.until, e.c.at <= self.until)
            .cte(f"members_{kind}")
        )

    def leads(self, members: CTE) -> CTE:
        """Each customer's visitor that was exposed first; of several at once, the first by name."""
        dated = cast(members.c.at + _PAD, Text) + members.c.unit_id  # as text, so that one minimum finds both
        first = (
            select(members.c.customer_id, func.min(dated).label("dated"))
            .group_by(members.c.customer_id)
            .cte("first_met")
        )
        unit_id = func.substr(first.c.dated, len(str(_PAD)) + 1)
        same = members.alias("same")
        return (
            select(first.c.customer_id, same.c.unit_id, same.c.variant, same.c.at, same.c.day)
            .select_from(first.join(same, same.c.unit_id == unit_id))
            .cte("leads")
        )

    def resolved(self, c: FromClause) -> Resolved:
        """The conversions of a table or an alias of it, with their units."""
        p = visitor_customer.alias("p")  # joined as it is: a table made on the way would have no index
        own = exposure.alias("own")
        owned = c.outerjoin(p, and_(p.c.storefront_id == c.c.storefront_id, p.c.visitor_id == c.c.visitor_id))
        owner = case((p.c.at <= self.until, p.c.customer_id))
        if self.unit == "customer":
            customer = func.coalesce(c.c.customer_id, owner)
            met = owned.outerjoin(own, self._is_exposed(own, customer))
            return Resolved(met, customer, own.c.variant, own.c.at, own.c.day)
        leads = self.leads(self.members())
        by_visitor, by_customer = leads.alias("by_visitor"), leads.alias("by_customer")
        source = (
            owned.outerjoin(by_visitor, by_visitor.c.customer_id == owner)
            .outerjoin(own, self._is_exposed(own, c.c.visitor_id))
            .outerjoin(by_customer, by_customer.c.customer_id == c.c.customer_id)
        )
        unit_id, variant, at, day = (
            func.coalesce(by_visitor.c[name], own.c[name], by_customer.c[name])
            for name in ("unit_id", "variant", "at", "day")
        )
        return Resolved(source, unit_id, variant, at, day)

    def followers(self, conn: Connection) -> dict[tuple[str, str, int], int]:
        """Exposed visitors that count as another one of their customer: how many, by kind, variant and day of entry."""
        found: dict[tuple[str, str, int], int] = {}
        for kind in ("assigned", "viewed") if self.unit == "visitor" else ():
            entered = self.members()
            members = entered if kind == "assigned" else self.members(kind)
            leads = self.leads(entered)
            leading = members.outerjoin(leads, leads.c.unit_id == members.c.unit_id)
            own = members if kind == "assigned" else entered.alias("own")
            if kind == "viewed":  # by the day of entry, not of the view
                leading = leading.join(own, own.c.unit_id == members.c.unit_id)
            query = select(own.c.variant, own.c.day, func.count()).select_from(leading)
            query = query.where(leads.c.unit_id.is_(None)).group_by(own.c.variant, own.c.day)
            for variant, day, units in conn.execute(query):
                found[kind, variant, int(day)] = int(units)
        return found

    def crossed(self, crossed: Select[tuple[str]]) -> CompoundSelect[tuple[str]]:
        """Those units as the ones that they count as, and the ones whose second visitor met another variant."""
        members = self.members()
        leads = self.leads(members)
        leader = leads.c.customer_id == members.c.customer_id
        given = crossed.cte("given")
        followed = given.outerjoin(members, members.c.unit_id == given.c.unit_id).outerjoin(leads, leader)
        own = select(func.coalesce(leads.c.unit_id, given.c.unit_id).label("unit_id")).select_from(followed)
        torn = (
            select(members.c.customer_id)
            .group_by(members.c.customer_id)
            .having(func.min(members.c.variant) != func.max(members.c.variant))
        )
        return own.union(select(leads.c.unit_id).where(leads.c.customer_id.in_(torn)))

    def _is_exposed(self, e: FromClause, unit_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return and_(e.c.experiment_id == self.experiment_id, e.c.kind == "assigned", e.c.unit_id == unit_id)
