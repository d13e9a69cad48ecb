"""The define page: a new experiment, or a draft's next version. Saving never starts anything."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from experiments.catalogue import Catalogue, Product
from experiments.definition import Definition, parse, to_json
from experiments.errors import Conflict, FieldError, Invalid
from experiments.lifecycle import after
from experiments.metrics import BUILT_IN
from experiments.service import defining, settings
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments, get_experiment
from experiments.storage.storefronts import placements
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.definition_form import NEW_PLACEMENT, DefinitionForm, free_key
from webapp.ui.experiments import the_view
from webapp.ui.form_errors import place
from webapp.ui.form_steps import show_blank_rows, starting_point, take
from webapp.ui.person import actor, here, page
from webapp.ui.previews import previews
from webapp.ui.typed import equal_split
from webapp.ui.variant_form import ProductOf
from webapp.ui.words import METRICS, metric_name

blueprint = Blueprint("define", __name__, url_prefix="/s/<storefront>/experiments")

LISTED_PRODUCTS = 400
"""A catalogue up to this size is offered whole in every product field; a larger one is searched."""


@blueprint.route("/new", methods=["GET", "POST"])
@page("editor")
def new() -> ResponseReturnValue:
    """Define an experiment."""
    if request.method == "GET":
        return _show(starting_point(request.args.get("from", "")), None)
    return _answer(DefinitionForm.read(request.form), None)


@blueprint.route("/<key>/edit", methods=["GET", "POST"])
@page("editor")
def edit(key: str) -> ResponseReturnValue:
    """Change a draft."""
    with reading(the_lab().engine) as conn:
        before = get_experiment(conn, here().id, key)
    after(before.state, "edit")
    if request.method == "GET":
        return _show(DefinitionForm.of(before.definition, here().zone), before)
    return _answer(DefinitionForm.read(request.form), before)


def _answer(form: DefinitionForm, before: Experiment | None) -> ResponseReturnValue:
    step = request.form.get("do", "check")
    if take(form, step):
        return _show(form, before)
    if before is not None:
        form.key = before.key
    value, errors = form.to_json(here().zone, product_of(the_view().catalogue), _taken() if before is None else ())
    if step not in {"save", "overwrite"}:
        return _show(form, before, checked=True)
    conflict = None
    if not errors:
        try:
            saved = _save(form, value, before, overwrite=step == "overwrite")
        except Invalid as refusal:
            errors = list(refusal.errors)
        except Conflict as refusal:
            if refusal.code == "key_taken":
                errors = [FieldError("key", f"is taken: {free_key(value['key'], _taken())!r} is free")]
            else:
                conflict = refusal.message
        else:
            flash("Saved as a draft. Visitors see nothing of it until you start it.", "success")
            return redirect(url_for("experiments.detail", storefront=here().key, key=saved.key))
    return _show(form, before, checked=True, refused=errors, conflict=conflict), 409 if conflict else 422


def _save(form: DefinitionForm, value: Mapping[str, Any], before: Experiment | None, *, overwrite: bool) -> Experiment:
    lab, at = the_lab(), now()
    with writing(lab.engine) as conn:
        if form.placement == NEW_PLACEMENT and all(p.key != value["placement"] for p in placements(conn, here().id)):
            touchpoint = form.touchpoint or None
            settings.create_placement(conn, here().id, value["placement"], "", touchpoint, at, actor())
        if before is None:
            saved = defining.create(conn, here(), value, actor(), at)
        else:
            held = get_experiment(conn, here().id, before.key)
            if not overwrite and request.form.get("version") != str(held.version):
                raise Conflict("edited_meanwhile", "Somebody else saved this draft while you were typing.")
            saved = defining.edit(conn, here(), before.key, _with_what_no_form_shows(value, held), actor(), at)
    lab.snapshots.refresh(now())
    return saved


def _with_what_no_form_shows(value: Mapping[str, Any], held: Experiment) -> dict[str, Any]:
    """The form's values with the ramp and the allow-list that were written over the API: saving must not lose them."""
    kept = to_json(held.definition)
    schedule = {**value["schedule"], "ramp": kept["schedule"]["ramp"]}
    return {**value, "schedule": schedule, "allow_list": kept["allow_list"]}


def _show(
    form: DefinitionForm,
    before: Experiment | None,
    *,
    checked: bool = False,
    refused: list[FieldError] | None = None,
    conflict: str | None = None,
) -> str:
    view, at = the_view(), now()
    value, errors = form.to_json(here().zone, product_of(view.catalogue), _taken() if before is None else ())
    definition, broken = _parsed(value)
    every = [*errors, *(e for e in [*broken, *(refused or [])] if e not in errors)]
    with reading(the_lab().engine) as conn:
        slots = placements(conn, here().id)
    keys = form.variant_keys()
    show_blank_rows(form)
    products = list(view.catalogue)
    return render_template(
        "define.html",
        form=form,
        before=before,
        variant_keys=keys,
        equal=equal_split(len(form.variants)),
        errors=place(every, value) if checked else {},
        unfinished=place(every, value),
        conflict=conflict,
        previews=previews(definition, view.catalogue, view.resolver, at) if definition else None,
        placements=slots,
        new_placement=NEW_PLACEMENT,
        metrics=list(dict.fromkeys([*METRICS, *BUILT_IN])),
        primary_choices=[(key, metric_name(key)) for key in dict.fromkeys([*METRICS, *BUILT_IN])],
        coverage=value["coverage"],
        product=product_finder(view.catalogue),
        products=products if len(products) <= LISTED_PRODUCTS else _mentioned(form, view.catalogue),
        catalogue_size=len(products),
        without_cost=sum(p.cost is None for p in products),
    )


def _parsed(value: Mapping[str, Any]) -> tuple[Definition | None, list[FieldError]]:
    try:
        return parse(value), []
    except Invalid as refusal:
        return None, list(refusal.errors)


def _taken() -> set[str]:
    with reading(the_lab().engine) as conn:
        return {e.key for e in experiments(conn, here().id)}


def product_finder(catalogue: Catalogue) -> Callable[[str], Product | None]:
    """A function from what was typed, an id or an exact title, to the product meant."""
    by_title: dict[str, Product | None] = {}
    for product in catalogue:
        title = product.title.casefold()
        by_title[title] = None if title in by_title else product  # two of one title: only the id can tell

    def find(typed: str) -> Product | None:
        cleaned = typed.strip()
        return catalogue.get(cleaned) or by_title.get(cleaned.casefold())

    return find


def product_of(catalogue: Catalogue) -> ProductOf:
    """A function from what was typed to a product id; what is not found stays as it was typed."""
    find = product_finder(catalogue)

    def product_id(typed: str) -> str:
        found = find(typed)
        return found.product_id if found is not None else typed

    return product_id


def _mentioned(form: DefinitionForm, catalogue: Catalogue) -> list[Product]:
    named = [text for v in form.variants for text in (*v.items, *(t for pair in [*v.pairs, *v.products] for t in pair))]
    return [product for text in dict.fromkeys(named) if (product := catalogue.get(text)) is not None]
