"""An offer as the pages hold it: every text as typed, whatever its type is at the moment."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from experiments.offers import MOST_STEPS, STEPS, CrossSell, NoOffer, Offer, Upsell, follow_ups
from experiments.wording import worded
from webapp.ui.discount_form import discount_json, discount_texts
from webapp.ui.incentive_form import IncentiveForm
from webapp.ui.products import ProductOf
from webapp.ui.tier_form import TierForm
from webapp.ui.typed import Typed, moment_text, one_line, several_lines

_TEXTS = (
    "discount", "cross_sell_limit", "bundle_limit", "headline", "body", "call_to_action", "image", "valid_from",
    "valid_until", "minimum_margin", "minimum_stock", "max_price_ratio", "cap_views", "cap_days", "tier_name",
)  # fmt: skip
_CHOICES = ("type", "upsell_pick", "cross_sell_pick", "bundle_pick", "discount_kind")
_LINES = ("headline", "call_to_action", "image", "minimum_margin")
_MOST_READ = 20
"""Tiers that a request may bring; how many an offer may have is the domain's to say."""


@dataclass
class OfferForm:
    """An offer's fields as texts. Lists of products are rows; a blank row is no row."""

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
    valid_from: str = ""
    valid_until: str = ""
    minimum_margin: str = ""
    minimum_stock: str = ""
    max_price_ratio: str = ""
    cap_views: str = ""
    cap_days: str = ""
    stacks: bool = True
    tier_name: str = ""
    tiers: list[TierForm] = field(default_factory=list)
    incentives: IncentiveForm = field(default_factory=IncentiveForm)
    steps: dict[str, "OfferForm"] = field(default_factory=dict)
    """What comes next, by `if_declined` and `if_accepted`."""

    @classmethod
    def read(cls, given: MultiDict[str, str], prefix: str, first: int = 1) -> "OfferForm":
        """As the browser sent it; `first` counts the offers one after the other."""
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
        markers = given.getlist(f"{prefix}tier")[:_MOST_READ]
        form.tiers = [TierForm.read(given, f"{prefix}tier{marker}-") for marker in markers]
        form.incentives = IncentiveForm.read(given, prefix)
        for name in STEPS if first < MOST_STEPS else ():
            if given.get(f"{prefix}{name}-type"):
                form.steps[name] = cls.read(given, f"{prefix}{name}-", first + 1)
        return form

    @classmethod
    def of(cls, offer: Offer, zone: ZoneInfo) -> "OfferForm":
        """From a definition."""
        form = cls()
        if isinstance(offer, NoOffer):
            return form
        form.type = str(offer.__struct_config__.tag)
        for name in (*_LINES, "body"):
            setattr(form, name, getattr(offer, name) or "")
        form.discount_kind, form.discount = discount_texts(offer.discount)
        form.valid_from, form.valid_until = moment_text(offer.valid_from, zone), moment_text(offer.valid_until, zone)
        form.stacks = offer.stacks_with_discounts
        form.minimum_stock = "" if offer.minimum_stock == 1 else str(offer.minimum_stock)
        if offer.frequency_cap is not None:
            form.cap_views, form.cap_days = str(offer.frequency_cap.views), str(offer.frequency_cap.days)
        form.incentives = IncentiveForm.of(offer)
        form.steps = {name: cls.of(step, zone) for name, step in follow_ups(offer)}
        setattr(form, f"{form.type}_pick", offer.pick)
        if isinstance(offer, CrossSell):
            form.products = [
                ("" if base == "*" else base, product) for base, added in offer.products.items() for product in added
            ]
            form.cross_sell_limit = str(offer.limit)
            return form
        form.tier_name, form.tiers = offer.tier_name, [TierForm.of(tier) for tier in offer.tiers]
        if isinstance(offer, Upsell):
            form.pairs = list(offer.pairs.items())
            form.max_price_ratio = "" if offer.max_price_ratio is None else str(offer.max_price_ratio)
        else:
            form.items, form.bundle_limit = list(offer.items), str(offer.limit)
        return form

    def named(self) -> Iterator[str]:
        """Every product as it was typed, here and in what comes next."""
        yield from self.items
        for pair in (*self.pairs, *self.products):
            yield from pair
        for tier in self.tiers:
            yield from tier.items
        for step in self.steps.values():
            yield from step.named()

    def to_json(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        """The offer as the definition's JSON; what its type does not have is left out."""
        if self.type == "none":
            return {"type": "none"}
        offer: dict[str, Any] = {"type": self.type, **self._shown(typed, path)}
        if self.type == "upsell":
            offer |= self._upsell(typed, path, product_of) | self._tiers(typed, path, product_of)
        elif self.type == "cross_sell":
            offer |= self._cross_sell(typed, path, product_of)
        else:
            offer |= self._bundle(typed, path, product_of) | self._tiers(typed, path, product_of)
        for name, step in self.steps.items():
            if step.type != "none":
                offer[name] = step.to_json(typed, f"{path}.{name}", product_of)
        return offer

    def _shown(self, typed: Typed, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = {name: text for name in _LINES if (text := one_line(getattr(self, name)))}
        if body := several_lines(self.body):
            shown["body"] = body
        if (value := discount_json(typed, self.discount_kind, self.discount, f"{path}.discount")) is not None:
            shown["discount"] = value
        for name in ("valid_from", "valid_until"):
            if (moment := typed.moment(getattr(self, name), f"{path}.{name}")) is not None:
                shown[name] = moment
        if self.minimum_stock.strip():
            shown["minimum_stock"] = typed.whole(self.minimum_stock, f"{path}.minimum_stock", 1)
        if self.cap_views.strip() or self.cap_days.strip():
            cap = f"{path}.frequency_cap"
            if not (self.cap_views.strip() and self.cap_days.strip()):
                typed.refuse(cap, worded("needs both: how many views, in how many days"))
            else:
                shown["frequency_cap"] = {
                    "views": typed.whole(self.cap_views, f"{cap}.views", 1),
                    "days": typed.whole(self.cap_days, f"{cap}.days", 1),
                }
        shown |= self.incentives.to_json(typed, path)
        return shown if self.stacks else shown | {"stacks_with_discounts": False}

    def _tiers(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        own = self.type == "bundle" and self.bundle_pick == "explicit"
        tiers = [
            tier.to_json(typed, f"{path}.tiers[{index}]", product_of, items=own)
            for index, tier in enumerate(self.tiers)
        ]
        named = {"tier_name": name} if (name := one_line(self.tier_name)) else {}
        return named | ({"tiers": tiers} if tiers else {})

    def _upsell(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        offer: dict[str, Any] = {"pick": self.upsell_pick}
        if (ratio := typed.decimal(self.max_price_ratio, f"{path}.max_price_ratio")) is not None:
            offer["max_price_ratio"] = ratio
        if self.upsell_pick != "explicit":
            return offer
        pairs: dict[str, str] = {}
        for base, target in _filled(self.pairs):
            if not (base and target):
                alone = worded("a pair needs both products; %(product)s stands alone", product=repr(base or target))
                typed.refuse(f"{path}.pairs", alone)
            elif product_of(base) in pairs:
                twice = worded("%(product)s leads to two products; keep one", product=repr(base))
                typed.refuse(f"{path}.pairs", twice)
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
