"""The catalogue, as rows."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, tuple_

from experiments.catalogue import Product
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import product

_FIELDS = ("product_id", "title", "category", "price", "compare_at", "cost", "stock", "url", "image", "attributes")


def put_products(
    conn: Connection, storefront_id: StorefrontId, given: Sequence[Product], now: Micros
) -> tuple[int, int]:
    """How many products were new or changed, and how many were the same already."""
    latest = {p.product_id: p for p in given}
    known = {p.product_id: p for p in read_products(conn, storefront_id, list(latest))}
    changed = [p for p in latest.values() if known.get(p.product_id) != p]
    replaced = [(storefront_id, p.product_id) for p in changed if p.product_id in known]
    for start in range(0, len(replaced), 500):
        key = tuple_(product.c.storefront_id, product.c.product_id)
        conn.execute(delete(product).where(key.in_(replaced[start : start + 500])))
    if changed:
        rows = [
            {"storefront_id": storefront_id, "updated_at": now} | {name: getattr(p, name) for name in _FIELDS}
            for p in changed
        ]
        conn.execute(insert(product), rows)
    return len(changed), len(given) - len(changed)


def read_products(
    conn: Connection, storefront_id: StorefrontId, product_ids: Sequence[str] | None = None
) -> list[Product]:
    """The products of a storefront, or those of them that are named."""
    query = select(*(product.c[name] for name in _FIELDS)).where(product.c.storefront_id == storefront_id)
    if product_ids is None:
        return [Product(**row._mapping) for row in conn.execute(query.order_by(product.c.product_id))]
    found: list[Product] = []
    for start in range(0, len(product_ids), 500):
        chunk = query.where(product.c.product_id.in_(product_ids[start : start + 500]))
        found += [Product(**row._mapping) for row in conn.execute(chunk)]
    return found
