"""What a storefront's event log holds, read from the database itself."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from experiments.storage.database import reading
from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import conversion, experiment, exposure, link, order_line, quarantine, webhook_delivery
from tests.serving import Tenant


@dataclass(frozen=True)
class Ledger:
    """One storefront's share of a database."""

    engine: Engine
    key: str

    def rows(self, type_: str | None = None) -> list[dict[str, Any]]:
        """Conversions, in the order of their keys."""
        query = select(conversion).where(conversion.c.storefront_id == self._id()).order_by(conversion.c.event_key)
        found = self._all(query)
        return [row for row in found if type_ is None or row["type"] == type_]

    def orders(self) -> dict[str, int]:
        """Revenue by order id."""
        return {row["order_id"]: row["revenue"] for row in self.rows("order")}

    def refunds(self) -> dict[str, int]:
        """Money given back, by refund."""
        return {row["event_key"].removeprefix("refund:"): row["refunded"] for row in self.rows("refund")}

    def lines(self, order_id: str) -> list[tuple[str, int, int]]:
        """Product, quantity and price of an order's lines."""
        mine = (order_line.c.storefront_id == self._id(), order_line.c.order_id == order_id)
        found = self._all(select(order_line).where(*mine).order_by(order_line.c.number))
        return [(row["product_id"], row["quantity"], row["price"]) for row in found]

    def exposures(self) -> set[tuple[str, str, str, str]]:
        """Experiment, kind, unit and variant."""
        joined = select(experiment.c.key, exposure.c.kind, exposure.c.unit_id, exposure.c.variant)
        query = joined.join(experiment, experiment.c.id == exposure.c.experiment_id)
        with reading(self.engine) as conn:
            return {tuple(row) for row in conn.execute(query.where(experiment.c.storefront_id == self._id()))}

    def links(self) -> set[tuple[str, str]]:
        """Visitors who are customers."""
        found = self._all(select(link).where(link.c.storefront_id == self._id()))
        return {(row["visitor_id"], row["customer_id"]) for row in found}

    def quarantined(self) -> list[tuple[str, str]]:
        """Intake and reason of what was refused."""
        mine = quarantine.c.storefront_id == self._id()
        return [(row["source"], row["code"]) for row in self._all(select(quarantine).where(mine))]

    def inbox(self) -> list[dict[str, Any]]:
        """Webhooks, the oldest first."""
        mine = webhook_delivery.c.storefront_id == self._id()
        return self._all(select(webhook_delivery).where(mine).order_by(webhook_delivery.c.id))

    def summed(self) -> tuple[int, int]:
        """Number and revenue of the orders, by the database."""
        totals = select(func.count(), func.coalesce(func.sum(conversion.c.revenue), 0))
        with reading(self.engine) as conn:
            mine = (conversion.c.storefront_id == self._id(), conversion.c.type == "order")
            count, revenue = conn.execute(totals.where(*mine)).one()
        return int(count), int(revenue)

    def _id(self) -> int:
        with reading(self.engine) as conn:
            return get_storefront(conn, self.key).id

    def _all(self, query: Any) -> list[dict[str, Any]]:
        with reading(self.engine) as conn:
            return [dict(row._mapping) for row in conn.execute(query)]


def ledger(tenant: Tenant) -> Ledger:
    """The log of a storefront of the running server."""
    return Ledger(tenant.engine, tenant.name)
