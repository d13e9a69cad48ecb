"""Saved offers: an offer filled in once and taken by the variants of many experiments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.definition import WHOLE, Variant
from experiments.errors import Conflict, FieldError, Invalid
from experiments.offers import MOST_STEPS, MOST_TIERS, products_named
from experiments.service import library
from experiments.service.library import UNSTARTED, Use
from experiments.storage.database import reading, writing
from experiments.storage.savedoffers import SavedKind, SavedOffer, get_saved_offer, saved_offers
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.definition_form import free_key, slug
from webapp.ui.experiments import the_view
from webapp.ui.form_errors import place
from webapp.ui.form_steps import step_in_offers
from webapp.ui.offer_form import OfferForm
from webapp.ui.offer_steps import show_blank_rows
from webapp.ui.person import actor, here, page
from webapp.ui.previews import preview
from webapp.ui.products import listed, product_finder, product_of
from webapp.ui.told import told
from webapp.ui.typed import Typed
from webapp.ui.unshown import as_held

blueprint = Blueprint("saved_offers", __name__, url_prefix="/s/<storefront>/settings/offers")


@dataclass
class SavedOfferForm:
    """A saved offer's fields as texts, and what happened to them on the way to the page."""

    key: str = ""
    name: str = ""
    offer: OfferForm = field(default_factory=lambda: OfferForm(type="bundle", discount="10"))
    errors: Sequence[FieldError] = ()
    conflict: str = ""


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every saved offer: what it is, what it costs, who shows it."""
    with reading(the_lab().engine) as conn:
        found = saved_offers(conn, here().id)
        used = library.uses(conn, here().id, {saved.key: saved for saved in found})
    named = {saved.key: _named(saved) for saved in found}
    return render_template("settings/offers.html", offers=found, used=used, named=named)


@blueprint.route("/new", methods=["GET", "POST"])
@page("editor")
def new() -> ResponseReturnValue:
    """Save an offer."""
    return _answer(None) if request.method == "POST" else _show(SavedOfferForm(), None)


@blueprint.get("/<key>")
@page()
def edit(key: str) -> ResponseReturnValue:
    """One saved offer, with who took it."""
    with reading(the_lab().engine) as conn:
        before = get_saved_offer(conn, here().id, key)
    return _show(SavedOfferForm(before.key, before.name, OfferForm.of(before.offer, here().zone)), before)


@blueprint.post("/<key>")
@page("editor")
def change(key: str) -> ResponseReturnValue:
    """Its next version."""
    with reading(the_lab().engine) as conn:
        before = get_saved_offer(conn, here().id, key)
    return _answer(before)


@blueprint.post("/<key>/remove")
@page("editor")
def remove(key: str) -> ResponseReturnValue:
    """Take it out of the library; what has started keeps it."""
    try:
        with writing(the_lab().engine) as conn:
            library.remove_offer(conn, here().id, key, actor(), now())
    except Conflict as refusal:
        flash(told(refusal.message), "danger")
        return redirect(url_for("saved_offers.edit", storefront=here().key, key=key))
    flash(gettext("Removed. What has started keeps the offer as it was."), "success")
    return redirect(url_for("saved_offers.listing", storefront=here().key))


def _answer(before: SavedOffer | None) -> ResponseReturnValue:
    given, do = request.form, request.form.get("do", "check")
    form = SavedOfferForm(
        given.get("key", "") if before is None else before.key, given.get("name", ""), OfferForm.read(given, "o-")
    )
    if step_in_offers([form.offer], do):
        return _show(form, before)
    value, errors = _value(form, before)
    form.errors = [] if do == "keep" else [*errors, *_read(value)[1]]
    if do not in {"save", "overwrite"}:
        return _show(form, before)
    if form.errors:
        return _show(form, before), 422
    try:
        saved = _saved(value, before, overwrite=do == "overwrite")
    except Conflict as refusal:
        if refusal.code == "edited_meanwhile":
            form.conflict = gettext("Somebody else saved this while you were typing.")
        else:
            form.errors = [FieldError("key", refusal.message)]
        return _show(form, before), 409
    flash(gettext("Saved, as version %(number)s.", number=saved.version), "success")
    return redirect(url_for("saved_offers.listing", storefront=here().key))


def _saved(value: Mapping[str, Any], before: SavedOffer | None, *, overwrite: bool) -> SavedOffer:
    with writing(the_lab().engine) as conn:
        if before is None:
            return library.save_offer(conn, here().id, value, actor(), now())
        version = {} if overwrite else {"version": request.form.get("version", type=int) or 0}
        return library.change_offer(conn, here().id, before.key, {**value, **version}, actor(), now())


def _named(saved: SavedOffer) -> list[str]:
    """The products that it names, as people call them."""
    catalogue = the_view().catalogue
    ids = dict.fromkeys(product_id for _, product_id in products_named(saved.offer))
    return [product.title if (product := catalogue.get(product_id)) else product_id for product_id in ids]


def _value(form: SavedOfferForm, before: SavedOffer | None) -> tuple[dict[str, Any], list[FieldError]]:
    """As the API writes it, and what could not be read; untouched fields stay exactly as they were."""
    typed, product_id = Typed(here().zone), product_of(the_view().catalogue)
    offer: Any = form.offer.to_json(typed, "offer", product_id)
    key, name = form.key.strip(), form.name.strip()
    if before is None:
        if not name and not key:
            typed.refuse("name", "is needed: lists and variants show it")
        with reading(the_lab().engine) as conn:
            taken = {saved.key for saved in saved_offers(conn, here().id)}
        key = key or free_key(slug(name) or "offer", taken)
    else:
        shown = OfferForm.of(before.offer, here().zone).to_json(Typed(here().zone), "offer", product_id)
        offer = as_held(offer, msgspec.to_builtins(before.offer), shown)
    return {"key": key, "name": name, "offer": offer}, typed.errors


def _read(value: Mapping[str, Any]) -> tuple[SavedKind | None, list[FieldError]]:
    """The offer, or every rule that keeps it from being one."""
    try:
        return library.checked(value).offer, []
    except Invalid as refusal:
        return None, list(refusal.errors)


def _show(form: SavedOfferForm, before: SavedOffer | None) -> str:
    view = the_view()
    value, errors = _value(form, before)
    uses: list[Use] = []
    if before is not None:
        with reading(the_lab().engine) as conn:
            uses = library.uses(conn, here().id, {before.key: before})[before.key]
    offer, _ = _read(value)
    complete = None if errors or offer is None else Variant("offer", WHOLE, offer)
    show_blank_rows(form.offer)
    return render_template(
        "settings/offer.html",
        form=form,
        before=before,
        uses=uses,
        unstarted=UNSTARTED,
        preview=preview(complete, view.catalogue, view.resolver, now()) if complete else None,
        errors=place(form.errors, {}),
        saving=True,
        most_tiers=MOST_TIERS,
        most_steps=MOST_STEPS,
        product=product_finder(view.catalogue),
        products=listed(form.offer.named(), view.catalogue),
        catalogue_size=len(view.catalogue),
    )
