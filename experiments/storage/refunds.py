"""What of an order's revenue has not been given back."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from experiments.identifiers import StorefrontId
from experiments.storage.tables import conversion

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of an order, in minor units of its currency."""

    amount: int
    currency: str


def remainders(conn: Connection, storefront_id: StorefrontId, order_ids: Collection[str]) -> dict[str, Remainder]:
    """By order id what refunds have left of the revenue; an order that is not known, or without one, is not there."""
    left: dict[str, Remainder] = {}
    wanted = sorted(set(order_ids))
    for start in range(0, len(wanted), CHUNK):
        ids = wanted[start : start + CHUNK]
        here = conversion.c.storefront_id == storefront_id
        orders = select(conversion.c.order_id, conversion.c.revenue, conversion.c.currency).where(
            here,
            conversion.c.event_key.in_([f"order:{order_id}" for order_id in ids]),
            conversion.c.revenue.is_not(None),
        )
        left |= {r.order_id: Remainder(r.revenue, r.currency) for r in conn.execute(orders)}
        refunds = select(conversion.c.order_id, conversion.c.refunded).where(
            here, conversion.c.type == "refund", conversion.c.order_id.in_(ids)
        )
        for r in conn.execute(refunds):
            if r.order_id in left and r.refunded is not None:
                before = left[r.order_id]
                left[r.order_id] = Remainder(max(before.amount - r.refunded, 0), before.currency)
    return left
