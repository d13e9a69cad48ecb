"""Pricing: what an offer costs after its discount, and whether the margin floor holds at that price."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from experiments.catalogue import Product
from experiments.incentives import Discount
from experiments.money import to_minor
from experiments.offers import Bundle, CrossSell, Upsell
from experiments.share import parse_share


def discounted(regular: int, discount: Discount | None, currency: str) -> int:
    """The price after the discount, in minor units; of a percentage the buyer gets the half cent."""
    if discount is None:
        return regular
    if discount.percent is not None:
        return regular - int((regular * discount.percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if discount.amount is not None:
        return regular - to_minor(discount.amount, currency, "discount.amount")
    return to_minor(discount.price or Decimal(0), currency, "discount.price")


def keeps_margin(offer: Upsell | CrossSell | Bundle, products: Sequence[Product], price: int) -> bool:
    """Whether something is paid, and the offer's margin floor holds at this price.

    A cost that nobody knows cannot be shown to leave a margin.
    """
    if price <= 0 or offer.minimum_margin is None:
        return price > 0
    costs = [product.cost for product in products if product.cost is not None]
    return len(costs) == len(products) and price - sum(costs) >= parse_share(offer.minimum_margin, "") * price


def bears_floor_alone(offer: CrossSell) -> bool:
    """Whether each product must keep the margin floor by itself: one that cannot is left out, and the others stay."""
    return offer.minimum_margin is not None and (offer.discount is None or offer.discount.percent is not None)
