"""What is planted in the demo's traffic: the truth that its reports have to find."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

VISITS_A_DAY = 1700
DAYS = 21
RETURNING = 0.12
"""Share of visits by somebody who was there before."""
ADDS_TO_CART = 0.55
"""Share of visits that put the product looked at into the cart."""
REACHES_CHECKOUT = 0.60
"""Share of carts."""
BUYS = 0.56
"""Share of checkouts, before any effect."""
SECOND_ITEM = 0.35
"""Share of carts that hold something else too."""
REFUNDED = 0.04
"""Share of orders that come back, two to six days later."""
SEES_OFFER = 0.97
"""Share of offers served that the page then reports as viewed."""
DISMISSES = 0.30
"""Share of the offers seen and not taken that are closed by hand."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a variant does: `buying` multiplies the share that buys, `acceptance` is the share that takes the offer."""

    buying: float = 1.0
    acceptance: float = 0.0


TRUTH: Mapping[tuple[str, str], Effect] = MappingProxyType(
    {
        # the bundle earns most; the cross-sell adds an item; the upsell sells bigger bags, to fewer people
        ("cart-offers", "upsell"): Effect(buying=0.90, acceptance=0.16),
        ("cart-offers", "cross-sell"): Effect(acceptance=0.16),
        ("cart-offers", "bundle"): Effect(buying=1.04, acceptance=0.13),
        # a nudge to the next better product, too small to be seen in two weeks
        ("product-page-step-up", "step-up"): Effect(acceptance=0.15),
        # chocolate at the till distracts: this one was stopped for good reason
        ("checkout-sweets", "sweets"): Effect(buying=0.90, acceptance=0.08),
        # four offers on each of the other pages: too young to be decided
        ("product-page-offers", "upsell"): Effect(acceptance=0.12),
        ("product-page-offers", "cross-sell"): Effect(acceptance=0.07),
        ("product-page-offers", "bundle"): Effect(acceptance=0.06),
        ("checkout-extras", "upsell"): Effect(acceptance=0.05),
        ("checkout-extras", "cross-sell"): Effect(acceptance=0.09),
        ("checkout-extras", "bundle"): Effect(acceptance=0.07),
        ("after-purchase", "biscotti"): Effect(acceptance=0.07),
        ("after-purchase", "cross-sell"): Effect(acceptance=0.08),
        ("after-purchase", "bundle"): Effect(acceptance=0.05),
        # a tasting set after the order costs nobody anything, and was shipped
        ("thank-you-set", "tasting-set"): Effect(acceptance=0.11),
    }
)
"""By experiment and variant; who is in no experiment, or sees no offer, is as BUYS says."""

NO_EFFECT = Effect()


def effect(experiment: str, variant: str) -> Effect:
    """The planted effect of a variant."""
    return TRUTH.get((experiment, variant), NO_EFFECT)
