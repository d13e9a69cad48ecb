"""The demo's experiments: what a PM of this shop would have defined."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

BAGS = ("YIRG", "HUILA", "NYERI", "NOTTE", "DOLCE", "CORSO", "MANDA", "SLEEP")
"""Coffees that come in 250 g and in 500 g."""

_NONE = {"type": "none"}

PRODUCT_PAGE = "product-page"
"""A layer: two experiments share the product page, and no visitor is in both."""

CART_OFFERS: Mapping[str, Any] = {
    "key": "cart-offers",
    "name": "Cart: which offer?",
    "hypothesis": "People with coffee in their cart want something to brew it with: a starter bundle earns more per "
    "visitor than a bigger bag, biscuits, or nothing.",
    "placement": "cart",
    "variants": [
        {"key": "control", "name": "No offer", "weight": 2500, "offer": _NONE},
        {
            "key": "upsell",
            "name": "The bigger bag",
            "weight": 2500,
            "offer": {
                "type": "upsell",
                "pick": "explicit",
                "pairs": {f"{bag}-250": f"{bag}-500" for bag in BAGS},
                "headline": "Twice the coffee, a little less per cup",
                "call_to_action": "Take the 500 g bag",
            },
        },
        {
            "key": "cross-sell",
            "name": "Something sweet",
            "weight": 2500,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {"*": ["BISC-ALM"]},
                "limit": 1,
                "headline": "Biscotti for dipping?",
                "social_proof": {"days": 30, "minimum": 10},
                "call_to_action": "Add to the cart",
                "free_shipping_over": "39.00",
            },
        },
        {
            "key": "bundle",
            "name": "Pour-over starter",
            "weight": 2500,
            "offer": {
                "type": "bundle",
                "pick": "explicit",
                "items": ["DRIP-V", "FILT-V"],
                "discount": {"percent": "12"},
                "headline": "Everything for pour-over, 12% less",
                "call_to_action": "Add the set",
                "minimum_margin": "30%",
                "free_shipping_over": "39.00",
            },
        },
    ],
    "metrics": {
        "primary": "contribution_per_visitor",
        "secondary": ["aov", "items_per_order", "offer_acceptance"],
        "guardrails": [{"metric": "conversion", "margin": "10%"}],
    },
    "analysis": {
        "window_days": 14,
        "minimum_days": 14,
        "target_mde": "8%",
        "segments": ["device", "cart_value", "country"],
    },
}

PRODUCT_PAGE_STEP_UP: Mapping[str, Any] = {
    "key": "product-page-step-up",
    "name": "Product page: a step up",
    "hypothesis": "Whoever looks at a product may like the next better one, if it is not much dearer.",
    "placement": "product_page",
    "layer": {"key": PRODUCT_PAGE, "start": 0, "end": 4000},
    "variants": [
        {"key": "control", "weight": 5000, "offer": _NONE},
        {
            "key": "step-up",
            "weight": 5000,
            "offer": {
                "type": "upsell",
                "pick": "next_tier",
                "max_price_ratio": "1.5",
                "headline": "A step up",
                "call_to_action": "Have a look",
            },
        },
    ],
    "metrics": {"primary": "revenue_per_visitor", "secondary": ["conversion", "aov"]},
    "analysis": {"window_days": 7, "minimum_days": 14},
}

CHECKOUT_SWEETS: Mapping[str, Any] = {
    "key": "checkout-sweets",
    "name": "Checkout: chocolate?",
    "hypothesis": "A bar of chocolate at the till never hurt anybody.",
    "placement": "checkout",
    "variants": [
        {"key": "control", "weight": 5000, "offer": _NONE},
        {
            "key": "sweets",
            "weight": 5000,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {"*": ["CHOC-70", "CHOC-MILK"]},
                "limit": 1,
                "headline": "One for the way?",
                "call_to_action": "Add",
            },
        },
    ],
    "metrics": {"primary": "contribution_per_visitor", "secondary": ["conversion", "items_per_order"]},
    "analysis": {"window_days": 7, "minimum_days": 7, "sequential": False},
}

THANK_YOU_SET: Mapping[str, Any] = {
    "key": "thank-you-set",
    "name": "Thank-you mail: tasting set",
    "hypothesis": "Whoever has just ordered is glad to try four more coffees at a good price, in the same parcel.",
    "placement": "thank_you_mail",
    "variants": [
        {"key": "control", "weight": 5000, "offer": _NONE},
        {
            "key": "tasting-set",
            "weight": 5000,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {"*": ["SET-TASTE"]},
                "limit": 1,
                "discount": {"percent": "10"},
                "headline": "In the same parcel: four coffees to try",
                "call_to_action": "Add to my order",
            },
        },
    ],
    "metrics": {"primary": "revenue_per_visitor", "secondary": ["aov", "items_per_order"]},
    "analysis": {"window_days": 2, "minimum_days": 7, "sequential": False},
}

ADVENT_BUNDLE: Mapping[str, Any] = {
    "key": "advent-bundle",
    "name": "Product page: tea and a tin",
    "hypothesis": "Tea sells better as a present when it comes with its tin.",
    "placement": "product_page",
    "coverage": 5000,
    "targeting": {"country": {"$in": ["DE", "AT"]}},
    "variants": [
        {"key": "control", "weight": 5000, "offer": _NONE},
        {
            "key": "tin",
            "weight": 5000,
            "offer": {
                "type": "bundle",
                "pick": "explicit",
                "items": ["DARJ-100", "TIN-TEA", "GLASS-TEA"],
                "discount": {"percent": "15"},
                "headline": "A present that is ready",
                "instalments": {"count": 3, "text": "or {count} payments of €{amount}, at no cost"},
            },
        },
    ],
    "metrics": {"primary": "contribution_per_visitor", "secondary": ["conversion", "aov"]},
}

PLACEMENTS: Mapping[str, str] = MappingProxyType(
    {"cart_drawer": "cart", "gift_guide": "product_page", "thank_you_mail": "post_purchase"}
)
"""Slots of this shop beyond one for each touchpoint, with their touchpoint."""
