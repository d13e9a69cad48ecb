"""The basket: what a visitor is about to buy, kept in the shop's own cookie, and what it comes to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import msgspec

from experiments.catalogue import Catalogue, Product
from experiments.demo.terms import FREE_SHIPPING_FROM, SHIPPING

MOST_OF_ONE = 20
MOST_LINES = 30
MOST_TAKEN = 6
"""A cookie holds 4 KB, and each price that was promised has its proof in it."""


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """An accepted offer: one of each of its products, at the promised price (minor units)."""

    offer_id: str
    price_token: str
    product_ids: tuple[str, ...]
    price: int


class Basket(msgspec.Struct, frozen=True, array_like=True):
    """Products with their quantities, and the offers that were accepted beside them."""

    lines: Mapping[str, int] = {}
    taken: tuple[Taken, ...] = ()
    order_id: str = ""
    """Of the order that this becomes: pressing the button twice must not order twice."""

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.lines or self.taken)

    @property
    def product_ids(self) -> list[str]:
        """Each product once."""
        return list(dict.fromkeys(chain(self.lines, *(taken.product_ids for taken in self.taken))))

    def put(self, product_id: str, quantity: int) -> "Basket":
        """So many of it outside of offers, from 0 to what one visitor may have."""
        rest = {known: number for known, number in self.lines.items() if known != product_id}
        room = len(rest) < MOST_LINES
        lines = dict(self.lines) | {product_id: min(quantity, MOST_OF_ONE)} if quantity > 0 and room else rest
        return msgspec.structs.replace(self, lines=lines)

    def take(self, taken: Taken, replaces: str | None = None) -> "Basket":
        """The basket after the offer was accepted; an upsell `replaces` one piece of its base."""
        if any(known.offer_id == taken.offer_id for known in self.taken) or len(self.taken) >= MOST_TAKEN:
            return self
        basket = self if replaces is None else self._without_one(replaces)
        return msgspec.structs.replace(basket, taken=(*basket.taken, taken))

    def leave(self, offer_id: str, product_id: str | None = None) -> "Basket":
        """Without the offer, its products at their own prices; `product_id` is left out altogether."""
        basket = self
        for taken in self.taken:
            if taken.offer_id != offer_id:
                continue
            others = tuple(known for known in basket.taken if known.offer_id != offer_id)
            basket = msgspec.structs.replace(basket, taken=others)
            for kept in taken.product_ids:
                if kept != product_id:
                    basket = basket.put(kept, basket.lines.get(kept, 0) + 1)
        return basket

    def _without_one(self, product_id: str) -> "Basket":
        if product_id in self.lines:
            return self.put(product_id, self.lines[product_id] - 1)
        held = next((taken.offer_id for taken in self.taken if product_id in taken.product_ids), None)
        return self if held is None else self.leave(held, product_id)


@dataclass(frozen=True, slots=True)
class Row:
    """A product with its quantity; `paid` is what the whole row costs, `regular` what it would without its offer."""

    product: Product
    quantity: int
    paid: int
    regular: int
    offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """An accepted offer with its rows."""

    taken: Taken
    rows: tuple[Row, ...]

    @property
    def paid(self) -> int:
        """The promised price, or less where the products cost less by now."""
        return sum(row.paid for row in self.rows)

    @property
    def regular(self) -> int:
        """What the products cost today without the offer."""
        return sum(row.regular for row in self.rows)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a basket comes to, in minor units; `gone` can no longer be bought."""

    singles: tuple[Row, ...]
    groups: tuple[Group, ...]
    gone: tuple[str, ...] = ()

    @property
    def rows(self) -> Iterator[Row]:
        """Every row, those of offers after the others."""
        return chain(self.singles, *(group.rows for group in self.groups))

    @property
    def goods(self) -> int:
        """What is paid for the products."""
        return sum(row.paid for row in self.rows)

    @property
    def saved(self) -> int:
        """What the offers take off."""
        return sum(row.regular - row.paid for row in self.rows)

    @property
    def pieces(self) -> int:
        """How many things that is."""
        return sum(row.quantity for row in self.rows)

    @property
    def shipping(self) -> int:
        """What sending it costs."""
        return 0 if self.goods >= FREE_SHIPPING_FROM or not self.pieces else SHIPPING

    @property
    def to_free_shipping(self) -> int:
        """What is missing for free shipping."""
        return max(0, FREE_SHIPPING_FROM - self.goods)

    @property
    def total(self) -> int:
        """What is paid."""
        return self.goods + self.shipping


def bill(basket: Basket, catalogue: Catalogue) -> Bill:
    """What the basket comes to, at today's prices and the promised ones: who accepted an offer never pays more."""
    singles: list[Row] = []
    groups: list[Group] = []
    gone: list[str] = []
    for product_id, quantity in basket.lines.items():
        product = catalogue.get(product_id)
        if product is None or not product.available:
            gone.append(product_id)
            continue
        there = quantity if product.stock is None else min(quantity, product.stock)
        singles.append(Row(product, there, product.price * there, product.price * there))
    for taken in basket.taken:
        products = [catalogue.get(product_id) for product_id in taken.product_ids]
        known = [product for product in products if product is not None and product.available]
        if len(known) < len(products):
            gone += [i for i, p in zip(taken.product_ids, products, strict=True) if p is None or not p.available]
            continue
        groups.append(Group(taken, tuple(_shared(taken, known))))
    return Bill(tuple(singles), tuple(groups), tuple(gone))


def _shared(taken: Taken, products: list[Product]) -> Iterator[Row]:
    """The promised price over the products in proportion to their own, to the cent."""
    regular = sum(product.price for product in products)
    price = min(taken.price, regular)
    given, reached = 0, 0
    for product in products:
        reached += product.price
        share = (price * reached // regular if regular else 0) - given
        given += share
        yield Row(product, 1, share, product.price, taken.offer_id)
