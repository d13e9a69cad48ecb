"""What is kept about people, deleted by its age, or all of it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, not_, select, update

from experiments.identifiers import StorefrontId
from experiments.moment import Micros, day_number
from experiments.storage.offerviews import forget_views
from experiments.storage.storefronts import Storefront
from experiments.storage.tables import (
    audience,
    conversion,
    crossover,
    experiment,
    exposure,
    ineligible,
    link,
    offer_view,
    order_line,
    quarantine,
    visitor_customer,
    webhook_delivery,
)
from experiments.storage.tables import storefront as storefronts


def retention_days(conn: Connection, storefront_id: StorefrontId) -> int | None:
    """How long a storefront keeps what it knows about people; None: for ever."""
    query = select(storefronts.c.retention_days).where(storefronts.c.id == storefront_id)
    days: int | None = conn.execute(query).scalar_one()
    return days


def exposed_since(conn: Connection, experiment_id: int) -> Micros | None:
    """When an experiment's first exposure was."""
    found = conn.scalar(select(func.min(exposure.c.at)).where(exposure.c.experiment_id == experiment_id))
    return None if found is None else Micros(int(found))


def delete_before(
    conn: Connection, storefront: Storefront, before: Micros, deeds_before: Micros, experiment_ids: Sequence[int]
) -> dict[str, int]:
    """Delete what is from before a time: of these experiments, what people did before its own, and all the rest."""
    here = storefront.id
    old = and_(conversion.c.storefront_id == here, conversion.c.at < deeds_before)
    keys = select(conversion.c.order_id).where(old, conversion.c.type == "order")
    lines = and_(order_line.c.storefront_id == here, order_line.c.order_id.in_(keys))
    gone = {"order_line": _delete(conn, order_line, lines), "conversion": _delete(conn, conversion, old)}
    for table in (exposure, crossover, ineligible):
        gone[table.name] = _delete(conn, table, table.c.experiment_id.in_(experiment_ids), table.c.at < before)
    gone["offer_view"] = forget_views(conn, here, day_number(before, storefront.zone))
    gone["quarantine"] = _delete(conn, quarantine, quarantine.c.storefront_id == here, quarantine.c.last_at < before)
    delivered = webhook_delivery.c
    late = (delivered.storefront_id == here, delivered.received_at < before, delivered.body != b"")
    emptied = update(webhook_delivery).where(*late).values(body=b"", state="ignored", reason="past its time")
    gone["webhook_delivery"] = conn.execute(emptied).rowcount
    for table in (link, visitor_customer):
        of_nobody = (not_(_acts(here, table)), not_(_is_exposed(here, table)))
        gone[table.name] = _delete(conn, table, table.c.storefront_id == here, table.c.at < before, *of_nobody)
    return gone


def delete_everybody(conn: Connection, storefront_id: StorefrontId) -> dict[str, int]:
    """Delete all that is kept about people: events, links, deliveries, quarantine, and the members of lists."""
    mine = select(experiment.c.id).where(experiment.c.storefront_id == storefront_id)
    gone = {t.name: _delete(conn, t, t.c.experiment_id.in_(mine)) for t in (exposure, crossover, ineligible)}
    for table in (order_line, conversion, link, visitor_customer, offer_view, quarantine):
        gone[table.name] = _delete(conn, table, table.c.storefront_id == storefront_id)
    delivered = (webhook_delivery.c.storefront_id == storefront_id, webhook_delivery.c.body != b"")
    emptied = update(webhook_delivery).where(*delivered).values(body=b"", state="ignored", reason="erased")
    gone["webhook_delivery"] = conn.execute(emptied).rowcount
    for row in conn.execute(select(audience).where(audience.c.storefront_id == storefront_id)).all():
        if row.definition.get("values"):
            empty = update(audience).where(audience.c.id == row.id)
            conn.execute(empty.values(definition=row.definition | {"values": []}))
            gone["audience"] = gone.get("audience", 0) + 1
    return gone


def _delete(conn: Connection, table: Table, *which: ColumnElement[bool]) -> int:
    return conn.execute(delete(table).where(*which)).rowcount


def _acts(storefront_id: StorefrontId, table: Table) -> ColumnElement[bool]:
    """Whether the visitor or the customer of a link did anything that is still known."""
    done = conversion.c.storefront_id == storefront_id
    by_visitor = select(conversion.c.visitor_id).where(done, conversion.c.visitor_id.is_not(None))
    by_customer = select(conversion.c.customer_id).where(done, conversion.c.customer_id.is_not(None))
    return table.c.visitor_id.in_(by_visitor) | table.c.customer_id.in_(by_customer)


def _is_exposed(storefront_id: StorefrontId, table: Table) -> ColumnElement[bool]:
    mine = select(experiment.c.id).where(experiment.c.storefront_id == storefront_id)
    units = select(exposure.c.unit_id).where(exposure.c.experiment_id.in_(mine))
    return table.c.visitor_id.in_(units) | table.c.customer_id.in_(units)
