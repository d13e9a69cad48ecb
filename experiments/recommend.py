"""What the shop's own history suggests: products bought together, and bestsellers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Recommendations(Protocol):
    """What the shop's own history suggests."""

    def bought_together(self, product_id: str) -> Sequence[str]:
        """Products bought with this one, strongest first."""
        ...

    def bestsellers(self) -> Sequence[str]:
        """The products most bought, first first."""
        ...


@dataclass(frozen=True, slots=True)
class History:
    """Suggestions computed from past orders; an empty history suggests nothing."""

    pairs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sellers: Sequence[str] = ()

    def bought_together(self, product_id: str) -> Sequence[str]:
        """Products bought with this one, strongest first."""
        return self.pairs.get(product_id, ())

    def bestsellers(self) -> Sequence[str]:
        """The products most bought, first first."""
        return self.sellers
