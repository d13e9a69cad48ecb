"""One variant as the define page holds it: every text as typed, whatever its offer type is at the moment."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from experiments.definition import Variant
from experiments.incentives import Discount
from experiments.offers import CrossSell, NoOffer, Upsell
from webapp.ui.typed import Typed, moment_text, percent_text

ProductOf = Callable[[str], str]
"""The product's id for what was typed: its id, or its exact title."""

_TEXTS = (
    "key", "name", "weight", "discount", "cross_sell_limit", "bundle_limit", "headline", "body", "call_to_action",
    "image", "free_shipping_over", "valid_from", "valid_until", "minimum_margin", "max_price_ratio", "cap_views",
    "cap_days",
)  # fmt: skip
_CHOICES = ("type", "upsell_pick", "cross_sell_pick", "bundle_pick", "discount_kind")
OFFER_FIELDS = frozenset({
    "type", "pick", "pairs", "products", "items", "limit", "discount", "free_shipping_over", "valid_from",
    "valid_until", "frequency_cap", "max_price_ratio", "stacks_with_discounts", "headline", "body", "call_to_action",
    "image", "minimum_margin",
})  # fmt: skip
"""What of an offer the page shows; the rest of an offer that was written over the API is kept as it is."""
_SHOWN = ("headline", "body", "call_to_action", "image", "minimum_margin")


@dataclass
class VariantForm:
    """A variant's fields as texts. Lists of products are rows; a blank row is no row."""

    key: str = ""
    name: str = ""
    weight: str = ""
    type: str = "none"
    upsell_pick: str = "next_tier"
    cross_sell_pick: str = "explicit"
    bundle_pick: str = "explicit"
    pairs: list[tuple[str, str]] = field(default_factory=list)
    products: list[tuple[str, str]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    discount_kind: str = "percent"
    discount: str = ""
    cross_sell_limit: str = "3"
    bundle_limit: str = "2"
    headline: str = ""
    body: str = ""
    call_to_action: str = ""
    image: str = ""
    free_shipping_over: str = ""
    valid_from: str = ""
    valid_until: str = ""
    minimum_margin: str = ""
    max_price_ratio: str = ""
    cap_views: str = ""
    cap_days: str = ""
    stacks: bool = True

    @classmethod
    def read(cls, given: MultiDict[str, str], prefix: str) -> "VariantForm":
        """As the browser sent it."""
        form = cls()
        for name in _TEXTS:
            setattr(form, name, given.get(f"{prefix}{name}", ""))
        for name in _CHOICES:
            setattr(form, name, given.get(f"{prefix}{name}") or getattr(form, name))
        for name in ("pairs", "products"):
            rows = zip(given.getlist(f"{prefix}{name}_from"), given.getlist(f"{prefix}{name}_to"), strict=False)
            setattr(form, name, list(rows))
        form.items = given.getlist(f"{prefix}items")
        form.stacks = f"{prefix}stacks" in given
        return form

    @classmethod
    def of(cls, variant: Variant, zone: ZoneInfo) -> "VariantForm":
        """From a definition."""
        form = cls(variant.key, variant.name, percent_text(variant.weight))
        offer = variant.offer
        if isinstance(offer, NoOffer):
            return form
        form.type = str(offer.__struct_config__.tag)
        for name in _SHOWN:
            setattr(form, name, getattr(offer, name) or "")
        form.discount_kind, form.discount = _discount_texts(offer.discount)
        form.free_shipping_over = "" if offer.free_shipping_over is None else str(offer.free_shipping_over)
        form.valid_from, form.valid_until = moment_text(offer.valid_from, zone), moment_text(offer.valid_until, zone)
        form.stacks = offer.stacks_with_discounts
        if offer.frequency_cap is not None:
            form.cap_views, form.cap_days = str(offer.frequency_cap.views), str(offer.frequency_cap.days)
        setattr(form, f"{form.type}_pick", offer.pick)
        if isinstance(offer, Upsell):
            form.pairs = list(offer.pairs.items())
            form.max_price_ratio = "" if offer.max_price_ratio is None else str(offer.max_price_ratio)
        elif isinstance(offer, CrossSell):
            form.products = [
                ("" if base == "*" else base, product) for base, added in offer.products.items() for product in added
            ]
            form.cross_sell_limit = str(offer.limit)
        else:
            form.items, form.bundle_limit = list(offer.items), str(offer.limit)
        return form

    def to_json(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        """The offer as the definition's JSON; what its type does not have is left out."""
        if self.type == "none":
            return {"type": "none"}
        offer: dict[str, Any] = {"type": self.type, **self._shown(typed, path)}
        if self.type == "upsell":
            offer |= self._upsell(typed, path, product_of)
        elif self.type == "cross_sell":
            offer |= self._cross_sell(typed, path, product_of)
        else:
            offer |= self._bundle(typed, path, product_of)
        return offer

    def _shown(self, typed: Typed, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = {name: text for name in _SHOWN if (text := getattr(self, name).strip())}
        discount = self.discount.strip().removesuffix("%" if self.discount_kind == "percent" else "")
        if (value := typed.decimal(discount, f"{path}.discount")) is not None:
            shown["discount"] = {self.discount_kind: value}
        if (value := typed.decimal(self.free_shipping_over, f"{path}.free_shipping_over")) is not None:
            shown["free_shipping_over"] = value
        for name in ("valid_from", "valid_until"):
            if (moment := typed.moment(getattr(self, name), f"{path}.{name}")) is not None:
                shown[name] = moment
        if self.cap_views.strip() or self.cap_days.strip():
            cap = f"{path}.frequency_cap"
            if not (self.cap_views.strip() and self.cap_days.strip()):
                typed.refuse(cap, "needs both: how many views, in how many days")
            else:
                shown["frequency_cap"] = {
                    "views": typed.whole(self.cap_views, f"{cap}.views", 1),
                    "days": typed.whole(self.cap_days, f"{cap}.days", 1),
                }
        return shown if self.stacks else shown | {"stacks_with_discounts": False}

    def _upsell(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        offer: dict[str, Any] = {"pick": self.upsell_pick}
        if (ratio := typed.decimal(self.max_price_ratio, f"{path}.max_price_ratio")) is not None:
            offer["max_price_ratio"] = ratio
        if self.upsell_pick != "explicit":
            return offer
        pairs: dict[str, str] = {}
        for base, target in _filled(self.pairs):
            if not (base and target):
                typed.refuse(f"{path}.pairs", f"a pair needs both products; {base or target!r} stands alone")
            elif product_of(base) in pairs:
                typed.refuse(f"{path}.pairs", f"{base!r} leads to two products; keep one")
            else:
                pairs[product_of(base)] = product_of(target)
        return offer | {"pairs": pairs}

    def _cross_sell(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        limit = typed.whole(self.cross_sell_limit, f"{path}.limit", 3)
        offer: dict[str, Any] = {"pick": self.cross_sell_pick, "limit": limit}
        if self.cross_sell_pick != "explicit":
            return offer
        products: dict[str, list[str]] = {}
        for base, added in _filled(self.products):
            if not added:
                typed.refuse(f"{path}.products", f"say what to add to {base!r}")
                continue
            listed = products.setdefault(product_of(base) if base and base != "*" else "*", [])
            if product_of(added) in listed:
                typed.refuse(f"{path}.products", f"{added!r} is added twice")
            listed.append(product_of(added))
        return offer | {"products": products}

    def _bundle(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        offer = {"pick": self.bundle_pick, "limit": typed.whole(self.bundle_limit, f"{path}.limit", 2)}
        if self.bundle_pick != "explicit":
            return offer
        return offer | {"items": [product_of(item.strip()) for item in self.items if item.strip()]}


def _filled(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    stripped = [(base.strip(), other.strip()) for base, other in rows]
    return [row for row in stripped if any(row)]


def _discount_texts(discount: Discount | None) -> tuple[str, str]:
    for kind in ("percent", "amount", "price"):
        if discount is not None and (value := getattr(discount, kind)) is not None:
            return kind, str(value)
    return "percent", ""
