"""The demo's experiments that compare all four types of offer, on each page that has none such yet."""

from collections.abc import Mapping
from typing import Any

from experiments.demo.definitions import BAGS, PRODUCT_PAGE
from experiments.moment import DAY

TEAS = ("SENCHA-100", "GENMAI-100", "LUNG-100", "ASSAM-100", "DARJ-100", "SMOKE-100", "EARL-100")
"""Teas that come through a sieve."""

ENDS_AFTER = 90 * DAY
"""A season, counted from the experiment's start; whoever keeps a demo longer sees that an end is an end."""

_NONE = {"type": "none"}

PRODUCT_PAGE_OFFERS: Mapping[str, Any] = {
    "key": "product-page-offers",
    "name": "Product page: which offer?",
    "hypothesis": "On the product page a visitor still chooses: a dearer relative, what goes with it, or a treat for a "
    "break can all be right, and so can silence.",
    "placement": "product_page",
    "layer": {"key": PRODUCT_PAGE, "start": 4000, "end": 8000},
    "variants": [
        {"key": "control", "name": "No offer", "weight": 2500, "offer": _NONE},
        {
            "key": "upsell",
            "name": "The next better one",
            "weight": 2500,
            "offer": {
                "type": "upsell",
                "pick": "next_tier",
                "max_price_ratio": "2",
                "headline": "A little more of a good thing",
                "call_to_action": "Take this one instead",
                "social_proof": {"days": 30, "minimum": 10},
            },
        },
        {
            "key": "cross-sell",
            "name": "What goes with it",
            "weight": 2500,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {
                    **{f"{bag}-{grams}": ["FILT-V", "TIN-500"] for bag in BAGS for grams in (250, 500)},
                    **{tea: ["SIEVE-TEA", "HONEY"] for tea in TEAS},
                    "*": ["MUG-BLUE", "CHOC-70"],
                },
                "limit": 2,
                "headline": "Goes well with it",
                "call_to_action": "Add both to the cart",
            },
        },
        {
            "key": "bundle",
            "name": "The break",
            "weight": 2500,
            "offer": {
                "type": "bundle",
                "pick": "explicit",
                "items": ["MUG-BLUE", "BISC-ALM"],
                "discount": {"percent": "15"},
                "headline": "A mug and biscotti, 15% less",
                "call_to_action": "Add the set",
                "minimum_margin": "30%",
                "if_declined": {
                    "type": "cross_sell",
                    "pick": "explicit",
                    "products": {"*": ["BISC-ALM"]},
                    "limit": 1,
                    "discount": {"percent": "10"},
                    "headline": "Only the biscotti, then?",
                    "call_to_action": "Add the biscotti",
                },
            },
        },
    ],
    "metrics": {
        "primary": "contribution_per_visitor",
        "secondary": ["aov", "items_per_order", "offer_acceptance"],
        "guardrails": [{"metric": "conversion", "margin": "10%"}],
    },
    "analysis": {"window_days": 7, "minimum_days": 14, "target_mde": "8%"},
}

CHECKOUT_EXTRAS: Mapping[str, Any] = {
    "key": "checkout-extras",
    "name": "Checkout: something small, or nothing?",
    "hypothesis": "Chocolate alone distracted at the till. A small set at a better price may be worth the look.",
    "placement": "checkout",
    "variants": [
        {"key": "control", "name": "No offer", "weight": 2500, "offer": _NONE},
        {
            "key": "upsell",
            "name": "A rarer one",
            "weight": 2500,
            "offer": {
                "type": "upsell",
                "pick": "next_tier",
                "max_price_ratio": "2",
                "headline": "Treat yourself to the next better one?",
                "call_to_action": "Swap it",
            },
        },
        {
            "key": "cross-sell",
            "name": "Oat and date biscuits",
            "weight": 2500,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {"*": ["BISC-OAT"]},
                "limit": 1,
                "headline": "For the first cup",
                "call_to_action": "Add to the order",
            },
        },
        {
            "key": "bundle",
            "name": "Sweet pair",
            "weight": 2500,
            "offer": {
                "type": "bundle",
                "pick": "explicit",
                "items": ["CHOC-70", "CHOC-MILK"],
                "discount": {"percent": "10"},
                "headline": "Two bars for the parcel, 10% less",
                "call_to_action": "Add both",
                "minimum_margin": "30%",
                "if_declined": {
                    "type": "cross_sell",
                    "pick": "explicit",
                    "products": {"*": ["CHOC-70"]},
                    "limit": 1,
                    "discount": {"percent": "10"},
                    "headline": "Just the dark one?",
                    "call_to_action": "Add it",
                },
            },
        },
    ],
    "metrics": {
        "primary": "contribution_per_visitor",
        "secondary": ["aov", "offer_acceptance"],
        "guardrails": [{"metric": "conversion", "margin": "5%"}],
    },
    "analysis": {"window_days": 7, "minimum_days": 14, "target_mde": "8%"},
}

AFTER_PURCHASE: Mapping[str, Any] = {
    "key": "after-purchase",
    "name": "Thank-you page: one more thing?",
    "hypothesis": "The parcel is not packed yet: whoever has just paid can add to it without paying for shipping "
    "again.",
    "placement": "post_purchase",
    "variants": [
        {"key": "control", "name": "No offer", "weight": 2500, "offer": _NONE},
        {
            "key": "biscotti",
            "name": "Biscotti",
            "weight": 2500,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {"*": ["BISC-ALM"]},
                "limit": 1,
                "headline": "Biscotti in the same parcel?",
                "call_to_action": "Add to my order",
                "social_proof": {"days": 30, "minimum": 10},
            },
        },
        {
            "key": "cross-sell",
            "name": "Tea sampler",
            "weight": 2500,
            "offer": {
                "type": "cross_sell",
                "pick": "explicit",
                "products": {"*": ["SET-TEA"]},
                "limit": 1,
                "discount": {"percent": "10"},
                "headline": "Six teas in the same parcel",
                "call_to_action": "Add to my order",
                "if_accepted": {
                    "type": "cross_sell",
                    "pick": "explicit",
                    "products": {"*": ["HONEY"]},
                    "limit": 1,
                    "headline": "And honey to go with them?",
                    "call_to_action": "Add the honey",
                },
            },
        },
        {
            "key": "bundle",
            "name": "Cups and chocolate",
            "weight": 2500,
            "offer": {
                "type": "bundle",
                "pick": "explicit",
                "items": ["CUP-FLAT", "CHOC-MILK"],
                "discount": {"percent": "15"},
                "headline": "Cups and chocolate, 15% less",
                "call_to_action": "Add to my order",
                "minimum_margin": "30%",
            },
        },
    ],
    "metrics": {"primary": "contribution_per_visitor", "secondary": ["aov", "items_per_order", "offer_acceptance"]},
    "analysis": {"window_days": 7, "minimum_days": 14, "target_mde": "8%"},
}
