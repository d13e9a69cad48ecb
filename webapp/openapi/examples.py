"""Examples of the description: each is sent to the real application by a test, in this order of things."""

from typing import Any

Json = dict[str, Any]

EXPERIMENT = "cart-offers"
PLACEMENT = "cart"
VISITOR = "visitor-7f3a"

PRODUCTS: list[Json] = [
    {"product_id": "A1", "title": "Mug", "price": "10.00", "cost": "4.00", "category": "Mugs", "stock": 120},
    {"product_id": "A2", "title": "Big mug", "price": "14.00", "cost": "5.00", "category": "Mugs"},
    {"product_id": "B2", "title": "Tea", "price": "5.50", "cost": "2.00", "category": "Tea"},
]

DEFINITION: Json = {
    "key": EXPERIMENT,
    "name": "Cart: which offer?",
    "hypothesis": "An offer in the cart raises the contribution of a visitor.",
    "placement": PLACEMENT,
    "unit": "visitor",
    "coverage": 10_000,
    "targeting": {"country": {"$in": ["DE", "FR"]}},
    "variants": [
        {"key": "control", "weight": 2500, "offer": {"type": "none"}},
        {"key": "upsell", "weight": 2500, "offer": {"type": "upsell", "pick": "next_tier", "max_price_ratio": "1.5"}},
        {
            "key": "cross-sell", "weight": 2500,
            "offer": {"type": "cross_sell", "pick": "explicit", "products": {"*": ["B2"]}, "limit": 3},
        },
        {
            "key": "bundle", "weight": 2500,
            "offer": {"type": "bundle", "pick": "explicit", "items": ["A1", "B2"], "discount": {"percent": "10"}},
        },
    ],
    "metrics": {
        "primary": "contribution_per_visitor",
        "secondary": ["conversion", "aov"],
        "guardrails": [{"metric": "refund_rate", "margin": "2%"}],
    },
    "analysis": {"confidence": 0.95, "correction": "holm", "window_days": 14, "minimum_days": 7, "target_mde": "5%"},
}  # fmt: skip

ASSIGNMENT: Json = {
    "visitor_id": VISITOR,
    "placement": PLACEMENT,
    "attributes": {"country": "DE"},
    "context": {"product_id": "A1", "cart": [], "currency": "EUR"},
}

ASSIGNED: Json = {
    "placement": PLACEMENT,
    "visitor_id": VISITOR,
    "experiment": EXPERIMENT,
    "variant": "bundle",
    "in_experiment": True,
    "reason": "assigned",
    "offer": {
        "type": "bundle",
        "offer_id": "of_8d2f1c0a9b7e6d5c4b3a",
        "products": [
            {"product_id": "A1", "title": "Mug", "price": "10.00", "quantity": 1, "url": "", "image": ""},
            {"product_id": "B2", "title": "Tea", "price": "5.50", "quantity": 1, "url": "", "image": ""},
        ],
        "base_product_id": "A1",
        "price": "13.95",
        "regular_price": "15.50",
        "saving": "1.55",
        "currency": "EUR",
    },
    "price_token": "eyJvZmZlcl9pZCI6…",
}

EXPOSURE: Json = {"visitor_id": VISITOR, "experiment": EXPERIMENT, "variant": "bundle", "kind": "viewed"}

ORDER: Json = {
    "type": "order",
    "visitor_id": VISITOR,
    "order_id": "1001",
    "revenue": "13.95",
    "currency": "EUR",
    "items": [
        {"product_id": "A1", "quantity": 1, "price": "9.00"},
        {"product_id": "B2", "quantity": 1, "price": "4.95"},
    ],
}

RECEIPT: Json = {"accepted": 1, "duplicate": 0, "rejected": []}

IDENTITY: Json = {"visitor_id": VISITOR, "customer_id": "customer-42"}

PRICE_CHECK: Json = {"price_token": "eyJvZmZlcl9pZCI6…", "visitor_id": VISITOR, "price": "13.95", "cart": []}

CONTEXT: Json = {"context": {"targetingKey": VISITOR, "country": "DE", "product_id": "A1", "cart": []}}

SAVED_OFFER: Json = {
    "key": "tea-to-go",
    "name": "Tea to go with it",
    "offer": {"type": "cross_sell", "pick": "explicit", "products": {"*": ["B2"]}, "headline": "Goes well with it"},
}

AUDIENCE: Json = {"key": "vip", "name": "Our best", "type": "list", "values": ["customer-42", "customer-77"]}
LAYER: Json = {"key": "checkout", "name": "One at a time", "unit": "visitor"}
NEW_PLACEMENT: Json = {"key": "basket-side", "name": "Beside the basket", "touchpoint": "cart"}

SEGMENT: dict[str, Json] = {
    "track": {
        "anonymousId": VISITOR, "event": "Order Completed",
        "properties": {"order_id": "1002", "revenue": 20, "currency": "EUR"},
    },
    "identify": {"anonymousId": VISITOR, "userId": "customer-42"},
    "alias": {"previousId": VISITOR, "userId": "customer-42"},
    "page": {"anonymousId": VISITOR, "name": "Cart"},
    "screen": {"anonymousId": VISITOR, "name": "Cart"},
    "group": {"anonymousId": VISITOR, "groupId": "club"},
}  # fmt: skip
TRACKED: Json = {"batch": [{"type": "track"} | SEGMENT["track"]]}

PLUGGED: list[Json] = [
    {
        "event_name": "Experiment Viewed", "device_id": VISITOR,
        "properties_json": {"experimentId": EXPERIMENT, "variationId": "bundle"},
    }
]  # fmt: skip

PATHS: Json = {
    "key": EXPERIMENT, "placement": PLACEMENT, "product_id": "A1", "offer_id": "of_8d2f1c0a9b7e6d5c4b3a",
    "storefront": "shop", "token": "eyJvZmZlcl9pZCI6…",
}  # fmt: skip
"""What stands in a path where its operation says no other."""
