"""Steering what runs, and drafts that are not finished, over the management API."""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from experiments.definition import Part
from experiments.errors import Invalid
from experiments.identifiers import Key
from experiments.moment import iso
from experiments.service import defining, drafting
from experiments.shape import decode
from experiments.storage.database import reading, writing
from experiments.storage.drafts import Draft, drafts, get_draft
from webapp.api.management import authenticate, changes, json_answer, json_body, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("steering", __name__, url_prefix="/api/v1")
blueprint.before_request(authenticate)

MOST_FIELDS = 4000


@blueprint.patch("/experiments/<key>")
def amend_experiment(key: str) -> Response:
    """What is safe to change of a started experiment: name, hypothesis, about, the schedule's end and ramp."""
    value = json_body()
    if not isinstance(value, dict):
        raise Invalid.at("", "must be an object with what changes")
    return changes(lambda conn, storefront, actor: defining.amend(conn, storefront, key, value, actor, now()))


class RampInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The coverage from now on, in hundredths of a percent."""

    coverage: Part


@blueprint.post("/experiments/<key>/ramp")
def ramp_experiment(key: str) -> Response:
    """More coverage from now on; nobody moves."""
    given = decode(request.get_data() or b"{}", RampInput)
    return changes(lambda conn, sf, actor: defining.ramp(conn, sf, key, given.coverage, actor, now()))


class TimesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When it starts and ends by itself; what is not given stays, null means by hand."""

    start_at: str | msgspec.UnsetType | None = msgspec.UNSET
    end_at: str | msgspec.UnsetType | None = msgspec.UNSET


@blueprint.post("/experiments/<key>/schedule")
def schedule_experiment(key: str) -> Response:
    """A draft that starts by itself, or another end of what has started."""
    times: dict[str, Any] = msgspec.to_builtins(decode(request.get_data() or b"{}", TimesInput))
    return changes(lambda conn, sf, actor: defining.schedule(conn, sf, key, times, actor, now()))


class DraftInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was typed into the define page: its fields by name, each with its texts.

    `experiment` is the key of the draft whose next version it is; without one it is a new experiment's.
    """

    form: dict[str, list[str]]
    title: str = ""
    experiment: Key | None = None


class DraftChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the draft now, and the version it was read in: somebody else's is not written over."""

    form: dict[str, list[str]]
    version: int
    title: str = ""


def draft_json(draft: Draft) -> dict[str, Any]:
    """A draft with what was typed."""
    return {
        "id": draft.id, "experiment": draft.experiment, "title": draft.title, "form": draft.form,
        "version": draft.version, "saved_by": draft.saved_by, "saved_at": iso(draft.saved_at),
    }  # fmt: skip


@blueprint.get("/drafts")
def list_drafts() -> Response:
    """Drafts that are not finished, the latest first."""
    with reading(the_lab().engine) as conn:
        return json_answer({"drafts": [draft_json(d) for d in drafts(conn, the_storefront().id)]})


@blueprint.post("/drafts")
def begin_draft() -> Response:
    """Keep what does not hold yet; only a valid definition becomes an experiment."""
    given = decode(request.get_data() or b"{}", DraftInput)
    _check_size(given.form)
    with writing(the_lab().engine) as conn:
        if given.experiment is not None:
            defining.check_editable(conn, the_storefront(), given.experiment)
        made = drafting.begin(
            conn, the_storefront(), given.experiment, given.title, given.form, the_caller().actor, now()
        )
    return json_answer(draft_json(made), 201)


@blueprint.get("/drafts/<int:number>")
def read_draft(number: int) -> Response:
    """One draft."""
    with reading(the_lab().engine) as conn:
        return json_answer(draft_json(get_draft(conn, the_storefront().id, number)))


@blueprint.put("/drafts/<int:number>")
def keep_draft(number: int) -> Response:
    """What stands in it now; 409 where somebody else kept something else since."""
    given = decode(request.get_data() or b"{}", DraftChange)
    _check_size(given.form)
    with writing(the_lab().engine) as conn:
        kept = drafting.keep(
            conn, the_storefront(), number, given.version, given.title, given.form, the_caller().actor, now()
        )
    return json_answer(draft_json(kept))


@blueprint.delete("/drafts/<int:number>")
def discard_draft(number: int) -> Response:
    """Let go of it; what was typed is answered for the last time."""
    with writing(the_lab().engine) as conn:
        gone = get_draft(conn, the_storefront().id, number)
        drafting.discard(conn, the_storefront(), number, the_caller().actor, now())
    return json_answer(draft_json(gone))


def _check_size(form: dict[str, list[str]]) -> None:
    if sum(len(texts) for texts in form.values()) > MOST_FIELDS:
        raise Invalid.at("form", f"has more than {MOST_FIELDS} fields")
