"""All that the define page shows beside its fields: errors, the checklist, previews, the past, who else is asked."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import request, url_for
from sqlalchemy import Connection

from experiments.definition import Definition, parse
from experiments.errors import Conflict, FieldError, Invalid
from experiments.layers import free_share
from experiments.metrics import BUILT_IN
from experiments.offers import MOST_STEPS, MOST_TIERS
from experiments.service import defining, layering
from experiments.service.library import with_saved
from experiments.service.measuring import with_metrics
from experiments.service.reviewing import review_state
from experiments.storage.database import reading
from experiments.storage.drafts import Draft
from experiments.storage.layers import holds
from experiments.storage.registry import Experiment
from experiments.storage.savedmetrics import saved_metrics
from experiments.storage.savedoffers import SavedOffer, saved_offers
from experiments.storage.storefronts import placements
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui import checklist, sentences
from webapp.ui.definition_form import NEW_PLACEMENT, DefinitionForm
from webapp.ui.experiments import known_experiments, the_view
from webapp.ui.forecasts import earlier_tests, forecast
from webapp.ui.form_errors import label, place
from webapp.ui.form_steps import show_blank_rows
from webapp.ui.learnings import said
from webapp.ui.overlaps import overlaps
from webapp.ui.person import here
from webapp.ui.previews import previews
from webapp.ui.products import listed, product_finder, product_of, without_cost
from webapp.ui.signed_links import preview_links
from webapp.ui.starting import TEMPLATES, similar
from webapp.ui.told import told
from webapp.ui.typed import equal_split
from webapp.ui.words import METRICS, metric_name


@dataclass
class Shown:
    """A form on its way to the page, and what happened to it."""

    form: DefinitionForm
    before: Experiment | None
    draft: Draft | None = None
    step: int = 0
    """The step of the guided way, 0 for the whole page."""
    checked: int = 0
    """Up to which step errors stand beside their fields: not before somebody asked, or has been there."""
    refused: Sequence[FieldError] = field(default_factory=list)
    conflict: str | None = None
    write_hypothesis: bool = False


def context(shown: Shown) -> dict[str, Any]:
    """What the template is given."""
    form, before, view, at = shown.form, shown.before, the_view(), now()
    value, errors = form.to_json(here().zone, product_of(view.catalogue), taken_keys() if before is None else ())
    with reading(the_lab().engine) as conn:
        known = known_experiments(conn)
        definition, broken = _parsed(conn, value)
        every = [*errors, *(e for e in [*broken, *shown.refused] if e not in errors)]
        if definition is not None and not every:
            every += _unstartable(conn, definition)
        slots = placements(conn, here().id)
        library, own = saved_offers(conn, here().id), saved_metrics(conn, here().id)
        past = forecast(conn, here(), value["placement"], definition, known, _daily(form), at)
        like = earlier_tests(conn, here(), definition, slots, at)
        review = review_state(conn, here().review, before) if before is not None else None
    if shown.write_hypothesis:
        named = {slot.key: slot.name for slot in slots}
        form.hypothesis = sentences.hypothesis(form, named.get(form.placement, form.new_placement))
    every = at_the_choice(every, form)
    unfinished = place(every, value)
    looks = previews(definition, view.catalogue, view.resolver, at) if definition else []
    others = overlaps(definition, known, own=before) if definition else []
    keys = form.variant_keys()
    show_blank_rows(form)
    items = checklist.blocking(unfinished)
    items += checklist.approval(review, required=here().review.required, address=_review_page(before))
    items += checklist.advice(definition, view.catalogue, looks, others, past) if definition else []
    return {
        "form": form,
        "before": before,
        "draft": shown.draft,
        "draft_version": _draft_version(shown),
        "step": min(shown.step, len(checklist.STEPS)),
        "steps": checklist.STEPS,
        "step_of": checklist.step_of,
        "conflict": shown.conflict,
        "variant_keys": keys,
        "control_index": keys.index("control") if "control" in keys else 0,
        "equal": equal_split(len(form.variants)),
        "errors": {
            where: messages
            for where, messages in place(at_the_choice([*errors, *broken, *shown.refused], form), value).items()
            if checklist.step_of(where) <= shown.checked
        },
        "unfinished": unfinished,
        "items": items,
        "previews": looks or None,
        "definition": definition,
        "overlaps": others,
        "forecast": past,
        "like": like,
        "like_said": said,
        "similar": similar(form, known) if before is None else [],
        "templates": TEMPLATES,
        "copies": known[:20] if before is None else [],
        "links": preview_links(before, at) if before is not None else [],
        "placements": slots,
        "new_placement": NEW_PLACEMENT,
        "layers": _layers(known),
        "holdout": here().policy.holdout,
        "metrics": list(dict.fromkeys([*METRICS, *BUILT_IN, *own])),
        "primary_choices": [(key, metric_name(key)) for key in dict.fromkeys([*METRICS, *BUILT_IN, *own])],
        "rule_said": form.rule.sentences(
            form.primary, form.sequential, form.monitoring, form.confidence, form.minimum_days
        ),
        "coverage": value["coverage"],
        "product": product_finder(view.catalogue),
        "products": listed([text for v in form.variants for text in v.offer.named()], view.catalogue),
        "library": {saved.key: saved for saved in library},
        "outdated": _outdated(before, {saved.key: saved for saved in library}),
        "most_tiers": MOST_TIERS,
        "most_steps": MOST_STEPS,
        "catalogue_size": len(view.catalogue),
        "without_cost": without_cost(view.catalogue),
    }


def _review_page(before: Experiment | None) -> str:
    return url_for("reviews.show", storefront=here().key, key=before.key) if before is not None else ""


def taken_keys() -> set[str]:
    """The keys that experiments have already."""
    with reading(the_lab().engine) as conn:
        return {e.key for e in known_experiments(conn)}


def _outdated(before: Experiment | None, library: Mapping[str, SavedOffer]) -> dict[str, str]:
    """By variant, the saved offer that has changed since the draft took it."""
    if before is None:
        return {}
    taken, variants = before.definition.saved_offers, before.definition.variants
    held = {variant.key: variant.offer for variant in variants}
    return {name: key for name, key in taken.items() if key in library and library[key].offer != held.get(name)}


def at_the_choice(errors: Iterable[FieldError], form: DefinitionForm) -> list[FieldError]:
    """What is wrong with a saved offer stands where it was chosen: its own fields are not shown."""
    moved = []
    for error in errors:
        within = re.match(r"variants\[(\d+)\]\.offer\b", error.field)
        if within and form.variants[int(within[1])].saved and not error.field.endswith(".offer.saved"):
            said = told(error.message) if error.field == within[0] else f"{label(error.field)}: {told(error.message)}"
            moved.append(FieldError(f"{within[0]}.saved", said))
        else:
            moved.append(error)
    return moved


def _draft_version(shown: Shown) -> int:
    """The version that this page knows: the one it was shown with, until it keeps another itself."""
    given = request.form.get("draft_version", type=int)
    if shown.conflict is not None and given is not None:
        return given
    return shown.draft.version if shown.draft is not None else 0


def _parsed(conn: Connection, value: Mapping[str, Any]) -> tuple[Definition | None, list[FieldError]]:
    try:
        taken = with_saved(conn, here().id, layering.with_part(conn, here(), value))
        return parse(with_metrics(conn, here().id, taken)), []
    except Invalid as refusal:
        return None, list(refusal.errors)
    except Conflict as refusal:  # the layer is full
        return None, [FieldError("layer.key", refusal.message)]


def _unstartable(conn: Connection, definition: Definition) -> list[FieldError]:
    """Why it could not start at this moment, though it can be saved."""
    try:
        defining.check_startable(conn, here(), definition, now())
    except Invalid as refusal:
        return list(refusal.errors)
    except Conflict as refusal:
        return [FieldError("layer.key", refusal.message)]
    return []


def _daily(form: DefinitionForm) -> float | None:
    text = form.daily_units.strip().replace(",", "").replace(" ", "")
    return float(text) if text.isdecimal() and 0 < int(text) < 10**9 else None


def _layers(known: Sequence[Experiment]) -> list[tuple[str, str, int]]:
    """Each layer's key and name, and how much of it is free, in hundredths of a percent."""
    taken = holds(known)
    return [(layer.key, layer.name, free_share(taken.get(layer.key, ()))) for layer in the_view().layers.values()]
