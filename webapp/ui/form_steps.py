"""Adding and removing on the define page: each button is a step that the server takes, so that no script is needed."""

import re
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from experiments.offers import STEPS
from experiments.storage.savedoffers import SavedOffer
from webapp.ui import offer_steps
from webapp.ui.definition_form import DefinitionForm
from webapp.ui.offer_form import OfferForm
from webapp.ui.targeting_rows import Row
from webapp.ui.variant_form import VariantForm

_MOST_VARIANTS = 20
_STEP = re.compile(
    rf"(?P<verb>add|remove):(?P<what>{'|'.join(offer_steps.PARTS)})"
    rf":(?P<where>[0-9]{{1,3}}(\.({'|'.join(STEPS)}))*(\.tiers\.[0-9]{{1,3}})?)(:(?P<row>[0-9]{{1,3}}))?"
)


def take(form: DefinitionForm, step: str) -> bool:
    """Take a step such as `add:items:1` or `remove:variant:2`; whether there was such a step to take."""
    if step_in_offers([variant.offer for variant in form.variants], step):
        return True
    verb, _, rest = step.partition(":")
    what, *at = rest.split(":")
    if verb not in {"add", "remove"} or not all(part.isdecimal() and len(part) < 4 for part in at):
        return False
    try:
        return _add(form, what) if verb == "add" else _remove(form, what, int(at[0]))
    except (IndexError, ValueError):
        return False


def step_in_offers(offers: Sequence[OfferForm], step: str) -> bool:
    """Take a step within one of the offers, such as `add:tiers:1` or `remove:items:1.if_declined.tiers.0:2`.

    After what is added or removed comes where: the offer's number and the path within it; then the row.
    """
    found = _STEP.fullmatch(step)
    if found is None:
        return False
    try:
        number, *where = found["where"].split(".")
        offer = offers[int(number)]
        if found["verb"] == "add":
            return offer_steps.add(offer, where, found["what"])
        return offer_steps.remove(offer, where, found["what"], int(found["row"]) if found["row"] else None)
    except (IndexError, KeyError):
        return False


def copy_saved(form: DefinitionForm, step: str, library: Mapping[str, SavedOffer], zone: ZoneInfo) -> bool:
    """Take a step such as `copy:saved:1`: the variant goes on with the saved offer's texts as its own."""
    found = re.fullmatch(r"copy:saved:([0-9]{1,3})", step)
    if found is None or int(found[1]) >= len(form.variants):
        return False
    variant = form.variants[int(found[1])]
    if variant.saved in library:
        variant.offer = OfferForm.of(library[variant.saved].offer, zone)
    variant.saved = ""
    return True


def show_blank_rows(form: DefinitionForm) -> None:
    """Give every list enough empty rows to start typing in."""
    for variant in form.variants:
        offer_steps.show_blank_rows(variant.offer)
    form.targeting = form.targeting or [Row()]
    form.ramp = form.ramp or [("", "")]


def _add(form: DefinitionForm, what: str) -> bool:
    if what == "variant" and len(form.variants) < _MOST_VARIANTS:
        form.variants.append(VariantForm(offer=OfferForm(type="bundle")))
    elif what == "condition":
        form.targeting.append(Row())
    elif what == "ramp":
        form.ramp.append(("", ""))
    else:
        return False
    return True


def _remove(form: DefinitionForm, what: str, row: int) -> bool:
    if what == "variant":
        del form.variants[row]
    elif what == "condition":
        del form.targeting[row]
    elif what == "ramp":
        del form.ramp[row]
    else:
        return False
    return True
