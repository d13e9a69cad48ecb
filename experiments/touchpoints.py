"""Touchpoints: where a placement stands in the shop, and which offers make sense there.

A placement whose touchpoint nobody has named takes every offer: nobody can say what does not fit.
"""

from collections.abc import Iterator

from experiments.errors import FieldError
from experiments.offers import CrossSell, NoOffer, Offer, Upsell, follow_ups
from experiments.wording import worded

TOUCHPOINTS = ("product_page", "cart", "checkout", "post_purchase")


def misfits(offer: Offer, touchpoint: str | None, field: str) -> Iterator[FieldError]:
    """Every reason why this offer does not fit there, each at the field to change."""
    if touchpoint is None or isinstance(offer, NoOffer):
        return
    if isinstance(offer, CrossSell) and offer.pick == "similar" and touchpoint != "product_page":
        message = worded(
            "similar products compete with what is chosen already: they fit on product_page only, and this is %(here)s",
            here=touchpoint,
        )
        yield FieldError(f"{field}.pick", message)
    if touchpoint == "post_purchase":
        yield from _after_payment(offer, field)
    elif offer.if_accepted is not None:
        message = worded(
            "a next step after accepting fits at post_purchase only; elsewhere the cart changes, and asks again"
        )
        yield FieldError(f"{field}.if_accepted", message)
    for name, step in follow_ups(offer):
        yield from misfits(step, touchpoint, f"{field}.{name}")


def _after_payment(offer: Offer, field: str) -> Iterator[FieldError]:
    if isinstance(offer, NoOffer):
        return
    if isinstance(offer, Upsell):
        message = worded(
            "an upsell does not fit at post_purchase: the order is paid, and nothing in it can be exchanged any more; "
            "offer a cross_sell or a bundle"
        )
        yield FieldError(f"{field}.type", message)
    elif not isinstance(offer, CrossSell) and offer.pick == "bought_together":
        message = worded(
            "starts from a product that has just been bought: at post_purchase name the items, or take a cross_sell"
        )
        yield FieldError(f"{field}.pick", message)
    if offer.free_shipping_over is not None:
        message = worded("cannot be promised at post_purchase: the order is paid, with its shipping")
        yield FieldError(f"{field}.free_shipping_over", message)
