"""In how many of the last days' orders each product was: counted by the database from the orders that stand."""

from sqlalchemy import Connection, and_, case, delete, distinct, func, insert, select

from experiments.identifiers import StorefrontId
from experiments.moment import DAY, Micros
from experiments.recommend import HORIZONS
from experiments.storage.tables import conversion, lately_sold, order_line


def write_sold(conn: Connection, storefront_id: StorefrontId, now: Micros) -> None:
    """Count anew."""
    c = conversion.c
    conn.execute(delete(lately_sold).where(lately_sold.c.storefront_id == storefront_id))
    counts = [func.count(distinct(case((c.at > now - days * DAY, c.order_id)))) for days in HORIZONS]
    line = and_(order_line.c.storefront_id == storefront_id, order_line.c.order_id == c.order_id)
    counted = (
        select(c.storefront_id, order_line.c.product_id, *counts)
        .select_from(conversion.join(order_line, line))
        .where(
            c.storefront_id == storefront_id,
            c.type == "order",
            c.cancelled_at.is_(None),
            c.at > now - HORIZONS[-1] * DAY,
            c.at <= now,
            order_line.c.quantity > 0,
        )
        .group_by(c.storefront_id, order_line.c.product_id)
    )
    names = ["storefront_id", "product_id", "week", "month", "quarter"]
    conn.execute(insert(lately_sold).from_select(names, counted))


def read_sold(conn: Connection, storefront_id: StorefrontId) -> dict[str, tuple[int, int, int]]:
    """By product, the orders of the 7, 30 and 90 days before they were counted."""
    s = lately_sold.c
    query = select(s.product_id, s.week, s.month, s.quarter).where(s.storefront_id == storefront_id)
    return {product_id: (week, month, quarter) for product_id, week, month, quarter in conn.execute(query)}
