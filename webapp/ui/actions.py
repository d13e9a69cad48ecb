"""Steering: each action has a page that says who sees what and who is analysed, and a button that does it."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from experiments.errors import FieldError, Invalid, NotFound
from experiments.lifecycle import Action, after, allowed
from experiments.moment import Micros, micros
from experiments.service import defining
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments, get_experiment
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.definition_form import free_key
from webapp.ui.experiments import neighbours, the_view
from webapp.ui.form_errors import place
from webapp.ui.person import actor, here, page
from webapp.ui.previews import previews
from webapp.ui.targeting_rows import in_words
from webapp.ui.words import ACTIONS, STATES

blueprint = Blueprint("actions", __name__, url_prefix="/s/<storefront>/experiments/<key>")

_PLAIN: dict[str, Action] = {
    "close": "close", "reopen": "reopen", "pause": "pause", "resume": "resume", "unschedule": "unschedule",
    "stop": "stop", "archive": "archive",
}  # fmt: skip


@blueprint.get("/<any(start, close, reopen, pause, resume, unschedule, stop, decide, archive, duplicate):action>")
@page("editor")
def confirm(key: str, action: str) -> ResponseReturnValue:
    """What the action does, before it is done."""
    return _confirm(key, action, [])


@blueprint.post("/<any(start, close, reopen, pause, resume, unschedule, stop, decide, archive, duplicate):action>")
@page("editor")
def act(key: str, action: str) -> ResponseReturnValue:
    """Do it."""
    lab = the_lab()
    try:
        with writing(lab.engine) as conn:
            changed = _use_case(key, action)(conn, now())
    except Invalid as refusal:
        return _confirm(key, action, list(refusal.errors)), 422
    lab.snapshots.refresh(now())
    flash(_done(action, changed), "success")
    return redirect(url_for("experiments.detail", storefront=here().key, key=changed.key))


def _use_case(key: str, action: str) -> Callable[[Connection, Micros], Experiment]:
    storefront, who = here(), actor()
    if action == "start":
        return lambda conn, at: defining.start(conn, storefront, key, who, at)
    if action == "duplicate":
        new_key = request.form.get("new_key", "").strip()
        return lambda conn, at: defining.duplicate(conn, storefront, key, new_key, who, at)
    if action == "decide":
        chosen, reason = request.form.get("decision", ""), request.form.get("reason", "").strip()
        if not chosen:
            raise Invalid.at("decision", "choose one")
        if not reason:
            raise Invalid.at("reason", "is needed: whoever asks in a year will read it")
        variant = None if chosen == "none" else chosen.removeprefix("variant:")
        return lambda conn, at: defining.decide(conn, storefront, key, variant, reason, who, at)
    return lambda conn, at: defining.act(conn, storefront, key, _PLAIN[action], who, at)


def _confirm(key: str, action: str, refused: list[FieldError]) -> str:
    at = now()
    with reading(the_lab().engine) as conn:
        known = experiments(conn, here().id)
        found = next((e for e in known if e.key == key), None) or _missing(conn, key)
    if action != "duplicate":
        after(found.state, "schedule" if action == "start" and found.state == "draft" else _action(action))
    definition, view = found.definition, the_view()
    start_at = definition.schedule.start_at
    shown = previews(definition, view.catalogue, view.resolver, at) if action in {"start", "resume", "decide"} else []
    return render_template(
        "confirm.html",
        experiment=found,
        definition=definition,
        action=action,
        words=ACTIONS[action],
        errors=place(refused, {"metrics": {}}),
        previews=shown,
        targeting=in_words(definition.targeting),
        waits_until=start_at if action == "start" and start_at is not None and micros(start_at) > at else None,
        neighbours=neighbours(found, [e for e in known if e.key != key]) if action == "start" else [],
        new_key=request.form.get("new_key") or free_key(f"{key}-copy"[:64], {e.key for e in known}),
        chosen=request.form.get("decision", request.args.get("decision", "")),
        reason=request.form.get("reason", ""),
        can=allowed(found.state),
    )


def _action(action: str) -> Action:
    return "start" if action == "start" else "decide" if action == "decide" else _PLAIN[action]


def _missing(conn: Connection, key: str) -> Experiment:
    get_experiment(conn, here().id, key)
    raise NotFound(f"There is no experiment {key!r}")


def _done(action: str, changed: Experiment) -> str:
    if action == "duplicate":
        return f"Copied. This is the new draft, {changed.key}."
    return f"{STATES[changed.state].label}. {STATES[changed.state].meaning}"
