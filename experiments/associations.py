"""What past orders say of the products: who goes with whom, how surely, and what sells best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from experiments.recommend import Habits, History


@dataclass(frozen=True, slots=True)
class Companion:
    """A product that is bought with another more often than chance explains.

    `orders` have both; `support` is their share of all orders, `confidence` of those with the other one; `lift` is how
    many times likelier that is than in any order; `p_value` is one-sided.
    """

    product_id: str
    orders: int
    support: float
    confidence: float
    lift: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Seller:
    """A product with the number of orders it is in."""

    product_id: str
    orders: int


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What `orders` orders suggest: companions by product and bestsellers, both strongest first.

    `segments` has the same of the orders of new and of returning customers, where there are enough of them.
    """

    orders: int
    companions: Mapping[str, Sequence[Companion]] = field(default_factory=dict)
    sellers: Sequence[Seller] = ()
    segments: Mapping[str, "Suggestions"] = field(default_factory=dict)

    def history(self) -> History:
        """As offers look it up."""
        segments = {name: Habits(found._pairs(), found._sellers()) for name, found in self.segments.items()}
        return History(self._pairs(), self._sellers(), segments=segments)

    def _pairs(self) -> dict[str, tuple[str, ...]]:
        return {product: tuple(c.product_id for c in found) for product, found in self.companions.items()}

    def _sellers(self) -> tuple[str, ...]:
        return tuple(seller.product_id for seller in self.sellers)
