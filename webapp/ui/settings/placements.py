"""Placements: the slots of the shop where offers stand, the rules of each, and its kill switch."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.errors import Conflict, Invalid
from experiments.service.settings import create_placement, edit_placement
from experiments.service.snapshot import in_order
from experiments.shape import convert
from experiments.storage.database import reading, writing
from experiments.storage.registry import experiments
from experiments.storage.storefronts import placements
from experiments.touchpoints import TOUCHPOINTS
from webapp.api.traffic import PlacementInput
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import actor, here, page
from webapp.ui.told import told

blueprint = Blueprint("placements", __name__, url_prefix="/s/<storefront>/settings/placements")


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every slot, with the experiments that are asked there, in their order."""
    return _show()


@blueprint.post("/")
@page("editor")
def create() -> ResponseReturnValue:
    """A new slot."""
    typed = {name: request.form.get(name, "").strip() for name in ("key", "name")}
    lab = the_lab()
    try:
        given = convert(typed | {"touchpoint": request.form.get("touchpoint") or None}, PlacementInput)
        with writing(lab.engine) as conn:
            create_placement(conn, here().id, given.key, given.name, given.touchpoint, now(), actor())
    except Invalid as refusal:
        return _show(place(refusal.errors, {})), 422
    except Conflict as refusal:
        return _show({"key": [told(refusal.message)]}), 409
    lab.snapshots.refresh(now())
    flash(gettext("%(key)s is a placement now. Experiments can be defined for it.", key=given.key), "success")
    return redirect(url_for("placements.listing", storefront=here().key))


@blueprint.post("/<key>")
@page("editor")
def change(key: str) -> ResponseReturnValue:
    """Its name, its touchpoint, or its kill switch."""
    lab, form = the_lab(), request.form
    if "paused" in form:
        changes = {"paused": form["paused"] == "yes"}
        said = gettext("Everyone sees no offer there now.") if changes["paused"] else gettext("Offers are shown again.")
    else:
        changes = {"name": form.get("name", "").strip(), "touchpoint": form.get("touchpoint") or None}  # type: ignore[dict-item]  # a change is of any kind
        said = gettext("Saved.")
    try:
        with writing(lab.engine) as conn:
            edit_placement(conn, here().id, key, changes, actor(), now())
    except Invalid as refusal:
        return _show({f"{key}.{name}": messages for name, messages in place(refusal.errors, {}).items()}), 422
    except Conflict as refusal:
        return _show({f"{key}.touchpoint": [told(refusal.message)]}), 409
    lab.snapshots.refresh(now())
    flash(said, "success")
    return redirect(url_for("placements.listing", storefront=here().key))


def _show(errors: Errors | None = None) -> str:
    with reading(the_lab().engine) as conn:
        found = placements(conn, here().id)
        rules = in_order(experiments(conn, here().id))
    by_placement = {p.key: [e for e in rules if e.definition.placement == p.key] for p in found}
    return render_template(
        "settings/placements.html", placements=found, rules=by_placement, errors=errors or {}, touchpoints=TOUCHPOINTS,
        form=request.form,
    )  # fmt: skip
