"""Offers: what a variant shows. Typed, frozen, checked at the door.

An upsell sells a dearer version of the product, a cross-sell adds complements, a bundle packages things below the sum
of their prices. Whether one can be honoured for this visitor, now, is `resolution`'s question; here stands what it
says.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from experiments.errors import FieldError, Invalid
from experiments.identifiers import ProductId
from experiments.incentives import LARGEST_AMOUNT, Discount, FrequencyCap, Instalments, SocialProof
from experiments.share import parse_share
from experiments.wording import worded

Headline = Annotated[str, msgspec.Meta(max_length=200)]
Body = Annotated[str, msgspec.Meta(max_length=2000)]
Link = Annotated[str, msgspec.Meta(pattern=r"^(https?://|/)\S*\Z", max_length=2000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

OfferType = Literal["none", "upsell", "cross_sell", "bundle"]


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A further choice above the offer itself; without a discount of its own it has the offer's."""

    name: Annotated[str, msgspec.Meta(max_length=80)] = ""
    items: list[ProductId] = []
    discount: Discount | None = None


MOST_TIERS = 3
"""Beyond the offer itself."""
MOST_STEPS = 3
"""Offers one after the other, the first one counted."""
Tiers = Annotated[list[Tier], msgspec.Meta(max_length=MOST_TIERS)]
TierName = Annotated[str, msgspec.Meta(max_length=80)]


class _Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every offer that shows something has in common."""

    headline: Headline = ""
    body: Body = ""
    call_to_action: Annotated[str, msgspec.Meta(max_length=80)] = ""
    image: Link | None = None
    discount: Discount | None = None
    free_shipping_over: Decimal | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    minimum_margin: str | None = None
    stacks_with_discounts: bool = True
    frequency_cap: FrequencyCap | None = None
    minimum_stock: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 1
    """With fewer pieces, where they are counted, a product is not offered."""
    instalments: Instalments | None = None
    social_proof: SocialProof | None = None
    if_declined: "Upsell | CrossSell | Bundle | None" = None
    """What is offered next to who says no: a downsell, for less."""
    if_accepted: "Upsell | CrossSell | Bundle | None" = None
    """What is offered next to who says yes, after the purchase."""

    def _check_shown(self, field: str) -> Iterator[FieldError]:
        if self.discount is not None:
            yield from self.discount.check(f"{field}.discount")
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            yield FieldError(f"{field}.valid_until", worded("must be later than valid_from"))
        over = self.free_shipping_over
        if over is not None and not (over.is_finite() and 0 <= over <= LARGEST_AMOUNT):
            yield FieldError(
                f"{field}.free_shipping_over",
                worded("must be 0 to %(most)s, and is %(given)s", most=LARGEST_AMOUNT, given=over),
            )
        if self.instalments is not None:
            yield from self.instalments.check(f"{field}.instalments")
        yield from self._check_steps(field)
        if self.minimum_margin is not None:
            try:
                share = parse_share(self.minimum_margin, f"{field}.minimum_margin")
            except Invalid as refusal:
                yield from refusal.errors
            else:
                if not 0 <= share < 1:
                    message = worded(
                        "is a share of the price, 0%% to below 100%%, and is %(given)s", given=self.minimum_margin
                    )
                    yield FieldError(f"{field}.minimum_margin", message)

    def _check_steps(self, field: str) -> Iterator[FieldError]:
        for name in STEPS:
            step: _Shown | None = getattr(self, name)
            if step is None:
                continue
            path = f"{field}.{name}"
            if _is_longer(step, MOST_STEPS - 1):
                yield FieldError(
                    path,
                    worded(
                        "makes more than %(most)s offers one after the other: nobody answers so many", most=MOST_STEPS
                    ),
                )
                return
            yield from step.check(path)
            if step.frequency_cap is not None:
                yield FieldError(f"{path}.frequency_cap", worded("belongs to the offer that is shown first"))

    def check(self, field: str) -> Iterator[FieldError]:
        """Every rule that this offer breaks."""
        raise NotImplementedError(field)


STEPS = ("if_declined", "if_accepted")


def _is_longer(offer: _Shown, steps: int) -> bool:
    return steps == 0 or any(
        (step := getattr(offer, name)) is not None and _is_longer(step, steps - 1) for name in STEPS
    )


class NoOffer(msgspec.Struct, frozen=True, tag_field="type", tag="none", forbid_unknown_fields=True):
    """Shows nothing: what control shows unless the PM says otherwise."""

    def check(self, field: str) -> Iterator[FieldError]:  # noqa: ARG002 - the same call for every offer type
        """An offer of nothing breaks no rule."""
        return iter(())


class Upsell(_Shown, frozen=True, tag_field="type", tag="upsell", kw_only=True):
    """Leads from a product to a dearer one: by explicit pairs, or to the next tier of its category."""

    pick: Literal["explicit", "next_tier"] = "next_tier"
    pairs: dict[ProductId, ProductId] = {}
    max_price_ratio: Decimal | None = None
    tier_name: TierName = ""
    tiers: Tiers = []
    """Further choices, each a step up from the one before: good, better, best."""

    def check(self, field: str) -> Iterator[FieldError]:
        """Every rule that this offer breaks."""
        yield from self._check_shown(field)
        if self.pick == "explicit" and not self.pairs:
            yield FieldError(f"{field}.pairs", worded("name at least one pair, from a product to a dearer one"))
        if self.pick == "next_tier" and self.pairs:
            yield FieldError(f"{field}.pairs", worded("belong to pick explicit; with next_tier the catalogue decides"))
        yield from (
            FieldError(f"{field}.pairs", worded("leads from %(product)s to itself", product=repr(base)))
            for base, target in self.pairs.items()
            if base == target
        )
        ratio = self.max_price_ratio
        if ratio is not None and not (ratio.is_finite() and 1 < ratio <= 100):
            yield FieldError(
                f"{field}.max_price_ratio",
                worded("must be greater than 1 and at most 100, and is %(given)s", given=ratio),
            )
        for i, tier in enumerate(self.tiers):
            yield from _check_tier(tier, f"{field}.tiers[{i}]")
            if tier.items:
                message = worded("belong to a bundle; an upsell's tier is the step up from the one before")
                yield FieldError(f"{field}.tiers[{i}].items", message)


class CrossSell(_Shown, frozen=True, tag_field="type", tag="cross_sell", kw_only=True):
    """Adds complements: an explicit list per product (`*` for any), or what history and catalogue suggest."""

    pick: Literal["explicit", "bought_together", "bestsellers", "most_viewed", "similar"] = "bought_together"
    products: dict[ProductId, list[ProductId]] = {}
    limit: Annotated[int, msgspec.Meta(ge=1, le=12)] = 3

    def check(self, field: str) -> Iterator[FieldError]:
        """Every rule that this offer breaks."""
        yield from self._check_shown(field)
        if self.pick == "explicit" and not any(self.products.values()):
            yield FieldError(f"{field}.products", worded("name at least one product to add"))
        if self.pick != "explicit" and self.products:
            yield FieldError(
                f"{field}.products",
                worded("belong to pick explicit; with %(pick)s the shop's data decide", pick=self.pick),
            )
        yield from (
            FieldError(f"{field}.products", worded("%(product)s is its own complement", product=repr(base)))
            for base, added in self.products.items()
            if base in added
        )
        if self.discount is not None and self.discount.price is not None:
            yield FieldError(
                f"{field}.discount.price", worded("a fixed price belongs to a bundle; here give percent or amount")
            )


class Bundle(_Shown, frozen=True, tag_field="type", tag="bundle", kw_only=True):
    """Sells several products together below the sum of their prices."""

    pick: Literal["explicit", "bought_together"] = "explicit"
    items: list[ProductId] = []
    limit: Annotated[int, msgspec.Meta(ge=2, le=6)] = 2
    tier_name: TierName = ""
    tiers: Tiers = []
    """Further choices, each larger than the one before: two for less, three for less still."""

    def check(self, field: str) -> Iterator[FieldError]:
        """Every rule that this offer breaks."""
        yield from self._check_shown(field)
        if self.discount is None:
            yield FieldError(
                f"{field}.discount", worded("is required: a bundle that is no cheaper than its parts is no bundle")
            )
        if self.pick == "explicit" and not 2 <= len(self.items) <= 12:
            yield FieldError(
                f"{field}.items", worded("name 2 to 12 products; there are %(given)s", given=len(self.items))
            )
        if len(set(self.items)) != len(self.items):
            yield FieldError(f"{field}.items", worded("names a product twice"))
        if self.pick != "explicit" and self.items:
            yield FieldError(
                f"{field}.items", worded("belong to pick explicit; with %(pick)s the orders decide", pick=self.pick)
            )
        yield from self._check_tiers(field)

    def _check_tiers(self, field: str) -> Iterator[FieldError]:
        for i, tier in enumerate(self.tiers):
            path = f"{field}.tiers[{i}]"
            yield from _check_tier(tier, path)
            if self.pick == "explicit" and not 2 <= len(tier.items) <= 12:
                yield FieldError(
                    f"{path}.items", worded("name 2 to 12 products; there are %(given)s", given=len(tier.items))
                )
            if self.pick != "explicit" and tier.items:
                message = worded(
                    "belong to pick explicit; with %(pick)s each tier has one product more", pick=self.pick
                )
                yield FieldError(f"{path}.items", message)
            if len(set(tier.items)) != len(tier.items):
                yield FieldError(f"{path}.items", worded("names a product twice"))


def _check_tier(tier: Tier, field: str) -> Iterator[FieldError]:
    if tier.discount is not None:
        yield from tier.discount.check(f"{field}.discount")


Offer = NoOffer | Upsell | CrossSell | Bundle


def follow_ups(offer: Offer) -> Iterator[tuple[str, Upsell | CrossSell | Bundle]]:
    """What may be offered next, by the name of the field that says when."""
    if not isinstance(offer, NoOffer):
        for name in STEPS:
            if (step := getattr(offer, name)) is not None:
                yield name, step


def products_named(offer: Offer) -> Iterator[tuple[str, str]]:
    """Every product that the definition itself names, with the path of the field that names it."""
    if isinstance(offer, Upsell):
        for base, target in offer.pairs.items():
            yield "pairs", base
            yield "pairs", target
    elif isinstance(offer, CrossSell):
        for base, added in offer.products.items():
            if base != "*":
                yield "products", base
            yield from (("products", product) for product in added)
    elif isinstance(offer, Bundle):
        yield from (("items", product) for product in offer.items)
        yield from ((f"tiers[{i}].items", product) for i, tier in enumerate(offer.tiers) for product in tier.items)
    for name, step in follow_ups(offer):
        yield from ((f"{name}.{path}", product) for path, product in products_named(step))
