"""The terms of the demo's shop, the same for its simulated shoppers and at its own till; money in euro cents."""

SHIPPING = 490
FREE_SHIPPING_FROM = 3900
TAX_PERCENT = 19
