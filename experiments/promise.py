"""Promises: a price that a visitor was shown holds for a day, whatever the catalogue says meanwhile."""

from collections.abc import Collection
from itertools import pairwise
from typing import Literal

import msgspec
from msgspec.structs import replace

from experiments.catalogue import Catalogue
from experiments.moment import SECOND, Micros, micros
from experiments.offers import Bundle, NoOffer, Upsell
from experiments.resolution import ServedOffer

HOUR = 3600 * SECOND
HOLDS = 24 * HOUR
"""For so long, counted from the end of the hour in which it was made, so that an hour's answers are alike."""

Broken = Literal[
    "expired", "unknown_product", "out_of_stock", "does_not_stack", "not_in_cart", "price_differs",
]  # fmt: skip
"""Why a price does not hold, or not here."""


class Promise(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """What was promised: this offer, these products, at this price (minor units), until then.

    Its JSON is worked out when it is first asked for, and kept: many are promised the same within an hour.
    """

    offer_id: str
    product_ids: list[str]
    price: int
    regular_price: int
    until: Micros
    stacks: bool = True

    @property
    def json(self) -> bytes:
        """As JSON."""
        known: bytes | None = self.__dict__.get("json")
        if known is None:
            known = self.__dict__["json"] = msgspec.json.encode(self)
        return known


def promise(served: ServedOffer, now: Micros) -> Promise | None:
    """What is promised by showing this; None where it is no offer. Within an hour it is the same."""
    hour = now // HOUR
    known: tuple[int, Promise | None] | None = served.__dict__.get("promise")
    if known is None or known[0] != hour:
        known = served.__dict__["promise"] = (hour, _promise(served, hour))
    return known[1]


def _promise(served: ServedOffer, hour: int) -> Promise | None:
    offer = served.offer
    if isinstance(offer, NoOffer):
        return None
    until = (hour + 1) * HOUR + HOLDS
    if offer.valid_until is not None:
        until = min(until, micros(offer.valid_until))
    products = [product.product_id for product in served.products]
    stacks = offer.stacks_with_discounts
    return Promise(served.offer_id, products, served.price, served.regular_price, Micros(until), stacks)


def promises(served: ServedOffer, now: Micros) -> list[Promise]:
    """What is promised by showing this: its own price, its tiers', and those of what may come next."""
    return [made for each in served.every() if (made := promise(each, now)) is not None]


def kept(served: ServedOffer, made: Collection[Promise], catalogue: Catalogue, now: Micros) -> ServedOffer:
    """The offer at the price that its visitor was promised; at today's where none was, or it would be untrue today.

    It is the same offer if it has the promised id at the promised price: the id says variant, products and price.
    """
    then = _at_promised(served, made, catalogue, now)
    if not (served.tiers or served.steps):
        return then
    tiers = tuple(_at_promised(tier, made, catalogue, now) for tier in served.tiers)
    steps = {
        name: kept(step, made, catalogue, now) if isinstance(step, ServedOffer) else step
        for name, step in served.steps.items()
    }
    for found in (replace(then, tiers=tiers, steps=steps), replace(then, tiers=served.tiers, steps=served.steps)):
        if _is_ladder(found):
            return found
    return served  # prices of several days beside each other would make no sense


def _at_promised(served: ServedOffer, promised: Collection[Promise], catalogue: Catalogue, now: Micros) -> ServedOffer:
    for made in promised:
        then = replace(served, price=made.price)
        if now < made.until and then.offer_id == made.offer_id and _is_true(then, catalogue):
            return then
    return served


def _is_ladder(served: ServedOffer) -> bool:
    """Whether each tier costs more than the one before, and who declines is offered something for less."""
    prices = [served.price, *(tier.price for tier in served.tiers)]
    instead = served.steps.get("if_declined")
    cheaper = not isinstance(instead, ServedOffer) or instead.price < served.price
    return cheaper and all(low < high for low, high in pairwise(prices))


def _is_true(then: ServedOffer, catalogue: Catalogue) -> bool:
    if isinstance(then.offer, Bundle):
        return then.price < then.regular_price
    if isinstance(then.offer, Upsell):
        base = catalogue.get(then.base_product_id or "")
        if base is None or then.price <= base.price:
            return False
    return then.price <= then.regular_price


def broken(
    made: Promise,
    catalogue: Catalogue,
    now: Micros,
    price: int | None = None,
    cart: Collection[str] | None = None,
    *,
    discounted: bool = False,
) -> tuple[Broken, str | None] | None:
    """Why the promise does not hold, with the product at fault; None where it does.

    `price` is what the checkout is about to charge, `cart` what is in it: both are looked at only where they are given.
    """
    if now >= made.until:
        return "expired", None
    for product_id in made.product_ids:
        product = catalogue.get(product_id)
        if product is None:
            return "unknown_product", product_id
        if not product.available:
            return "out_of_stock", product_id
        if cart is not None and product_id not in cart:
            return "not_in_cart", product_id
    if discounted and not made.stacks:
        return "does_not_stack", None
    return ("price_differs", None) if price is not None and price != made.price else None
