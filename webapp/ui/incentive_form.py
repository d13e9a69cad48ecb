"""What makes an offer worth taking beside its price, as texts: free shipping, instalments, social proof."""

from dataclasses import dataclass, fields
from typing import Any

from werkzeug.datastructures import MultiDict

from experiments.incentives import SocialProof
from experiments.offers import Bundle, CrossSell, Upsell
from experiments.wording import worded
from webapp.ui.typed import Typed, one_line


@dataclass
class IncentiveForm:
    """The fields as texts; empty is none of it."""

    free_shipping_over: str = ""
    instalments_count: str = ""
    instalments_text: str = ""
    proof_days: str = ""
    proof_minimum: str = ""

    @property
    def any(self) -> bool:
        """Whether anything was filled in."""
        return any(getattr(self, part.name) for part in fields(self) if part.name != "proof_minimum")

    @classmethod
    def read(cls, given: MultiDict[str, str], prefix: str) -> "IncentiveForm":
        """As the browser sent it."""
        return cls(**{part.name: given.get(f"{prefix}{part.name}", "") for part in fields(cls)})

    @classmethod
    def of(cls, offer: Upsell | CrossSell | Bundle) -> "IncentiveForm":
        """From a definition."""
        form = cls()
        if offer.free_shipping_over is not None:
            form.free_shipping_over = str(offer.free_shipping_over)
        if offer.instalments is not None:
            form.instalments_count, form.instalments_text = str(offer.instalments.count), offer.instalments.text
        if offer.social_proof is not None:
            form.proof_days, form.proof_minimum = str(offer.social_proof.days), str(offer.social_proof.minimum)
        return form

    def to_json(self, typed: Typed, path: str) -> dict[str, Any]:
        """As the definition's JSON; what is empty is left out."""
        told: dict[str, Any] = {}
        if (value := typed.decimal(self.free_shipping_over, f"{path}.free_shipping_over")) is not None:
            told["free_shipping_over"] = value
        text = one_line(self.instalments_text)
        if self.instalments_count.strip():
            count = typed.whole(self.instalments_count, f"{path}.instalments.count", 2)
            told["instalments"] = {"count": count} | ({"text": text} if text else {})
        elif text:
            typed.refuse(f"{path}.instalments.count", worded("say in how many parts"))
        if self.proof_days:
            least = typed.whole(self.proof_minimum, f"{path}.social_proof.minimum", SocialProof().minimum)
            days = typed.whole(self.proof_days, f"{path}.social_proof.days", SocialProof().days)
            told["social_proof"] = {"days": days, "minimum": least}
        return told
