"""Where a visitor stands, as storefronts write it: the product looked at, the cart, the currency shown."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from experiments.catalogue import Catalogue
from experiments.identifiers import Line, ProductId
from experiments.money import to_minor
from experiments.served import Context


class CartLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the cart."""

    product_id: ProductId
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    price: Decimal | None = None


class ContextInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the visitor stands; `discounts` are the codes of coupons and the like that the visitor holds already.

    A cart that is not told is not an empty one: offers are resolved alike, but nothing is known of its value.
    """

    product_id: ProductId | None = None
    cart: list[CartLine] | UnsetType = UNSET
    currency: str | None = None
    discounts: list[Line] = []

    def context(self, catalogue: Catalogue, returning: object = None) -> Context:
        """As offers are resolved against it; a cart line below the catalogue's price tells of a discount too."""
        cart = self.cart or []
        discounted = bool(self.discounts) or any(_is_below(line, catalogue) for line in cart)
        segment = "returning" if returning is True else "new" if returning is False else None
        return Context(self.product_id, tuple([line.product_id for line in cart]), self.currency, discounted, segment)


def _is_below(line: CartLine, catalogue: Catalogue) -> bool:
    if line.price is None or (product := catalogue.get(line.product_id)) is None:
        return False
    return to_minor(line.price, catalogue.currency, "context.cart.price") < product.price
