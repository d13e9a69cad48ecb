"""Adding and removing in an offer's fields: rows of products, tiers, and what comes next."""

from collections.abc import Sequence

from experiments.offers import MOST_STEPS, MOST_TIERS, STEPS
from webapp.ui.offer_form import OfferForm
from webapp.ui.tier_form import TierForm

ROWS = ("items", "pairs", "products")
PARTS = (*ROWS, "tiers", *STEPS)
"""What a step can add to an offer or take from it."""
_FEWEST_ROWS = 2


def add(offer: OfferForm, where: Sequence[str], what: str) -> bool:
    """One more of it where the path leads (`if_declined`, `tiers`, `0`); whether there was such a place."""
    found = _find(offer, where)
    if isinstance(found, TierForm):
        if what == "items":
            found.items.append("")
        return what == "items"
    if what in ROWS:
        getattr(found, what).append("" if what == "items" else ("", ""))
    elif what == "tiers" and len(found.tiers) < MOST_TIERS:
        found.tiers.append(TierForm())
    elif what in STEPS and what not in found.steps and may_lead_on(where):
        # a downsell is something smaller: one product rather than a set
        found.steps[what] = OfferForm(type="cross_sell")
    else:
        return False
    return True


def remove(offer: OfferForm, where: Sequence[str], what: str, row: int | None) -> bool:
    """One less of it; whether there was such a place. IndexError, KeyError where there is no such row."""
    found = _find(offer, where)
    if what in STEPS and isinstance(found, OfferForm):
        del found.steps[what]
    elif row is None or not (what == "items" or (what in (*ROWS, "tiers") and isinstance(found, OfferForm))):
        return False
    else:
        del getattr(found, what)[row]
    return True


def may_lead_on(where: Sequence[str]) -> bool:
    """Whether another offer may come after the one at this path."""
    return len(where) < MOST_STEPS - 1


def show_blank_rows(offer: OfferForm) -> None:
    """Give every list enough empty rows to start typing in."""
    for rows in (offer.items, *(tier.items for tier in offer.tiers)):
        rows.extend([""] * (_FEWEST_ROWS - len(rows)))
    offer.pairs = offer.pairs or [("", "")]
    offer.products = offer.products or [("", "")]
    for step in offer.steps.values():
        show_blank_rows(step)


def _find(offer: OfferForm, where: Sequence[str]) -> OfferForm | TierForm:
    """What stands at the path; KeyError or IndexError where nothing does."""
    if not where:
        return offer
    first, *rest = where
    if first == "tiers" and len(rest) == 1:
        return offer.tiers[int(rest[0])]
    return _find(offer.steps[first], rest)
