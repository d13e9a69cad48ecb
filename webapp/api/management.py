"""The management API: experiments and all that they need, with an admin key.

The web UI does nothing that this cannot.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from flask import Blueprint, Response, g, request
from sqlalchemy import Connection

from experiments.definition import to_json
from experiments.errors import Invalid, Malformed
from experiments.holdback import LEAST, MOST
from experiments.identifiers import Key
from experiments.lifecycle import Action, allowed
from experiments.moment import Micros, iso
from experiments.schedules import times_json
from experiments.service import defining
from experiments.shape import decode
from experiments.storage.database import reading, writing
from experiments.storage.decisions import read_decision
from experiments.storage.registry import AuditEntry, Experiment, experiments, get_experiment, read_audit
from experiments.storage.storefronts import Storefront
from webapp import deciding
from webapp.auth import Access, access, require_admin
from webapp.clock import now
from webapp.errors import encode
from webapp.lab import the_lab
from webapp.reading import kept_report

blueprint = Blueprint("management", __name__, url_prefix="/api/v1")


def the_caller() -> Access:
    """What the request's key opens."""
    caller: Access = g.caller
    return caller


def the_storefront() -> Storefront:
    """The key's storefront."""
    return the_caller().view.storefront


@blueprint.before_request
def authenticate() -> None:
    """Every route here takes an admin key."""
    caller = access(the_lab().snapshots, request.headers, now())
    require_admin(caller)
    g.caller = caller


def json_answer(body: object, status: int = 200, **headers: str) -> Response:
    """A JSON answer."""
    return Response(encode(body), status, {"Content-Type": "application/json"} | headers)


def audit_answer(entries: Sequence[AuditEntry]) -> Response:
    """Who changed what, as the answer to a question for the trail of one thing."""
    shown = [
        {"at": iso(e.at), "actor": e.actor, "action": e.action, "before": e.before, "after": e.after} for e in entries
    ]
    return json_answer({"audit": shown})


def json_body() -> Any:
    """The request's JSON; an empty body is an empty object."""
    try:
        return msgspec.json.decode(request.get_data(cache=False) or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not valid JSON: {error}") from None


def changes(write: Callable[[Connection, Storefront, str], Experiment]) -> Response:
    """Run one change in its own transaction; this process sees it at once, the others within two seconds."""
    lab = the_lab()
    with writing(lab.engine) as conn:
        changed = write(conn, the_storefront(), the_caller().actor)
    lab.snapshots.refresh(now())
    return json_answer(experiment_json(changed, the_storefront().zone))


def experiment_json(experiment: Experiment, zone: ZoneInfo) -> dict[str, Any]:
    """An experiment as the contract's JSON, with its state and history."""

    def when(at: Micros | None) -> str | None:
        return None if at is None else iso(at)

    return to_json(experiment.definition) | {
        "state": experiment.state,
        "version": experiment.version,
        "fingerprint": experiment.definition.fingerprint,
        "created_at": when(experiment.created_at),
        "started_at": when(experiment.started_at),
        "stopped_at": when(experiment.stopped_at),
        "decided_at": when(experiment.decided_at),
        "decision": experiment.decision,
        "follows": experiment.follows,
        "actions": allowed(experiment.state),
        "times": times_json(experiment.definition.schedule, zone),
    }


@blueprint.get("/experiments")
def list_experiments() -> Response:
    """Every experiment of the storefront, newest first."""
    with reading(the_lab().engine) as conn:
        found = experiments(conn, the_storefront().id)
    return json_answer({"experiments": [experiment_json(e, the_storefront().zone) for e in found]})


@blueprint.post("/experiments")
def create_experiment() -> Response:
    """A new draft."""
    value = json_body()
    made = changes(lambda conn, storefront, actor: defining.create(conn, storefront, value, actor, now()))
    made.status_code = 201
    return made


@blueprint.get("/experiments/<key>")
def read_experiment(key: str) -> Response:
    """One experiment."""
    with reading(the_lab().engine) as conn:
        return json_answer(experiment_json(get_experiment(conn, the_storefront().id, key), the_storefront().zone))


@blueprint.put("/experiments/<key>")
def replace_experiment(key: str) -> Response:
    """A draft's next version."""
    value = json_body()
    return changes(lambda conn, storefront, actor: defining.edit(conn, storefront, key, value, actor, now()))


@blueprint.post("/experiments/<key>/start")
def start_experiment(key: str) -> Response:
    """Run, or wait for the scheduled start."""
    return changes(lambda conn, storefront, actor: defining.start(conn, storefront, key, actor, now()))


@blueprint.post("/experiments/<key>/<any(close, reopen, pause, resume, unschedule, stop, archive):action>")
def act_on_experiment(key: str, action: Action) -> Response:
    """Close to new units, reopen, pause, resume, unschedule, stop, archive."""
    return changes(lambda conn, storefront, actor: defining.act(conn, storefront, key, action, actor, now()))


class DecisionInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided, and why."""

    decision: Literal["ship", "do_not_ship"] | None = None
    variant: str | None = None
    reason: str = ""
    holdback: Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)] | None = None
    """With a variant to ship: how many visitors go on seeing control, in hundredths of a percent."""
    learning: Annotated[str, msgspec.Meta(max_length=deciding.LONGEST)] = ""
    """What was learnt, whatever was decided; without it the reason stands for it in the learnings."""
    next_test: Annotated[str, msgspec.Meta(max_length=deciding.LONGEST)] = ""
    """What should be tested next."""


@blueprint.post("/experiments/<key>/decide")
def decide_experiment(key: str) -> Response:
    """Ship a variant to everyone, or none; a holdback goes on seeing control, to measure whether it lasts."""
    given = decode(request.get_data() or b"{}", DecisionInput)
    if given.decision == "ship" and given.variant is None:
        raise Invalid.at("variant", "is required to ship")
    variant = None if given.decision == "do_not_ship" else given.variant
    made = deciding.snapshot(the_lab().engine, the_storefront(), key, now())
    learned = deciding.Learned(given.learning, given.next_test)
    return changes(
        lambda c, sf, actor: deciding.decide(c, sf, key, variant, given.reason, actor, made, given.holdback, learned)
    )


@blueprint.get("/experiments/<key>/decision")
def read_experiment_decision(key: str) -> Response:
    """The decision with the report that it was made by, as it was then."""
    with reading(the_lab().engine) as conn:
        found = get_experiment(conn, the_storefront().id, key)
        return json_answer(deciding.decision_json(found, read_decision(conn, found.id)))


class DuplicateInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The copy's key."""

    key: Key


@blueprint.post("/experiments/<key>/duplicate")
def duplicate_experiment(key: str) -> Response:
    """A new draft with everything but dates and seed."""
    given = decode(request.get_data() or b"{}", DuplicateInput)
    made = changes(lambda c, sf, actor: defining.duplicate(c, sf, key, given.key, actor, now()))
    made.status_code = 201
    return made


@blueprint.get("/experiments/<key>/report")
def report_experiment(key: str) -> Response:
    """The report, as `offerlab report --format json` prints it; `?segment=visitor:new` for one level of a segment."""
    only = request.args.get("segment")
    return json_answer(kept_report(the_storefront(), key, only).report.to_dict())


@blueprint.get("/experiments/<key>/audit")
def audit_experiment(key: str) -> Response:
    """Who did what to it, newest first."""
    with reading(the_lab().engine) as conn:
        get_experiment(conn, the_storefront().id, key)
        entries = read_audit(conn, the_storefront().id, f"experiment:{key}")
    return audit_answer(entries)
