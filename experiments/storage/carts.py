"""Carts of the past: the products of the orders that were placed lately, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import conversion, order_line

_UNIT_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class PastCart:
    """What was in one order, and whether it had a discount."""

    product_ids: Sequence[str]
    discounted: bool


def past_carts(
    conn: Connection, storefront_id: StorefrontId, since: Micros, until: Micros, most: int
) -> list[PastCart]:
    """The carts of at most `most` orders that were placed between the two and still stand, newest first."""
    c, line = conversion.c, order_line.c
    newest = (
        select(c.id, c.order_id, c.at, c.discount)
        .where(
            c.storefront_id == storefront_id,
            c.type == "order",
            c.cancelled_at.is_(None),
            c.at > since,
            c.at <= until,
        )
        .order_by(c.at.desc(), c.id.desc())
        .limit(most)
        .cte("newest")
    )
    of_order = and_(line.storefront_id == storefront_id, line.order_id == newest.c.order_id, line.quantity > 0)
    query = (
        select(func.aggregate_strings(line.product_id, _UNIT_SEPARATOR), newest.c.discount)
        .select_from(newest.join(order_line, of_order))
        .group_by(newest.c.id, newest.c.at, newest.c.discount)
        .order_by(newest.c.at.desc(), newest.c.id.desc())
    )
    return [
        PastCart(tuple(dict.fromkeys(joined.split(_UNIT_SEPARATOR))), bool(discount))
        for joined, discount in conn.execute(query)
    ]
