"""The review of a draft: asking for it, answering, and what was said so far."""

from typing import cast, get_args

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from experiments.definition import to_json
from experiments.errors import Conflict, Invalid, Malformed
from experiments.lifecycle import after
from experiments.reviews import Step, covered
from experiments.service.reviewing import LONGEST_MESSAGE, ReviewState, may_review, review, review_state
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import place
from webapp.ui.person import actor, here, page
from webapp.ui.review_words import DONE, STANDINGS
from webapp.ui.versions import Difference, differences

blueprint = Blueprint("reviews", __name__, url_prefix="/s/<storefront>/experiments/<key>/review")


@blueprint.get("")
@page()
def show(key: str) -> ResponseReturnValue:
    """What there is to look at, and what can be said about it."""
    return _page(key, {})


@blueprint.post("")
@page()
def act(key: str) -> ResponseReturnValue:
    """One step of the review."""
    step, version = request.form.get("do", ""), request.form.get("version", type=int)
    with reading(the_lab().engine) as conn:
        after(get_experiment(conn, here().id, key).state, "review")
    if step not in get_args(Step):
        raise Malformed("This button is not known")
    message = request.form.get("message", "")
    try:
        with writing(the_lab().engine) as conn:
            review(conn, here(), key, cast("Step", step), message, actor(), now(), version)
    except Invalid as refusal:
        return _page(key, place(refusal.errors, {})), 422
    except Conflict as refusal:
        return _page(key, {"": [_told(refusal)]}), 409
    flash(DONE[step], "success")
    return redirect(url_for("experiments.detail", storefront=here().key, key=key))


def _told(refusal: Conflict) -> str:
    if refusal.code == "own_work":
        return str(gettext("You wrote a version of it yourself: somebody else has to approve it."))
    if refusal.code == "wrong_state":
        return str(gettext("It is no draft any more."))
    return str(gettext("Somebody saved another version meanwhile. This page shows it now: look at it first."))


def _page(key: str, errors: dict[str, list[str]]) -> str:
    with reading(the_lab().engine) as conn:
        found = get_experiment(conn, here().id, key)
        after(found.state, "review")
        state = review_state(conn, here().review, found)
        right, wrote = may_review(conn, here(), key, current_user.email)
    return render_template(
        "review.html",
        experiment=found,
        definition=found.definition,
        review=state,
        standings=STANDINGS,
        may_answer=right,
        wrote=wrote,
        since=_since_approval(state, to_json(covered(found.definition))),
        errors=errors,
        message=request.form.get("message", ""),
        longest=LONGEST_MESSAGE,
    )


def _since_approval(state: ReviewState, now_json: object) -> list[Difference]:
    """What has changed since what was approved, where that does not hold any more."""
    if state.standing != "stale" or state.verdict is None:
        return []
    return differences(to_json(covered(state.verdict.definition)), now_json)
