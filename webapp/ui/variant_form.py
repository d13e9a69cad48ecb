"""One variant as the define page holds it: its name, its weight, and its own offer or a saved one."""

from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from experiments.definition import Variant
from webapp.ui.offer_form import OfferForm
from webapp.ui.products import ProductOf
from webapp.ui.typed import Typed, percent_text


@dataclass
class VariantForm:
    """A variant's fields as texts; with `saved`, the key of a saved offer, that one is taken in place of its own."""

    key: str = ""
    name: str = ""
    weight: str = ""
    saved: str = ""
    offer: OfferForm = field(default_factory=OfferForm)

    @classmethod
    def read(cls, given: MultiDict[str, str], prefix: str) -> "VariantForm":
        """As the browser sent it."""
        key, name, weight, saved = (given.get(f"{prefix}{part}", "") for part in ("key", "name", "weight", "saved"))
        return cls(key, name, weight, saved, OfferForm.read(given, prefix))

    @classmethod
    def of(cls, variant: Variant, zone: ZoneInfo, saved: str = "") -> "VariantForm":
        """From a definition; of a saved offer its texts are there too, to go on with as its own."""
        offer = OfferForm.of(variant.offer, zone)
        return cls(variant.key, variant.name, percent_text(variant.weight), saved, offer)

    def to_json(self, typed: Typed, path: str, product_of: ProductOf) -> dict[str, Any]:
        """What it shows as the definition's JSON."""
        return {"saved": self.saved} if self.saved else self.offer.to_json(typed, path, product_of)
