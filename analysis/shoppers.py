"""Visitors of a made-up shop: most buy nothing, some buy often, a few spend a lot. The truth is known exactly.

Each visitor has a loyalty (gamma, mean 1) that scales the chance to buy now and before, and a taste (normal) that all
of the visitor's orders share, so orders cluster by visitor and the past predicts the present.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.errors import Invalid

Array = NDArray[np.float64]

# above it the most loyal would buy with a chance over 1, and the true lift would not be the one asked for
MOST_BUY = 0.2


@dataclass(frozen=True, slots=True)
class Shop:
    """How visitors behave without an offer: order values are lognormal, and `clustering` of their variance is taste.

    `repeat` is the mean number of further orders of a buyer; `history` the chance to buy in the time before.
    """

    conversion: float = 0.06
    repeat: float = 0.2
    order_value: float = 55.0
    log_deviation: float = 0.9
    clustering: float = 0.5
    loyalty_shape: float = 4.0
    history: float = 0.1

    def __post_init__(self) -> None:
        for name in ("conversion", "history"):
            if not 0 < getattr(self, name) <= MOST_BUY:
                raise Invalid.at(name, f"{getattr(self, name)} is not above 0 and up to {MOST_BUY}")
        for name in ("order_value", "loyalty_shape"):
            if not 0 < getattr(self, name) < np.inf:
                raise Invalid.at(name, f"{getattr(self, name)} is not above 0")
        for name, top in (("repeat", 20.0), ("log_deviation", 4.0), ("clustering", 1.0)):
            if not 0 <= getattr(self, name) <= top:
                raise Invalid.at(name, f"{getattr(self, name)} is not between 0 and {top:g}")


@dataclass(frozen=True, slots=True)
class Influence:
    """What an offer does: lifts of the chance to buy and of the value of each order."""

    conversion: float = 0.0
    order_value: float = 0.0

    def __post_init__(self) -> None:
        for name in ("conversion", "order_value"):
            if not -1 < getattr(self, name) < np.inf:
                raise Invalid.at(name, f"{getattr(self, name)} is not a lift above -100%")

    @property
    def lifts(self) -> Mapping[str, float]:
        """The true lift of each metric."""
        both = (1 + self.conversion) * (1 + self.order_value) - 1
        return MappingProxyType({"conversion": self.conversion, "revenue": both, "aov": self.order_value})


def draw(
    shop: Shop, rng: Generator, shape: int | tuple[int, ...], influence: Influence | None = None
) -> dict[str, Array]:
    """Visitors as arrays of this shape: converted, orders, revenue, and revenue_before, orders_before.

    Money in whole cents, as a shop takes it. A shape (runs, visitors) is many experiments in one call.
    """
    offer = influence or Influence()
    chance = shop.conversion * (1 + offer.conversion)
    if chance > MOST_BUY:
        raise Invalid.at("influence.conversion", f"a conversion of {chance:g} is above {MOST_BUY}")
    loyalty = rng.gamma(shop.loyalty_shape, 1 / shop.loyalty_shape, shape)
    taste = rng.standard_normal(shape)
    orders = _orders(rng, chance * loyalty, shop.repeat)
    before = _orders(rng, shop.history * loyalty, shop.repeat)
    return {
        "converted": (orders > 0).astype(float),
        "orders": orders.astype(float),
        "revenue": _spent(rng, shop, taste, orders, 1 + offer.order_value),
        "orders_before": before.astype(float),
        "revenue_before": _spent(rng, shop, taste, before, 1.0),
    }


def _orders(rng: Generator, chance: Array, repeat: float) -> NDArray[np.int64]:
    buys = rng.random(chance.shape) < chance
    count = np.zeros(chance.shape, dtype=np.int64)
    count[buys] = 1 + rng.poisson(repeat, int(buys.sum()))
    return count


def _spent(rng: Generator, shop: Shop, taste: Array, orders: NDArray[np.int64], factor: float) -> Array:
    """The sum of each visitor's order values: one draw an order, summed by visitor."""
    flat, many = taste.ravel(), orders.ravel()
    who = np.repeat(np.arange(len(flat)), many)
    shared, own = np.sqrt(shop.clustering), np.sqrt(1 - shop.clustering)
    log_value = shop.log_deviation * (shared * flat[who] + own * rng.standard_normal(len(who)))
    value = factor * shop.order_value * np.exp(log_value - shop.log_deviation**2 / 2)
    spent = np.bincount(who, value, minlength=len(flat)).astype(float)
    return np.asarray(np.round(spent, 2)).reshape(orders.shape)
