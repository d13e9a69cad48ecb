"""Layers: which experiments never share a visitor, who holds which part, and what is free."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.errors import Conflict, Invalid
from experiments.service.layering import create_layer, layers_json
from experiments.storage.database import reading, writing
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import actor, here, page
from webapp.ui.told import told

blueprint = Blueprint("layers", __name__, url_prefix="/s/<storefront>/settings/layers")


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every layer, with its parts drawn."""
    return _show()


@blueprint.post("/")
@page("editor")
def create() -> ResponseReturnValue:
    """A new layer, all of it free."""
    typed = {name: request.form.get(name, "").strip() for name in ("key", "name", "unit")}
    lab = the_lab()
    try:
        with writing(lab.engine) as conn:
            made = create_layer(conn, here(), typed, actor(), now())
    except Invalid as refusal:
        return _show(place(refusal.errors, {})), 422
    except Conflict as refusal:
        return _show({"key": [told(refusal.message)]}), 409
    lab.snapshots.refresh(now())
    flash(gettext("%(key)s is a layer now, all of it free.", key=made.key), "success")
    return redirect(url_for("layers.listing", storefront=here().key))


def _show(errors: Errors | None = None) -> str:
    with reading(the_lab().engine) as conn:
        shown = layers_json(conn, here())
    return render_template("settings/layers.html", layers=shown, errors=errors or {}, form=request.form)
