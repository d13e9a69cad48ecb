"""Which unit of an experiment an event belongs to, where visitors are linked to customers. Resolved when it is read.

A visitor belongs to the customer of its first link. Of a customer's visitors the one that was exposed first leads: all
that the customer or any of its visitors did counts for that one, under the variant that it met.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, CompoundSelect, Connection, FromClause, Select, and_, func, select

from experiments.storage.tables import exposure, visitor_customer


def has_links(conn: Connection, storefront_id: int) -> bool:
    """Whether any visitor of the storefront is linked at all."""
    query = select(visitor_customer.c.visitor_id).where(visitor_customer.c.storefront_id == storefront_id).limit(1)
    return conn.execute(query).first() is not None


@dataclass(frozen=True, slots=True)
class Identities:
    """The links known until a time, for one experiment whose unit is the visitor or the customer."""

    storefront_id: int
    experiment_id: int
    unit: str
    until: int

    def owners(self) -> CTE:
        """Visitors with their customer."""
        p = visitor_customer
        query = select(p.c.visitor_id, p.c.customer_id)
        return query.where(p.c.storefront_id == self.storefront_id, p.c.at <= self.until).cte("owners")

    def members(self, owners: CTE) -> CTE:
        """Exposed visitors that have a customer."""
        e = exposure
        return (
            select(owners.c.customer_id, e.c.unit_id, e.c.variant, e.c.at)
            .select_from(owners.join(e, self._is_exposed(e, owners.c.visitor_id)))
            .where(e.c.at <= self.until)
            .cte("members")
        )

    def leads(self, members: CTE) -> CTE:
        """Each customer's visitor that was exposed first; of several at once, the first by name."""
        earliest = (
            select(members.c.customer_id, func.min(members.c.at).label("at"))
            .group_by(members.c.customer_id)
            .cte("earliest")
        )
        same = and_(earliest.c.customer_id == members.c.customer_id, earliest.c.at == members.c.at)
        return (
            select(members.c.customer_id, func.min(members.c.unit_id).label("unit_id"))
            .select_from(members.join(earliest, same))
            .group_by(members.c.customer_id)
            .cte("leads")
        )

    def resolved(self, c: FromClause) -> tuple[FromClause, ColumnElement[Any]]:
        """Conversions with what their unit is found by, and that unit; NULL where there is none."""
        owners = self.owners()
        owned = c.outerjoin(owners, owners.c.visitor_id == c.c.visitor_id)
        if self.unit == "customer":
            return owned, func.coalesce(c.c.customer_id, owners.c.customer_id)
        leads = self.leads(self.members(owners))
        by_visitor, by_customer, own = leads.alias("by_visitor"), leads.alias("by_customer"), exposure.alias("own")
        source = (
            owned.outerjoin(by_visitor, by_visitor.c.customer_id == owners.c.customer_id)
            .outerjoin(own, self._is_exposed(own, c.c.visitor_id))
            .outerjoin(by_customer, by_customer.c.customer_id == c.c.customer_id)
        )
        return source, func.coalesce(by_visitor.c.unit_id, own.c.unit_id, by_customer.c.unit_id)

    def followers(self, conn: Connection) -> dict[tuple[str, str], int]:
        """Exposed visitors that count as another one of their customer: how many, by kind of exposure and variant."""
        if self.unit == "customer":
            return {}
        members = self.members(self.owners())
        leads, e = self.leads(members), exposure.alias("e")
        mine = and_(e.c.experiment_id == self.experiment_id, e.c.unit_id == members.c.unit_id)
        query = (
            select(e.c.kind, e.c.variant, func.count())
            .select_from(members.join(leads, leads.c.customer_id == members.c.customer_id).join(e, mine))
            .where(members.c.unit_id != leads.c.unit_id, e.c.at <= self.until)
            .group_by(e.c.kind, e.c.variant)
        )
        return {(kind, variant): int(units) for kind, variant, units in conn.execute(query)}

    def crossed(self, crossed: Select[tuple[str]]) -> CompoundSelect[tuple[str]]:
        """Those units as the ones that they count as, and the ones whose second visitor met another variant."""
        members = self.members(self.owners())
        leads, lead = self.leads(members), exposure.alias("lead")
        leader = leads.c.customer_id == members.c.customer_id
        given = crossed.cte("given")
        followed = given.outerjoin(members, members.c.unit_id == given.c.unit_id).outerjoin(leads, leader)
        own = select(func.coalesce(leads.c.unit_id, given.c.unit_id).label("unit_id")).select_from(followed)
        linked = members.join(leads, leader).join(lead, self._is_exposed(lead, leads.c.unit_id))
        return own.union(select(leads.c.unit_id).select_from(linked).where(members.c.variant != lead.c.variant))

    def _is_exposed(self, e: FromClause, unit_id: ColumnElement[str]) -> ColumnElement[bool]:
        return and_(e.c.experiment_id == self.experiment_id, e.c.kind == "assigned", e.c.unit_id == unit_id)
