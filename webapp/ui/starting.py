"""Where a new experiment starts from: nothing, a template, or a copy of another one; and what was tried before."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec
from flask_babel import lazy_gettext as _

from experiments.definition import Schedule
from experiments.storage.registry import Experiment
from experiments.storage.savedoffers import SavedOffer
from webapp.ui.definition_form import DefinitionForm
from webapp.ui.offer_form import OfferForm
from webapp.ui.variant_form import VariantForm

SIMILAR = 3
"""How many past experiments are shown."""


def _control() -> VariantForm:
    return VariantForm(key="control", name="No offer")


def _bundle() -> VariantForm:
    return VariantForm(key="bundle", name="Bundle", offer=OfferForm(type="bundle", discount="10"))


def _upsell() -> VariantForm:
    return VariantForm(key="upsell", name="Upsell", offer=OfferForm(type="upsell", max_price_ratio="1.5"))


def _cross_sell(pick: str = "explicit") -> VariantForm:
    offer = OfferForm(type="cross_sell", cross_sell_pick=pick)
    return VariantForm(key="cross-sell", name="Cross-sell", offer=offer)


TEMPLATES: Mapping[str, tuple[str, str, Callable[[], list[VariantForm]]]] = {
    "": (_("One bundle"), _("No offer against a bundle with a discount."), lambda: [_control(), _bundle()]),
    "four": (
        _("All four offer types"),
        _("No offer, upsell, cross-sell and bundle, side by side."),
        lambda: [_control(), _upsell(), _cross_sell(), _bundle()],
    ),
    "upsell": (_("Upsell"), _("No offer against the next dearer product."), lambda: [_control(), _upsell()]),
    "bought_together": (
        _("Bought together"),
        _("No offer against what past orders show together: nothing to choose by hand."),
        lambda: [_control(), _cross_sell("bought_together")],
    ),
    "blank": (
        _("Blank"),
        _("No offer against one that is still to be chosen."),
        lambda: [_control(), VariantForm(offer=OfferForm(type="bundle"))],
    ),
    "same": (
        _("Nothing against nothing"),
        _("A switch-over test: both groups see no offer, so that no effect should be found."),
        lambda: [_control(), VariantForm(key="nothing", name="No offer either")],
    ),
}
"""By key: the name, what it compares, and its variants."""


def starting_point(name: str) -> DefinitionForm:
    """A new form from a template; from the first one where there is none of that name."""
    return DefinitionForm(variants=TEMPLATES.get(name, TEMPLATES[""])[2]())


def starting_with(saved: SavedOffer, zone: ZoneInfo) -> DefinitionForm:
    """A new form of no offer against a saved one."""
    taken = VariantForm(key=saved.key, name=saved.name, saved=saved.key, offer=OfferForm.of(saved.offer, zone))
    if saved.key == "control":
        taken.key = ""
    return DefinitionForm(variants=[_control(), taken])


def copy_of(experiment: Experiment, zone: ZoneInfo, library: Collection[str]) -> DefinitionForm:
    """A new form with everything of another experiment but its key and its dates.

    What it took from the library it takes again; where that is not there any more, the offer becomes its own.
    """
    definition = experiment.definition
    taken = {variant: key for variant, key in definition.saved_offers.items() if key in library}
    form = DefinitionForm.of(msgspec.structs.replace(definition, schedule=Schedule(), saved_offers=taken), zone)
    return replace(form, key="", name=f"{form.name} (2)"[:200])


def similar(form: DefinitionForm, known: Iterable[Experiment]) -> list[Experiment]:
    """Ended experiments most like this one: of its placement, with its offer types; the latest first."""
    types = {v.offer.type for v in form.variants} - {"none"}

    def likeness(experiment: Experiment) -> tuple[bool, int, int]:
        offered = {str(v.offer.__struct_config__.tag) for v in experiment.definition.variants}
        return experiment.definition.placement == form.placement, len(types & offered), experiment.stopped_at or 0

    ended = [e for e in known if e.stopped_at is not None and likeness(e)[:2] != (False, 0)]
    return sorted(ended, key=likeness, reverse=True)[:SIMILAR]
