"""The define page: a new experiment, or a draft's next version. Saving never starts anything."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from experiments.definition import to_json
from experiments.errors import Conflict, FieldError, Invalid
from experiments.lifecycle import after
from experiments.service import defining, drafting, settings
from experiments.storage.database import reading, writing
from experiments.storage.drafts import get_draft
from experiments.storage.registry import Experiment, get_experiment
from experiments.storage.savedoffers import get_saved_offer, saved_offers
from experiments.storage.storefronts import placements
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.checklist import STEPS
from webapp.ui.define_page import Shown, context, taken_keys
from webapp.ui.definition_form import NEW_PLACEMENT, DefinitionForm, free_key
from webapp.ui.experiments import the_view
from webapp.ui.form_steps import copy_saved, take
from webapp.ui.kept import discard_kept, finish_kept, form_of, held, keep
from webapp.ui.person import actor, here, page
from webapp.ui.products import product_of
from webapp.ui.starting import copy_of, starting_point, starting_with
from webapp.ui.told import told
from webapp.ui.unshown import with_unshown

blueprint = Blueprint("define", __name__, url_prefix="/s/<storefront>/experiments")


@blueprint.route("/new", methods=["GET", "POST"])
@page("editor")
def new() -> ResponseReturnValue:
    """Define an experiment."""
    if request.method == "POST":
        return _answer(DefinitionForm.read(request.form), None)
    number, copied = request.args.get("draft", type=int), request.args.get("copy")
    if number is not None:
        with reading(the_lab().engine) as conn:
            kept = get_draft(conn, here().id, number)
        return _show(Shown(form_of(kept), None, draft=kept, checked=len(STEPS)))
    if copied:
        with reading(the_lab().engine) as conn:
            original = get_experiment(conn, here().id, copied)
            library = {saved.key for saved in saved_offers(conn, here().id)}
        return _show(Shown(copy_of(original, here().zone, library), None))
    if taken := request.args.get("offer"):
        with reading(the_lab().engine) as conn:
            saved = get_saved_offer(conn, here().id, taken)
        return _show(Shown(starting_with(saved, here().zone), None, step=_first_step()))
    return _show(Shown(starting_point(request.args.get("from", "")), None, step=_first_step()))


@blueprint.route("/<key>/edit", methods=["GET", "POST"])
@page("editor")
def edit(key: str) -> ResponseReturnValue:
    """Change a draft."""
    with reading(the_lab().engine) as conn:
        before = get_experiment(conn, here().id, key)
        kept = drafting.unfinished(conn, here(), None, key)
    after(before.state, "edit")
    if request.method == "POST":
        return _answer(DefinitionForm.read(request.form), before)
    if kept is None:
        return _show(Shown(DefinitionForm.of(before.definition, here().zone), before))
    stale = kept.form.get("version", [""])[:1] != [str(before.version)]
    said = gettext("Somebody else saved this experiment after these changes were begun.") if stale else None
    return _show(Shown(form_of(kept), before, draft=kept, checked=len(STEPS), conflict=said))


def _first_step() -> int:
    """The guided way for whoever asks for it, and at a storefront that has no experiment yet."""
    if "guide" in request.args:
        return 1 if request.args["guide"] else 0
    return 0 if the_view().experiments else 1


def _answer(form: DefinitionForm, before: Experiment | None) -> ResponseReturnValue:
    do = request.form.get("do", "check")
    if before is not None:
        form.key = before.key
    if do == "discard":
        return _discard(before)
    with reading(the_lab().engine) as conn:
        draft = held(conn, before)
        library = {saved.key: saved for saved in saved_offers(conn, here().id)} if do.startswith("copy:") else {}
    shown = Shown(form, before, draft=draft, step=_step())
    if take(form, do) or copy_saved(form, do, library, here().zone):
        return _show(shown)
    if do in {"save", "overwrite"}:
        return _save(shown, overwrite=do == "overwrite")
    if do == "keep" or do.startswith(("step:", "sentence")):
        shown.checked = _been_through() if do.startswith("step:") else 0
        shown.write_hypothesis = do == "sentence"
        return _keep(shown)
    shown.checked = len(STEPS)
    return _show(shown)


def _step() -> int:
    do = request.form.get("do", "")
    return _number(do.removeprefix("step:")) if do.startswith("step:") else _left()


def _left() -> int:
    """The step that the page showed."""
    return _number(request.form.get("at", "0"))


def _been_through() -> int:
    """The last step that somebody has seen, and left: the next one is not wrong because it is still empty."""
    return _left() if _step() == _left() + 1 else max(_left(), _step())


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 3 else 0


def _keep(shown: Shown) -> ResponseReturnValue:
    """Keep what was typed, whatever it is worth."""
    try:
        with writing(the_lab().engine) as conn:
            shown.draft = keep(conn, shown.form, shown.before, overwrite=False)
    except Conflict as refusal:
        shown.conflict = _told(refusal)
        return _show(shown), 409
    return _show(shown)


def _discard(before: Experiment | None) -> ResponseReturnValue:
    with writing(the_lab().engine) as conn:
        discard_kept(conn, before)
    flash(gettext("Discarded what was not finished."), "success")
    if before is not None:
        return redirect(url_for("experiments.detail", storefront=here().key, key=before.key))
    return redirect(url_for("experiments.listing", storefront=here().key))


def _save(shown: Shown, *, overwrite: bool) -> ResponseReturnValue:
    form, before = shown.form, shown.before
    shown.checked = len(STEPS)
    value, errors = form.to_json(here().zone, product_of(the_view().catalogue), taken_keys() if before is None else ())
    try:
        if not errors:
            saved = _saved(form, value, before, overwrite=overwrite)
            flash(gettext("Saved as a draft. Visitors see nothing of it until you start it."), "success")
            return redirect(url_for("experiments.detail", storefront=here().key, key=saved.key))
    except Invalid as refusal:
        errors = list(refusal.errors)
    except Conflict as refusal:
        if refusal.code == "key_taken":
            errors = [
                FieldError("key", gettext("is taken: %(key)s is free", key=repr(free_key(value["key"], taken_keys()))))
            ]
        elif refusal.code == "layer_full":
            errors = [FieldError("layer.key", refusal.message)]
        else:
            shown.conflict = _told(refusal)
            return _show(shown), 409
    shown.refused = errors
    try:
        with writing(the_lab().engine) as conn:
            shown.draft = keep(conn, form, before, overwrite=overwrite)
    except Conflict as refusal:
        shown.conflict = _told(refusal)
        return _show(shown), 409
    return _show(shown), 422


def _saved(form: DefinitionForm, value: Mapping[str, Any], before: Experiment | None, *, overwrite: bool) -> Experiment:
    lab, at = the_lab(), now()
    with writing(lab.engine) as conn:
        finish_kept(conn, before, overwrite=overwrite)
        _make_placement(conn, form, value["placement"])
        if before is None:
            saved = defining.create(conn, here(), value, actor(), at)
        else:
            kept = get_experiment(conn, here().id, before.key)
            if not overwrite and request.form.get("version") != str(kept.version):
                raise Conflict("edited_meanwhile", gettext("Somebody else saved this draft while you were typing."))
            saved = defining.edit(conn, here(), before.key, _untouched_as_held(value, kept), actor(), at)
    lab.snapshots.refresh(now())
    return saved


def _untouched_as_held(value: Mapping[str, Any], kept: Experiment) -> dict[str, Any]:
    product_id = product_of(the_view().catalogue)
    pictured, _ = DefinitionForm.of(kept.definition, here().zone).to_json(here().zone, product_id)
    return with_unshown(value, to_json(kept.definition), pictured)


def _make_placement(conn: Connection, form: DefinitionForm, key: str) -> None:
    if form.placement == NEW_PLACEMENT and all(p.key != key for p in placements(conn, here().id)):
        settings.create_placement(conn, here().id, key, "", form.touchpoint or None, now(), actor())


def _told(refusal: Conflict) -> str:
    return str(gettext("Somebody else saved this while you were typing.")) if refusal.code else told(refusal.message)


def _show(shown: Shown) -> str:
    return render_template("define.html", **context(shown))
