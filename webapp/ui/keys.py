"""Keys: which there are, a new one, one withdrawn. Admins only."""

from typing import cast, get_args

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from experiments.errors import Invalid
from experiments.service.settings import create_key, withdraw_key
from experiments.storage.database import reading, writing
from experiments.storage.keys import KeyKind, live_keys
from webapp.clock import now
from webapp.lab import new_token, the_lab
from webapp.ui.person import actor, here, page

blueprint = Blueprint("keys", __name__, url_prefix="/s/<storefront>/keys")

KINDS: dict[KeyKind, str] = {
    "public": _("For the shop's pages: assigns and records. May be seen by anybody."),
    "secret": _("For the shop's servers: assigns and records. Keep it out of pages."),
    "admin": _("For programs that define and steer experiments. Keep it out of pages."),
}
KIND_NAMES: dict[KeyKind, str] = {"public": _("Public"), "secret": _("Secret"), "admin": _("Admin")}


@blueprint.get("/")
@page("admin")
def listing() -> ResponseReturnValue:
    """The live keys, by their last letters."""
    return _show()


@blueprint.post("/")
@page("admin")
def create() -> ResponseReturnValue:
    """A new key, shown on this answer and never again."""
    kind = request.form.get("kind", "")
    if kind not in get_args(KeyKind):
        raise Invalid.at("kind", f"must be one of {', '.join(get_args(KeyKind))}")
    lab = the_lab()
    with writing(lab.engine) as conn:
        key = create_key(conn, here().id, cast("KeyKind", kind), new_token(), now(), actor())
    lab.snapshots.refresh(now())
    answer = make_response(_show(key), 201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/<int:key_id>/revoke")
@page("admin")
def revoke(key_id: int) -> ResponseReturnValue:
    """Withdraw a key: from now on it opens nothing."""
    lab = the_lab()
    with writing(lab.engine) as conn:
        withdraw_key(conn, here().id, key_id, now(), actor())
    lab.snapshots.refresh(now())
    flash(gettext("The key is revoked. It opens nothing any more."), "success")
    return redirect(url_for("keys.listing", storefront=here().key))


def _show(made: str | None = None) -> str:
    with reading(the_lab().engine) as conn:
        known = [key for key in live_keys(conn) if key.storefront_id == here().id]
    return render_template("keys.html", keys=known, kinds=KINDS, kind_names=KIND_NAMES, made=made)
