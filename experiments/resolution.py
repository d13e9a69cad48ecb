"""From an offer's definition to what can be shown to this visitor, now: a served offer, or a refusal with its reason.

Truths of every served offer: an upsell costs more than its base; a bundle costs less than its parts; nothing is offered
that is in the cart, out of stock, past its dates or under the margin floor; who accepts never pays more than for the
same products without the offer.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from experiments.catalogue import Catalogue, Product
from experiments.moment import Micros, micros
from experiments.money import to_decimal
from experiments.offers import Bundle, CrossSell, NoOffer, Offer, Upsell
from experiments.picks import complements, members, targets
from experiments.pricing import bears_floor_alone, discounted, keeps_margin
from experiments.recommend import Recommendations

RefusalCode = Literal[
    "out_of_stock", "already_in_cart", "no_candidate", "not_dearer", "not_cheaper_than_parts", "below_margin",
    "wrong_currency", "expired", "does_not_stack", "frequency_cap", "unknown_product",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """Where the visitor stands: the product looked at, what is in the cart, the currency shown."""

    product_id: str | None = None
    cart: tuple[str, ...] = ()
    currency: str | None = None
    discounted: bool = False
    """Whether the visitor has a discount of another kind already: a coupon, a cart below the catalogue's prices."""

    @property
    def bases(self) -> tuple[str, ...]:
        """What an offer can start from: the product looked at, else what is in the cart."""
        return (self.product_id,) if self.product_id is not None else self.cart


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an offer cannot be honoured here."""

    code: RefusalCode
    product_id: str | None = None


@dataclass(frozen=True)
class ServedOffer:
    """An offer that holds: these products, at this price (minor units); `salt` (experiment, variant) is in its id."""

    offer: Offer
    products: tuple[Product, ...] = ()
    price: int = 0
    regular_price: int = 0
    base_product_id: str | None = None
    currency: str = ""
    salt: str = ""

    @cached_property
    def offer_id(self) -> str:
        """The same for every visitor who is shown these products at this price by this variant."""
        parts = (self.salt, *(p.product_id for p in self.products), str(self.price), self.currency)
        return "of_" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]

    @cached_property
    def json(self) -> dict[str, Any]:
        """As the contract writes it; money as decimal strings."""
        offer = self.offer
        if isinstance(offer, NoOffer):
            return {"type": "none"}
        shown: dict[str, Any] = {"type": offer.__struct_config__.tag, "offer_id": self.offer_id}
        for name in ("headline", "body", "call_to_action", "image"):
            if value := getattr(offer, name):
                shown[name] = value
        if offer.free_shipping_over is not None:
            shown["free_shipping_over"] = str(offer.free_shipping_over)
        if offer.valid_until is not None:
            shown["valid_until"] = offer.valid_until.isoformat()
        if not offer.stacks_with_discounts:
            shown["stacks_with_discounts"] = False
        shown["products"] = [
            {
                "product_id": p.product_id, "title": p.title, "price": to_decimal(p.price, self.currency),
                "quantity": 1, "url": p.url, "image": p.image,
            }
            for p in self.products
        ]  # fmt: skip
        if self.base_product_id is not None:
            shown["base_product_id"] = self.base_product_id
        return shown | {
            "price": to_decimal(self.price, self.currency),
            "regular_price": to_decimal(self.regular_price, self.currency),
            "saving": to_decimal(self.regular_price - self.price, self.currency),
            "currency": self.currency,
        }


class Resolver:
    """Resolves offers of one storefront against its catalogue and its history."""

    def __init__(self, catalogue: Catalogue, recommendations: Recommendations) -> None:
        self._catalogue = catalogue
        self._recommendations = recommendations

    def resolve(self, offer: Offer, salt: str, context: Context, now: Micros) -> ServedOffer | Refusal:
        """What `offer` comes to here; `salt` (experiment and variant) makes the offer's id its own."""
        if isinstance(offer, NoOffer):
            return ServedOffer(offer)
        if offer.valid_from is not None and now < micros(offer.valid_from):
            return Refusal("expired")
        if offer.valid_until is not None and now >= micros(offer.valid_until):
            return Refusal("expired")
        if context.currency is not None and context.currency != self._catalogue.currency:
            return Refusal("wrong_currency")
        if context.discounted and not offer.stacks_with_discounts:
            return Refusal("does_not_stack")  # accepting would cost the visitor the discount that is there already
        if isinstance(offer, Upsell):
            found = self._upsell(offer, context)
        elif isinstance(offer, CrossSell):
            found = self._cross_sell(offer, context)
        else:
            found = self._bundle(offer, context)
        return found if isinstance(found, Refusal) else replace(found, salt=salt)

    def _upsell(self, offer: Upsell, context: Context) -> ServedOffer | Refusal:
        refusal = Refusal("no_candidate")
        for base_id in context.bases:
            base = self._catalogue.get(base_id)
            if base is None:
                refusal = Refusal("unknown_product", base_id)
                continue
            for target_id in targets(offer, base, self._catalogue):
                target = self._available(target_id, context)
                found = target if isinstance(target, Refusal) else self._priced(offer, (target,), base_id)
                if isinstance(found, Refusal):
                    refusal = found
                elif found.price <= base.price or not _within_ratio(offer, found.price, base.price):
                    refusal = Refusal("not_dearer", target_id)
                else:
                    return found
        return refusal

    def _cross_sell(self, offer: CrossSell, context: Context) -> ServedOffer | Refusal:
        refusal = Refusal("no_candidate")
        base_id = next(iter(context.bases), None)
        for stage in complements(offer, context.bases, self._catalogue, self._recommendations):
            others = (product_id for product_id in stage if product_id not in context.bases)
            chosen, refused = self._fitting(offer, others, context)
            if chosen:
                return self._priced(offer, chosen, base_id)
            refusal = refused or refusal
        return refusal

    def _fitting(
        self, offer: CrossSell, product_ids: Iterable[str], context: Context
    ) -> tuple[tuple[Product, ...], Refusal | None]:
        """The first `limit` of them that can be offered, and why the last of the others cannot."""
        chosen: list[Product] = []
        refusal: Refusal | None = None
        alone = bears_floor_alone(offer)
        for product_id in product_ids:
            found = self._available(product_id, context)
            if alone and not isinstance(found, Refusal):
                priced = self._priced(offer, (found,), None)
                found = replace(priced, product_id=product_id) if isinstance(priced, Refusal) else found
            if isinstance(found, Refusal):
                refusal = found
                continue
            chosen.append(found)
            if len(chosen) == offer.limit:
                break
        return tuple(chosen), refusal

    def _bundle(self, offer: Bundle, context: Context) -> ServedOffer | Refusal:
        must, may = members(offer, context.bases, self._recommendations)
        products: list[Product] = []
        for product_id in must:
            product = self._available(product_id, context)
            if isinstance(product, Refusal):
                return product
            products.append(product)
        companions = (self._available(product_id, context) for product_id in may)
        for found in companions:
            if len(products) >= offer.limit:
                break
            products += [] if isinstance(found, Refusal) else [found]
        if len(products) < 2:
            return Refusal("no_candidate")
        base_id = context.product_id if context.product_id in must else products[0].product_id
        served = self._priced(offer, tuple(products), base_id)
        if not isinstance(served, Refusal) and served.price >= served.regular_price:
            return Refusal("not_cheaper_than_parts")
        return served

    def _available(self, product_id: str, context: Context) -> Product | Refusal:
        product = self._catalogue.get(product_id)
        if product is None:
            return Refusal("unknown_product", product_id)
        if product_id in context.cart:
            return Refusal("already_in_cart", product_id)
        return product if product.available else Refusal("out_of_stock", product_id)

    def _priced(
        self, offer: Upsell | CrossSell | Bundle, products: tuple[Product, ...], base_id: str | None
    ) -> ServedOffer | Refusal:
        regular = sum(product.price for product in products)
        price = discounted(regular, offer.discount, self._catalogue.currency)
        if not keeps_margin(offer, products, price):
            return Refusal("below_margin")
        if price > regular:  # a fixed price from before the catalogue's became lower
            return Refusal("not_cheaper_than_parts")
        return ServedOffer(offer, products, price, regular, base_id, currency=self._catalogue.currency)


def is_dated(offer: Offer) -> bool:
    """Whether it depends on the time what the offer comes to."""
    return not isinstance(offer, NoOffer) and (offer.valid_from is not None or offer.valid_until is not None)


def _within_ratio(offer: Upsell, price: int, base_price: int) -> bool:
    return offer.max_price_ratio is None or price <= offer.max_price_ratio * base_price
