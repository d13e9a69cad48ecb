"""The hot routes: assignments, exposures, conversions, identities. Each is a function from a call to a reply.

The functions know no Flask: the routes below hand them headers and bytes, and so can any other door.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from experiments.assignment import Assignment, Inside, Rule, Trace, Unit
from experiments.errors import Forbidden, Invalid, Malformed, Unavailable
from experiments.identifiers import ExperimentId, UnitId
from experiments.moment import Micros
from experiments.service.capping import counted
from experiments.service.recording import (
    Receipt,
    Recording,
    exposure_recording,
    link_recording,
    quarantine,
    read_conversions,
    read_exposures,
)
from experiments.service.serving import AssignmentRequest, answer, explanation, exposure
from experiments.shape import decode
from experiments.storage.database import reading
from experiments.storage.eventlog import Outcome, held_variant
from experiments.storage.eventwriter import EventWriter
from experiments.storage.quarantine import Refused
from webapp.auth import Access, Headers, access
from webapp.errors import PROBLEM_JSON, TooLarge, UnsupportedMedia, encode, problem_of
from webapp.lab import Lab, new_id
from webapp.promises import promised, proofs
from webapp.visit import decided, signals_of

LARGEST_BATCH = 10_000
READ = ("application/json", "text/plain", "application/x-ndjson", "")
"""Content types that are read as JSON; browsers' sendBeacon says text/plain."""


class Call(msgspec.Struct, frozen=True):
    """A request, whatever server it came through."""

    headers: Headers
    body: bytes
    now: Micros
    query: str = ""
    """What stands after the question mark, as it came."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, whatever server carries it."""

    status: int
    body: bytes
    headers: dict[str, str] = {}


class Later(msgspec.Struct, frozen=True):
    """An answer that holds once something is recorded."""

    recording: Recording
    told: Callable[[Receipt], object]


Handler = Callable[[Lab, Access, Call], object]
"""Gives what is answered as JSON, or Later."""


def handle(lab: Lab, handler: Handler, call: Call) -> Reply:
    """The handler's answer as JSON, or the error that stopped it in the one error shape; what it records is durable."""
    found = begin(lab, handler, call)
    return found.wait() if isinstance(found, Pending) else found


def begin(lab: Lab, handler: Handler, call: Call) -> "Reply | Pending":
    """As `handle`, as far as it goes without waiting for what is to be durable."""
    cors = cors_headers(call.headers.get("Origin"))
    try:
        caller = access(lab.snapshots, call.headers, call.now, call.query)
        check_readable(lab, call)
        told = handler(lab, caller, call)
        return Pending(lab.writer, told, cors) if isinstance(told, Later) else _reply(told, cors)
    except Exception as error:  # noqa: BLE001 - whatever happened, the caller gets the one error shape
        return _problem(error, cors)


class Pending(msgspec.Struct, frozen=True):
    """An answer that waits for something to be durable."""

    writer: EventWriter
    later: Later
    cors: dict[str, str]

    def wait(self) -> Reply:
        """The answer, when it holds."""
        given = self.later.recording
        try:
            found = self.writer.write(given.storefront_id, given.given, given.at)
        except Exception as error:  # noqa: BLE001 - as in `begin`
            return _problem(error, self.cors)
        return self._answer(found)

    def send(self, send: Callable[[Reply], None]) -> None:
        """Have the answer sent when it holds, by the thread that made it so."""
        given = self.later.recording
        try:
            self.writer.submit(given.storefront_id, given.given, given.at, lambda found: send(self._answer(found)))
        except Exception as error:  # noqa: BLE001 - as in `begin`
            send(_problem(error, self.cors))

    def _answer(self, found: Sequence[Outcome] | Exception) -> Reply:
        if isinstance(found, Exception):
            return _problem(found, self.cors)
        try:
            return _reply(self.later.told(self.later.recording.receipt(found)), self.cors)
        except Exception as error:  # noqa: BLE001 - as in `begin`
            return _problem(error, self.cors)


def _reply(told: object, cors: dict[str, str]) -> Reply:
    return Reply(200, encode(told), {"Content-Type": "application/json"} | cors)


def _problem(error: Exception, cors: dict[str, str]) -> Reply:
    status, headers, shape = problem_of(error)
    return Reply(status, encode(shape), {"Content-Type": PROBLEM_JSON} | headers | cors)


def check_readable(lab: Lab, call: Call) -> None:
    """TooLarge or UnsupportedMedia, where the body is not one that is read."""
    if len(call.body) > lab.settings.max_body_bytes:
        raise TooLarge(f"The body has {len(call.body)} bytes; at most {lab.settings.max_body_bytes} are read")
    if (call.headers.get("Content-Type") or "").partition(";")[0].strip().lower() not in READ:
        raise UnsupportedMedia("The body must be JSON: Content-Type: application/json")


def cors_headers(origin: str | None) -> dict[str, str]:
    """What lets the page that called read the answer; whether it may call at all is `auth.check_origin`."""
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}


def assignments(lab: Lab, caller: Access, call: Call) -> object:
    """Which variant this visitor gets in this placement; with `record`, the exposure is durable before the answer."""
    request = decode(call.body, AssignmentRequest)
    if request.explain and caller.kind == "public":
        raise Forbidden("What decided is told to secret and admin keys only (sk_…, ak_…)")
    trace: Trace | None = [] if request.explain else None
    tried: Trace = []
    made = decided(lab, caller, call.headers, request, call.now, held(lab, needed=request.record), trace, tried)
    made = promised(lab, caller, request, made, call.now)
    if request.record and caller.view.caps:
        check_store(lab)
        made = counted(lab.engine, caller.view, request.visitor_id, made, call.now)
        tried.append(made)
    recording = _recording(lab, caller, call, request, made) if request.record else None
    if request.record:
        lab.refusals.note(Unit(request.visitor_id, request.customer_id), trace or tried, call.now)
    told = answer(request, made)
    # beside the offer, which is the same for every visitor and over every protocol
    told.update(proofs(lab, caller, request.visitor_id, made, call.now))
    if trace is not None:
        told["steps"] = explanation(caller.view, request, made, trace, call.now)
    return told if recording is None else Later(recording, lambda _: told)


def _recording(lab: Lab, caller: Access, call: Call, request: AssignmentRequest, made: Assignment) -> Recording | None:
    """That this unit met its variant; None where it is in no comparison."""
    met = exposure(caller.view, request, made, call.now, signals_of(caller, call.headers).user_agent)
    if met is None:
        return None
    check_store(lab)
    return exposure_recording(caller.view, met, call.now)


def check_store(lab: Lab) -> None:
    """Unavailable at once where the database is known to be away: waiting would keep others from being served."""
    if lab.snapshots.database_away:
        raise Unavailable("The database does not answer: nothing can be recorded just now")


def held(lab: Lab, *, needed: bool = False) -> Inside:
    """Asks the store which variant a unit holds in a closed experiment.

    While the database is away nobody is known to be inside, unless it is `needed`: then that is Unavailable.
    """

    def inside(rule: Rule, unit_id: str) -> str | None:
        try:
            check_store(lab)
            with reading(lab.engine) as conn:
                return held_variant(conn, ExperimentId(rule.experiment_id), unit_id)
        except Unavailable:
            if needed:
                raise
            return None

    return inside


def exposures(lab: Lab, caller: Access, call: Call) -> object:
    """Record one exposure or an array of them."""
    check_store(lab)
    raws, alone = _kept_raws(lab, caller, call, "exposures")
    recording = read_exposures(caller.view, raws, call.now, source="exposures")
    return Later(recording, partial(_receipt, alone=alone))


def conversions(lab: Lab, caller: Access, call: Call) -> object:
    """Record one conversion or an array of them."""
    check_store(lab)
    raws, alone = _kept_raws(lab, caller, call, "conversions")
    recording = read_conversions(lab.writer, caller.view, raws, call.now, new_id, source="conversions")
    return Later(recording, partial(_receipt, alone=alone))


class IdentityInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/identities`."""

    visitor_id: UnitId
    customer_id: UnitId


def identities(lab: Lab, caller: Access, call: Call) -> object:
    """Tie a visitor to a customer, as at login."""
    given = decode(call.body, IdentityInput)
    check_store(lab)
    recording = link_recording(caller.view, given.visitor_id, given.customer_id, call.now)
    return Later(recording, partial(_receipt, alone=True))


def _kept_raws(lab: Lab, caller: Access, call: Call, source: str) -> tuple[list[bytes], bool]:
    """Each event's own JSON; a body that cannot be read at all is quarantined whole."""
    try:
        return _raws(call.body)
    except Malformed as refusal:
        refused = Refused(source, call.body, refusal.code, refusal.message)
        quarantine(lab.writer, caller.view, [refused], call.now)
        raise


def _raws(body: bytes) -> tuple[list[bytes], bool]:
    """Each event's own JSON, and whether it came alone rather than in an array."""
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        return [body], True
    try:
        raws = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not valid JSON: {error}") from None
    if len(raws) > LARGEST_BATCH:
        raise TooLarge(f"The batch has {len(raws)} events; at most {LARGEST_BATCH} are read")
    return [bytes(raw) for raw in raws], False


def _receipt(receipt: Receipt, *, alone: bool) -> object:
    if alone and receipt.rejected:
        refused = receipt.rejected[0]
        if refused.code == Malformed.code:
            raise Malformed(refused.message)
        refusal = Invalid(refused.errors)
        refusal.code = refused.code
        raise refusal
    return receipt_json(receipt)


def receipt_json(receipt: Receipt) -> object:
    """What became of a batch, as the contract writes it."""
    rejected = [
        {"index": r.index, "code": r.code, "message": r.message}
        | {"errors": [{"field": e.field, "message": e.message} for e in r.errors]}
        for r in receipt.rejected
    ]
    return {"accepted": receipt.accepted, "duplicate": receipt.duplicate, "rejected": rejected}
