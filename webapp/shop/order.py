"""An order of the shop's: what was bought, and how it is told to Offerlab."""

from typing import Any

import msgspec

from experiments.catalogue import Catalogue
from experiments.moment import Micros, iso
from experiments.money import to_decimal
from webapp.shop.basket import Basket, Bill, bill

OPEN_FOR = 60 * 60 * 1_000_000
"""For an hour the parcel is not packed, and something can be added to it."""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """What was bought: placed then, `version` times edited since; `told` says whether Offerlab knows this version."""

    order_id: str
    placed_at: Micros
    basket: Basket
    shipping: int
    version: int = 0
    visitor_id: str | None = None
    told: bool = False

    def is_open(self, now: Micros) -> bool:
        """Whether something can still be added."""
        return now < self.placed_at + OPEN_FOR

    def grown(self, basket: Basket) -> "Order":
        """The order with something added: shipping is paid already."""
        return msgspec.structs.replace(self, basket=basket, version=self.version + 1, told=False)

    def bill(self, catalogue: Catalogue) -> Bill:
        """What it came to."""
        return bill(self.basket, catalogue)


def conversion(order: Order, catalogue: Catalogue) -> dict[str, Any]:
    """The order for `POST /v1/conversions`: lines at their own prices with the offers that they came by, and what was
    taken off.
    """
    made, currency = order.bill(catalogue), catalogue.currency

    def money(minor: int) -> str:
        return to_decimal(minor, currency)

    told: dict[str, Any] = {
        "type": "order",
        "order_id": order.order_id,
        "occurred_at": iso(order.placed_at),
        "currency": currency,
        "revenue": money(made.goods),
        "discount": money(made.saved),
        "shipping": money(order.shipping),
        "items": [
            {
                "product_id": row.product.product_id,
                "quantity": row.quantity,
                "price": money(row.product.price),
            }
            | ({"cost": money(row.product.cost)} if row.product.cost is not None else {})
            | ({"offer": row.offer_id} if row.offer_id else {})
            for row in made.rows
        ],
    }
    told |= {"visitor_id": order.visitor_id} if order.visitor_id else {}
    return told | ({"version": order.version} if order.version else {})
