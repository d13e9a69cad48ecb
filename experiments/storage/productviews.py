"""How often products are looked at: counted by day as the page views come, so that nothing has to be read again."""

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from experiments.identifiers import StorefrontId
from experiments.storage.tables import most_viewed, product_view

COUNTED_DAYS = 28
"""Days whose views make a product one of the most viewed; a view weighs less with each day that passes."""
KEPT_DAYS = 90
MOST = 200


def count_views(conn: Connection, storefront_id: StorefrontId, seen: Iterable[tuple[str, int]]) -> None:
    """Count each product that was looked at, with the day."""
    counts = Counter(seen)
    if not counts:
        return
    made = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(product_view)
    more = made.on_conflict_do_update(
        index_elements=["storefront_id", "product_id", "day"],
        set_={"views": product_view.c.views + made.excluded.views},
    )
    rows = [
        {"storefront_id": storefront_id, "product_id": product_id, "day": day, "views": views}
        for (product_id, day), views in sorted(counts.items())  # one order in every process: no deadlock
    ]
    conn.execute(more, rows)


def has_views(conn: Connection, storefront_id: StorefrontId) -> bool:
    """Whether any product was looked at."""
    query = select(product_view.c.day).where(product_view.c.storefront_id == storefront_id).limit(1)
    return conn.execute(query).first() is not None


def write_most_viewed(conn: Connection, storefront_id: StorefrontId) -> None:
    """Rank the products by their views of the newest days, in the database; days long past are dropped."""
    v, ours = product_view.c, product_view.c.storefront_id == storefront_id
    conn.execute(delete(most_viewed).where(most_viewed.c.storefront_id == storefront_id))
    newest: int | None = conn.execute(select(func.max(v.day)).where(ours)).scalar_one()
    if newest is None:
        return
    conn.execute(delete(product_view).where(ours, v.day < newest - KEPT_DAYS))
    weight = func.sum(v.views * (v.day - (newest - COUNTED_DAYS)))
    query = (
        select(v.product_id, func.sum(v.views))
        .where(ours, v.day > newest - COUNTED_DAYS)
        .group_by(v.product_id)
        .order_by(weight.desc(), v.product_id)
        .limit(MOST)
    )
    rows = [
        {"storefront_id": storefront_id, "rank": rank, "product_id": product_id, "views": int(views)}
        for rank, (product_id, views) in enumerate(conn.execute(query))
    ]
    conn.execute(insert(most_viewed), rows)


def read_most_viewed(conn: Connection, storefront_id: StorefrontId) -> list[str]:
    """The products most looked at, first first."""
    m = most_viewed.c
    return list(conn.scalars(select(m.product_id).where(m.storefront_id == storefront_id).order_by(m.rank)))
