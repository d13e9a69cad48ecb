"""What the shop's own history suggests: products bought together, bestsellers, what is looked at, what sold lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from experiments.moment import DAY, Micros

Segment = Literal["new", "returning"]
"""Customers at their first order, and those who had ordered before."""
HORIZONS = (7, 30, 90)
"""Days over which orders are counted for social proof."""
FRESH = 2 * DAY
"""A count of the last days is not told any more when it is older than that."""


class Recommendations(Protocol):
    """What the shop's own history suggests."""

    def bought_together(self, product_id: str, segment: str | None = None) -> Sequence[str]:
        """Products bought with this one, strongest first; of a segment only where its orders say enough."""
        ...

    def bestsellers(self, segment: str | None = None) -> Sequence[str]:
        """The products most bought, first first; of a segment only where its orders say enough."""
        ...

    def most_viewed(self) -> Sequence[str]:
        """The products most looked at, first first."""
        ...

    def orders_lately(self, product_id: str, days: int, now: Micros) -> int | None:
        """In how many orders of the last `days` days, one of HORIZONS, it was; None where nobody has counted lately."""
        ...


@dataclass(frozen=True, slots=True)
class Habits:
    """What one segment's orders suggest."""

    pairs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sellers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class History:
    """Suggestions computed from past events; an empty history suggests nothing."""

    pairs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sellers: Sequence[str] = ()
    viewed: Sequence[str] = ()
    segments: Mapping[str, Habits] = field(default_factory=dict)
    sold: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """By product, the orders of the last 7, 30 and 90 days."""
    counted_at: int = 0
    """When those were counted, in microseconds."""

    def bought_together(self, product_id: str, segment: str | None = None) -> Sequence[str]:
        """Products bought with this one, strongest first; of a segment only where its orders say enough."""
        if segment is None:
            return self.pairs.get(product_id, ())
        habits = self.segments.get(segment)
        return habits.pairs.get(product_id, ()) if habits is not None else ()

    def bestsellers(self, segment: str | None = None) -> Sequence[str]:
        """The products most bought, first first; of a segment only where its orders say enough."""
        if segment is None:
            return self.sellers
        habits = self.segments.get(segment)
        return habits.sellers if habits is not None else ()

    def most_viewed(self) -> Sequence[str]:
        """The products most looked at, first first."""
        return self.viewed

    def orders_lately(self, product_id: str, days: int, now: Micros) -> int | None:
        """In how many orders of the last `days` days, one of HORIZONS, it was; None where nobody has counted lately."""
        if not self.counted_at or now - self.counted_at > FRESH:
            return None
        counts = self.sold.get(product_id)
        return 0 if counts is None else counts[HORIZONS.index(days)]
