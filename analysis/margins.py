"""What an order usually costs where its own cost is not known: by the margins of its products' categories."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from analysis.ledger import Bools, Ints

_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Margins:
    """Shares of the price that categories keep, from the catalogue's products whose cost is known."""

    by_category: Mapping[str, float] = field(default_factory=dict)
    category_of: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, products: Mapping[str, tuple[str, int, int | None]]) -> "Margins":
        """From (category, price, cost) by product id."""
        price: dict[str, int] = {}
        cost: dict[str, int] = {}
        for category, at, costs in products.values():
            if costs is not None and at > 0:
                price[category], cost[category] = price.get(category, 0) + at, cost.get(category, 0) + costs
        shares = {category: 1 - cost[category] / price[category] for category in price}
        return cls(shares, {product: category for product, (category, _, _) in products.items()})


@dataclass(frozen=True, slots=True, eq=False)
class OrderCosts:
    """Orders by code: revenue, own cost, and whether both are known; their lines' product, amount and cost (or -1)."""

    revenue: Ints
    cost: Ints
    known: Bools
    line_order: Ints = field(default_factory=lambda: _NOTHING)
    line_product: tuple[str, ...] = ()
    line_amount: Ints = field(default_factory=lambda: _NOTHING)
    line_cost: Ints = field(default_factory=lambda: _NOTHING)


def usual_costs(orders: OrderCosts, margins: Margins) -> Ints:
    """Each order's cost: its own, else its lines' costs and usual margins, else the margin of the known orders.

    Lines add up to more than the order where there was a discount, so it is the lines' share of cost that counts.
    """
    paid = int(orders.revenue[orders.known].sum())
    overall = int(orders.cost[orders.known].sum()) / paid if paid else 1.0  # nothing known: no margin
    out = np.where(orders.known, orders.cost, np.rint(orders.revenue * overall)).astype(np.int64)
    asked = ~orders.known[orders.line_order] if len(orders.line_order) else np.zeros(0, dtype=bool)
    if not asked.any():
        return out
    rate = {
        product: 1 - margins.by_category[category] if category in margins.by_category else overall
        for product in set(orders.line_product)
        for category in [margins.category_of.get(product, "")]
    }
    rates = np.array([rate[product] for product in orders.line_product])
    costs = np.where(orders.line_cost >= 0, orders.line_cost, orders.line_amount * rates)
    n = len(orders.revenue)
    amount = np.bincount(orders.line_order, weights=orders.line_amount, minlength=n)
    cost = np.bincount(orders.line_order, weights=costs, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_lines = np.rint(orders.revenue * np.where(amount > 0, cost / amount, overall))
    return np.where(orders.known | (amount <= 0), out, by_lines).astype(np.int64)
