"""Emergency stop: one page from anywhere, one button on it, and nobody sees an offer any more."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from experiments.errors import Malformed
from experiments.lifecycle import SERVING
from experiments.service import defining, settings
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment
from experiments.storage.storefronts import Placement, placements
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.experiments import known_experiments
from webapp.ui.person import actor, here, page

blueprint = Blueprint("emergency", __name__, url_prefix="/s/<storefront>/emergency")


@blueprint.get("")
@page("editor")
def show() -> ResponseReturnValue:
    """What is shown at the moment, and how to end it."""
    with reading(the_lab().engine) as conn:
        slots, known = placements(conn, here().id), known_experiments(conn)
    shown = [(slot, _showing(slot, known)) for slot in slots]
    return render_template(
        "emergency.html",
        known=known,
        shown=[(slot, rules) for slot, rules in shown if rules or slot.paused],
        any_on=any(rules and not slot.paused for slot, rules in shown),
    )


@blueprint.post("")
@page("editor")
def act() -> ResponseReturnValue:
    """Turn the kill switches of all placements, or of one, or pause one experiment."""
    verb, _, key = request.form.get("do", "").partition(":")
    lab = the_lab()
    with writing(lab.engine) as conn:
        if verb == "everything":
            for slot in placements(conn, here().id):
                if not slot.paused:
                    _switch(conn, slot.key, paused=True)
            said = gettext("Nobody sees an offer any more. Those inside experiments are still measured.")
        elif verb in {"placement", "resume"}:
            _switch(conn, key, paused=verb == "placement")
            said = (
                gettext("No offer is shown there any more.") if verb == "placement" else gettext("It is shown again.")
            )
        elif verb == "experiment":
            defining.act(conn, here(), key, "pause", actor(), now())
            said = gettext("Paused. Everyone sees no offer of it.")
        else:
            raise Malformed("This button is not known")
    lab.snapshots.refresh(now())
    flash(said, "success")
    return redirect(url_for("emergency.show", storefront=here().key))


def _switch(conn: Connection, placement: str, *, paused: bool) -> None:
    settings.edit_placement(conn, here().id, placement, {"paused": paused}, actor(), now())


def _showing(slot: Placement, known: list[Experiment]) -> list[Experiment]:
    return [e for e in known if e.definition.placement == slot.key and (e.state in SERVING or e.winner)]
