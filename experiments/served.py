"""What came of an offer for one visitor: it is served, at a price that holds, or refused with a reason."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from experiments.catalogue import Product
from experiments.money import to_decimal
from experiments.offers import NoOffer, Offer

RefusalCode = Literal[
    "out_of_stock", "already_in_cart", "no_candidate", "not_dearer", "not_cheaper_than_parts", "below_margin",
    "wrong_currency", "expired", "does_not_stack", "frequency_cap", "unknown_product", "not_cheaper_than_declined",
]  # fmt: skip


class Context(msgspec.Struct, frozen=True):
    """Where the visitor stands: the product looked at, what is in the cart, the currency shown."""

    product_id: str | None = None
    cart: tuple[str, ...] = ()
    currency: str | None = None
    discounted: bool = False
    """Whether the visitor has a discount of another kind already: a coupon, a cart below the catalogue's prices."""
    segment: str | None = None
    """Whether it is a new or a returning customer, where the storefront says so."""

    @property
    def bases(self) -> tuple[str, ...]:
        """What an offer can start from: the product looked at, else what is in the cart."""
        return (self.product_id,) if self.product_id is not None else self.cart


class Refusal(msgspec.Struct, frozen=True):
    """Why an offer cannot be honoured here."""

    code: RefusalCode
    product_id: str | None = None


class ServedOffer(msgspec.Struct, frozen=True, dict=True):
    """An offer that holds: these products, at this price (minor units); `salt` (experiment, variant) is in its id.

    Its id and its JSON are worked out when they are first asked for, and kept: many are served again and again.
    """

    offer: Offer
    products: tuple[Product, ...] = ()
    price: int = 0
    regular_price: int = 0
    base_product_id: str | None = None
    currency: str = ""
    salt: str = ""
    name: str = ""
    """Of a tier: what it is called."""
    tiers: tuple["ServedOffer", ...] = ()
    """Further choices, each dearer than the one before."""
    steps: Mapping[str, "ServedOffer | Refusal"] = {}
    """What comes next, by `if_declined` and `if_accepted`; or why nothing does."""
    sold: tuple[tuple[str, int], ...] = ()
    """Products with the orders of the last days that they were in."""

    @property
    def offer_id(self) -> str:
        """The same for every visitor who is shown these products at this price by this variant."""
        kept: str | None = self.__dict__.get("offer_id")
        if kept is None:
            parts = (self.salt, *[p.product_id for p in self.products], str(self.price), self.currency)
            told = "\x1f".join(parts).encode()
            kept = self.__dict__["offer_id"] = "of_" + blake2b(told, digest_size=10).hexdigest()
        return kept

    def every(self) -> Iterator["ServedOffer"]:
        """This offer, its tiers, and all that may come next."""
        yield self
        yield from self.tiers
        for step in self.steps.values():
            if isinstance(step, ServedOffer):
                yield from step.every()

    @property
    def json(self) -> dict[str, Any]:
        """As the contract writes it; money as decimal strings."""
        kept: dict[str, Any] | None = self.__dict__.get("json")
        if kept is None:
            kept = self.__dict__["json"] = self._json()
        return kept

    def _json(self) -> dict[str, Any]:
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
        shown["products"] = [self._product(p) for p in self.products]
        if self.base_product_id is not None:
            shown["base_product_id"] = self.base_product_id
        shown["price"] = to_decimal(self.price, self.currency)
        shown["regular_price"] = to_decimal(self.regular_price, self.currency)
        shown["saving"] = to_decimal(self.regular_price - self.price, self.currency)
        shown["currency"] = self.currency
        if offer.instalments is not None:
            shown["instalments"] = self._instalments()
        if self.sold and offer.social_proof is not None:
            days = offer.social_proof.days
            shown["social_proof"] = [{"product_id": p, "orders": orders, "days": days} for p, orders in self.sold]
        if self.tiers:
            shown["tiers"] = [tier._choice() for tier in (self, *self.tiers)]
        return shown | self._steps() if self.steps else shown

    def _product(self, product: Product) -> dict[str, Any]:
        return {
            "product_id": product.product_id, "title": product.title,
            "price": to_decimal(product.price, self.currency), "quantity": 1, "url": product.url,
            "image": product.image,
        }  # fmt: skip

    def _choice(self) -> dict[str, Any]:
        """As one of several tiers."""
        chosen = {
            "name": self.name,
            "offer_id": self.offer_id,
            "products": [self._product(p) for p in self.products],
            "price": to_decimal(self.price, self.currency),
            "regular_price": to_decimal(self.regular_price, self.currency),
            "saving": to_decimal(self.regular_price - self.price, self.currency),
        }
        instalments = None if isinstance(self.offer, NoOffer) else self.offer.instalments
        return chosen if instalments is None else chosen | {"instalments": self._instalments()}

    def _instalments(self) -> dict[str, Any]:
        plan = None if isinstance(self.offer, NoOffer) else self.offer.instalments
        if plan is None:
            return {}
        part, last = (to_decimal(minor, self.currency) for minor in plan.parts(self.price))
        told = {"count": plan.count, "amount": part, "last": last}
        if not plan.text:
            return told
        return told | {"text": plan.text.replace("{amount}", part).replace("{count}", str(plan.count))}

    def _steps(self) -> dict[str, Any]:
        served = {name: step.json for name, step in self.steps.items() if isinstance(step, ServedOffer)}
        withheld = [
            {"step": name, "refusal": step.code, "product_id": step.product_id}
            for name, step in self.steps.items()
            if isinstance(step, Refusal)
        ]
        return served | ({"withheld": withheld} if withheld else {})
