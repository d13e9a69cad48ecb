"""Steering: each action has a page that says who sees what and who is analysed, and a button that does it."""

from collections.abc import Callable
from typing import cast

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from experiments.definition import WHOLE
from experiments.errors import Conflict, FieldError, Invalid, NotFound
from experiments.lifecycle import Action, after, possible
from experiments.moment import Micros, micros
from experiments.service import defining
from experiments.service.reviewing import review_state
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, get_experiment
from webapp import deciding
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui import holdbacks
from webapp.ui.definition_form import free_key
from webapp.ui.experiments import known_experiments, neighbours, the_view
from webapp.ui.form_errors import place
from webapp.ui.person import actor, here, page
from webapp.ui.previews import previews
from webapp.ui.review_words import STANDINGS
from webapp.ui.targeting_rows import in_words
from webapp.ui.typed import Typed, moment_text
from webapp.ui.words import STATES

blueprint = Blueprint("actions", __name__, url_prefix="/s/<storefront>/experiments/<key>")

_PLAIN = frozenset({"close", "reopen", "pause", "resume", "unschedule", "stop", "archive"})
_ANY = "<any(start, schedule, ramp, close, reopen, pause, resume, unschedule, stop, decide, archive, duplicate):action>"


@blueprint.get(f"/{_ANY}")
@page("editor")
def confirm(key: str, action: str) -> ResponseReturnValue:
    """What the action does, before it is done."""
    return _confirm(key, action, [])


@blueprint.post(f"/{_ANY}")
@page("editor")
def act(key: str, action: str) -> ResponseReturnValue:
    """Do it."""
    lab = the_lab()
    try:
        use_case = _use_case(key, action)
        with writing(lab.engine) as conn:
            changed = use_case(conn, now())
    except Invalid as refusal:
        return _confirm(key, action, list(refusal.errors)), 422
    except Conflict as refusal:
        if refusal.code not in {"unfinished", "not_approved"}:
            raise
        return _confirm(key, action, [FieldError("", refusal.message)]), 409
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
        variant, reason = _decision()
        held = holdbacks.asked_for()
        learned = deciding.Learned(*(request.form.get(name, "") for name in ("learning", "next_test")))
        made = deciding.snapshot(the_lab().engine, storefront, key, now())
        return lambda conn, _: deciding.decide(conn, storefront, key, variant, reason, who, made, held, learned)
    if action == "schedule":
        times = _times()
        return lambda conn, at: defining.schedule(conn, storefront, key, times, who, at)
    if action == "ramp":
        coverage = _coverage()
        return lambda conn, at: defining.ramp(conn, storefront, key, coverage, who, at)
    plain = cast("Action", action)
    return lambda conn, at: defining.act(conn, storefront, key, plain, who, at)


def _decision() -> tuple[str | None, str]:
    chosen, reason = request.form.get("decision", ""), request.form.get("reason", "").strip()
    if not chosen:
        raise Invalid.at("decision", gettext("choose one"))
    if not reason:
        raise Invalid.at("reason", gettext("is needed: whoever asks in a year will read it"))
    return None if chosen == "none" else chosen.removeprefix("variant:"), reason


def _times() -> dict[str, str | None]:
    typed = Typed(here().zone)
    # a start that is past has no field, and what is not given stays
    fields = [name for name in ("start_at", "end_at") if name in request.form]
    times = {name: typed.moment(request.form[name], f"schedule.{name}") for name in fields}
    if typed.errors:
        raise Invalid(typed.errors)
    return times


def _coverage() -> int:
    typed = Typed(here().zone)
    coverage = typed.hundredths(request.form.get("coverage", ""), "coverage", 0)
    if typed.errors:
        raise Invalid(typed.errors)
    if not coverage:
        raise Invalid.at("coverage", gettext("say to how many percent"))
    return coverage


def _confirm(key: str, action: str, refused: list[FieldError]) -> str:
    at = now()
    with reading(the_lab().engine) as conn:
        known = known_experiments(conn)
        found = next((e for e in known if e.key == key), None) or _missing(conn, key)
        review = review_state(conn, here().review, found)
    if action not in possible(found.state):
        after(found.state, cast("Action", "amend" if action == "ramp" else action))
    definition, view = found.definition, the_view()
    start_at = definition.schedule.start_at
    shown = previews(definition, view.catalogue, view.resolver, at) if action in {"start", "resume", "decide"} else []
    opens = action == "start" or (action == "schedule" and found.state == "draft")
    return render_template(
        "confirm.html",
        experiment=found,
        definition=definition,
        action=action,
        words=holdbacks.action_words(found, action),
        errors=place(refused, {"metrics": {}}),
        previews=shown,
        opens=opens,
        targeting=in_words(definition.targeting),
        waits_until=start_at if action == "start" and start_at is not None and micros(start_at) > at else None,
        neighbours=neighbours(found, [e for e in known if e.key != key]) if opens else [],
        new_key=request.form.get("new_key") or free_key(f"{key}-copy"[:64], {e.key for e in known}),
        chosen=request.form.get("decision", request.args.get("decision", "")),
        reason=request.form.get("reason", ""),
        learning=request.form.get("learning", ""),
        next_test=request.form.get("next_test", ""),
        hold="hold" in request.form,
        held=holdbacks.typed_share(),
        coverage=definition.coverage_at(at),
        whole=WHOLE,
        wanted=request.form.get("coverage", ""),
        start_text=request.form.get("start_at", moment_text(start_at, here().zone)),
        end_text=request.form.get("end_at", moment_text(definition.schedule.end_at, here().zone)),
        can=possible(found.state),
        review=review,
        review_standing=STANDINGS[review.standing],
    )


def _missing(conn: Connection, key: str) -> Experiment:
    get_experiment(conn, here().id, key)
    raise NotFound(f"There is no experiment {key!r}")


def _done(action: str, changed: Experiment) -> str:
    if action == "duplicate":
        return str(gettext("Copied. This is the new draft, %(key)s.", key=changed.key))
    if action == "ramp":
        return str(gettext("The coverage was raised. Nobody moved."))
    if action == "schedule" and changed.state != "scheduled":
        return str(gettext("The times were changed."))
    return f"{STATES[changed.state].label}. {holdbacks.state_meaning(changed)}"
