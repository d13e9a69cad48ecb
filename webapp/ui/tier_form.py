"""A further choice above an offer, good, better, best, as texts."""

from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from experiments.offers import Tier
from webapp.ui.discount_form import discount_json, discount_texts
from webapp.ui.products import ProductOf
from webapp.ui.typed import Typed, one_line


@dataclass
class TierForm:
    """A tier's fields as texts; a blank row of `items` is no row."""

    name: str = ""
    items: list[str] = field(default_factory=list)
    discount_kind: str = "percent"
    discount: str = ""

    @classmethod
    def read(cls, given: MultiDict[str, str], prefix: str) -> "TierForm":
        """As the browser sent it."""
        return cls(
            name=given.get(f"{prefix}name", ""),
            items=given.getlist(f"{prefix}items"),
            discount_kind=given.get(f"{prefix}discount_kind") or "percent",
            discount=given.get(f"{prefix}discount", ""),
        )

    @classmethod
    def of(cls, tier: Tier) -> "TierForm":
        """From a definition."""
        return cls(tier.name, list(tier.items), *discount_texts(tier.discount))

    def to_json(self, typed: Typed, path: str, product_of: ProductOf, *, items: bool) -> dict[str, Any]:
        """The tier as the definition's JSON; with its products only where it has its own."""
        tier: dict[str, Any] = {"name": one_line(self.name)}
        if (discount := discount_json(typed, self.discount_kind, self.discount, f"{path}.discount")) is not None:
            tier["discount"] = discount
        if items:
            tier["items"] = [product_of(item.strip()) for item in self.items if item.strip()]
        return tier
