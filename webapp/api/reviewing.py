"""Reviews before the start, over the management API."""

from typing import Annotated

import msgspec
from flask import Blueprint, Response, request

from experiments.reviews import Step
from experiments.service import reviewing
from experiments.shape import decode
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment
from webapp.api.management import authenticate, json_answer, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("reviewing", __name__, url_prefix="/api/v1")
blueprint.before_request(authenticate)


class ReviewInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a review: `changes_requested` and `overridden` need a message.

    `version` is the one that was looked at: where it is not the newest any more, nothing is done.
    """

    review: Step
    message: Annotated[str, msgspec.Meta(max_length=reviewing.LONGEST_MESSAGE)] = ""
    version: int | None = None


@blueprint.get("/experiments/<key>/review")
def read_review(key: str) -> Response:
    """Where an experiment's review stands, with all its steps from the first."""
    with reading(the_lab().engine) as conn:
        found = get_experiment(conn, the_storefront().id, key)
        rule = reviewing.rule_now(conn, the_storefront())
        return json_answer(reviewing.review_json(reviewing.review_state(conn, rule, found)))


@blueprint.post("/experiments/<key>/review")
def review_experiment(key: str) -> Response:
    """Ask for a review of a draft, approve it, ask for changes, or let it start without one, for a reason.

    Whoever wrote a version of it cannot approve it. An approval holds for what was approved: a change of anything but
    `about` and the start's time makes it stale.
    """
    given = decode(request.get_data() or b"{}", ReviewInput)
    caller, here = the_caller(), the_storefront()
    with writing(the_lab().engine) as conn:
        found = reviewing.review(conn, here, key, given.review, given.message, caller.actor, now(), given.version)
        rule = reviewing.rule_now(conn, here)
        return json_answer(reviewing.review_json(reviewing.review_state(conn, rule, found)))
