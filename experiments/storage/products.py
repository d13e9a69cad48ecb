"""The catalogue, as rows; and what each product was called and cost before."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from experiments.catalogue import Product
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import product, product_version

_FIELDS = ("product_id", "title", "category", "price", "compare_at", "cost", "stock", "url", "image", "attributes")
_VERSIONED = ("title", "category", "price", "compare_at", "cost")
"""What a report must know of the past; stock changes with every sale."""


def put_products(
    conn: Connection, storefront_id: StorefrontId, given: Sequence[Product], now: Micros
) -> tuple[int, int]:
    """How many products were new or changed, and how many were the same already."""
    latest = {p.product_id: p for p in given}
    known = {p.product_id: p for p in read_products(conn, storefront_id, list(latest))}
    changed = [p for p in latest.values() if known.get(p.product_id) != p]
    made = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    if changed:
        put = made(product)
        replaced = {name: put.excluded[name] for name in (*_FIELDS[1:], "updated_at")}
        rows = [
            {"storefront_id": storefront_id, "updated_at": now} | {name: getattr(p, name) for name in _FIELDS}
            for p in sorted(changed, key=lambda p: p.product_id)  # one order in every process: no deadlock
        ]
        conn.execute(put.on_conflict_do_update(index_elements=["storefront_id", "product_id"], set_=replaced), rows)
    versions = [
        {"storefront_id": storefront_id, "product_id": p.product_id, "at": now} | _version(p)
        for p in changed
        if p.product_id not in known or _version(known[p.product_id]) != _version(p)
    ]
    if versions:
        noted = made(product_version)
        key = ["storefront_id", "product_id", "at"]  # two changes of one moment: the later one holds
        conn.execute(
            noted.on_conflict_do_update(index_elements=key, set_={n: noted.excluded[n] for n in _VERSIONED}), versions
        )
    return len(changed), len(given) - len(changed)


def _version(given: Product) -> dict[str, object]:
    return {name: getattr(given, name) for name in _VERSIONED}


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


def page_of_products(
    conn: Connection, storefront_id: StorefrontId, after: str, limit: int, only: str | None = None
) -> list[Product]:
    """At most `limit` products whose ids come after that one, in the order of the ids; or `only` one."""
    query = select(*(product.c[name] for name in _FIELDS)).where(product.c.storefront_id == storefront_id)
    query = query.where(product.c.product_id > after if only is None else product.c.product_id == only)
    return [Product(**row._mapping) for row in conn.execute(query.order_by(product.c.product_id).limit(limit))]


def count_products(conn: Connection, storefront_id: StorefrontId) -> int:
    """How many products a storefront has."""
    ours = product.c.storefront_id == storefront_id
    counted: int = conn.execute(select(func.count()).select_from(product).where(ours)).scalar_one()
    return counted


@dataclass(frozen=True, slots=True)
class ProductVersion:
    """What a product was called and cost from a moment on; money in minor units."""

    at: Micros
    title: str
    category: str
    price: int
    compare_at: int | None
    cost: int | None


def product_versions(conn: Connection, storefront_id: StorefrontId, product_id: str) -> list[ProductVersion]:
    """Every version of a product, oldest first."""
    c = product_version.c
    query = select(c.at, *(c[name] for name in _VERSIONED))
    ours = (c.storefront_id == storefront_id, c.product_id == product_id)
    return [ProductVersion(*row) for row in conn.execute(query.where(*ours).order_by(c.at))]


def product_at(conn: Connection, storefront_id: StorefrontId, product_id: str, at: Micros) -> ProductVersion | None:
    """The version that was shown at that moment; None from before the product was known."""
    c = product_version.c
    ours = (c.storefront_id == storefront_id, c.product_id == product_id, c.at <= at)
    row = conn.execute(
        select(c.at, *(c[name] for name in _VERSIONED)).where(*ours).order_by(c.at.desc()).limit(1)
    ).first()
    return None if row is None else ProductVersion(*row)
