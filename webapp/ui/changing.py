"""Changing what runs: what is safe is changed here, and for all else the safe way is named."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from experiments.errors import Conflict, FieldError, Invalid
from experiments.lifecycle import after, allowed
from experiments.service import defining
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, get_experiment
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.about_form import about_json
from webapp.ui.definition_form import DefinitionForm
from webapp.ui.form_errors import place
from webapp.ui.form_steps import take
from webapp.ui.person import actor, here, page
from webapp.ui.told import told
from webapp.ui.typed import Typed

blueprint = Blueprint("changing", __name__, url_prefix="/s/<storefront>/experiments/<key>")

LOCKED = (
    (_("Variants and their offers"), _("The numbers before and after would be about two different things.")),
    (_("Weights"), _("Visitors would move between variants, and their past with them.")),
    (_("Lower coverage"), _("It would throw out visitors who are inside. To let nobody new in, close it.")),
    (_("Targeting"), _("Who is inside would no longer be who was compared.")),
    (_("Placement, unit and layer"), _("Visitors would be drawn anew.")),
    (_("Metrics and analysis"), _("They are fixed before the start, so that nobody picks them by the result.")),
)
"""What cannot change any more, and why; the safe way is the same for all: duplicate it, and change the copy."""

FREE = (
    "name", "hypothesis", "owner", "tags", "links", "watchers", "reviewers", "end_at", "ramp", "pause_when"
)  # fmt: skip
"""The fields of the form that may change."""


@blueprint.get("/amend")
@page("editor")
def show(key: str) -> ResponseReturnValue:
    """What may change, what may not, and the safe way for each."""
    found = _started(key)
    return _page(found, DefinitionForm.of(found.definition, here().zone), {})


@blueprint.post("/amend")
@page("editor")
def save(key: str) -> ResponseReturnValue:
    """The next version of a started experiment."""
    found = _started(key)
    form = DefinitionForm.of(found.definition, here().zone)
    sent = DefinitionForm.read(request.form)
    for name in FREE:
        setattr(form, name, getattr(sent, name))
    if take(form, request.form.get("do", "")):
        return _page(found, form, {})
    typed = Typed(here().zone)
    changes: dict[str, Any] = {
        "name": form.name.strip() or found.key,
        "hypothesis": form.hypothesis.strip(),
        "about": about_json(form),
        "schedule": {
            "end_at": typed.moment(form.end_at, "schedule.end_at"),
            "ramp": form.ramp_json(typed),
            "pause_when": form.pause_when,
        },
    }
    errors: list[FieldError] = typed.errors
    conflict = ""
    if not errors:
        try:
            _check_seen(found)
            with writing(the_lab().engine) as conn:
                defining.amend(conn, here(), key, changes, actor(), now())
        except Invalid as refusal:
            errors = list(refusal.errors)
        except Conflict as refusal:
            if refusal.code != "edited_meanwhile":
                raise
            conflict = told(refusal.message)
        else:
            the_lab().snapshots.refresh(now())
            flash(gettext("Saved as the next version. Nobody moved."), "success")
            return redirect(url_for("experiments.detail", storefront=here().key, key=key))
    return _page(found, form, place(errors, {"metrics": {}}), conflict), 409 if conflict else 422


def _check_seen(found: Experiment) -> None:
    if request.form.get("version") != str(found.version):
        said = gettext("Somebody else changed this experiment while you were typing.")
        raise Conflict("edited_meanwhile", said)


def _started(key: str) -> Experiment:
    with reading(the_lab().engine) as conn:
        found = get_experiment(conn, here().id, key)
    after(found.state, "amend")
    return found


def _page(found: Experiment, form: DefinitionForm, errors: dict[str, list[str]], conflict: str = "") -> str:
    form.ramp = form.ramp or [("", "")]
    return render_template(
        "amend.html", experiment=found, definition=found.definition, form=form, errors=errors, locked=LOCKED,
        conflict=conflict, can=allowed(found.state),
    )  # fmt: skip
