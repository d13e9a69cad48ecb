"""OpenFeature's remote evaluation protocol (OFREP 0.3): a placement is a flag, an offer is its value.

Every answer has key, value, variant, reason and metadata, and every refusal key, errorCode and errorDetails: each of
the real providers breaks without one of them. Nothing here records: an evaluation is no exposure.
"""

import hashlib
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from experiments.assignment import Assignment, Reason
from experiments.errors import Invalid, Malformed, NotFound
from experiments.service.serving import NOTHING, AssignmentRequest
from experiments.service.snapshot import StorefrontView
from webapp.api.intake import Call, Reply, check_readable, held
from webapp.auth import Access, access
from webapp.clock import now
from webapp.errors import PROBLEM_JSON, TITLES, encode, problem_of
from webapp.lab import Lab, the_lab
from webapp.promises import price_token
from webapp.protocols import cors
from webapp.protocols.flat_context import TargetingKeyMissing, read_context, to_request
from webapp.protocols.streams import INACTIVE_AFTER, the_streams
from webapp.visit import decided

blueprint = Blueprint("ofrep", __name__)

ALL = "/ofrep/v1/evaluate/flags"
ONE = f"{ALL}/"
ONE_ROUTE = f"{ONE}{{placement}}"
"""As the metrics name it, whatever placement is asked for."""

NO_VARIANT = "none"
"""Stands where there is no variant: Python's provider fails on an answer without one."""

REASONS: dict[Reason, str] = {
    "assigned": "SPLIT",
    "winner": "STATIC",
    "forced": "TARGETING_MATCH",
    "preview": "TARGETING_MATCH",
}
"""Everybody else is DISABLED: the protocol's list has no DEFAULT, and providers fail on reasons they do not know."""


class FlagNotFound(NotFound):
    """The storefront has no placement of that key."""

    code = "flag_not_found"


def evaluate_one(lab: Lab, call: Call, placement: str) -> Reply:
    """`POST /ofrep/v1/evaluate/flags/{placement}`."""
    try:
        caller = access(lab.snapshots, call.headers, call.now)
        check_readable(lab, call)
        asked = to_request(read_context(call.body), _known(caller.view, placement))
        body = encode(_flag(lab, caller, call, asked))
    except Exception as error:  # noqa: BLE001 - whatever happened, the provider gets a shape it can read
        return _refusal(error, call, placement)
    return _reply(200, body, call)


def evaluate_all(lab: Lab, call: Call) -> Reply:
    """`POST /ofrep/v1/evaluate/flags`: every placement at once, or 304 where the answer is what the caller has."""
    try:
        caller = access(lab.snapshots, call.headers, call.now)
        check_readable(lab, call)
        context, view = read_context(call.body), caller.view
        asked = to_request(context, "any")
        flags = [
            _flag(lab, caller, call, msgspec.structs.replace(asked, placement=key)) for key in sorted(view.placements)
        ]
        stream = {
            "type": "sse",
            "endpoint": {"requestUri": the_streams().address(view.storefront.id, call.now)},
            "inactivityDelaySec": INACTIVE_AFTER,
        }
        body = encode({"flags": flags, "metadata": {"flagSetId": view.storefront.key}, "eventStreams": [stream]})
    except Exception as error:  # noqa: BLE001 - as above
        return _refusal(error, call, None)
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    if _holds(call.headers.get("If-None-Match"), etag):
        return Reply(304, b"", _headers(call) | {"Content-Type": "application/json", "ETag": etag})
    return _reply(200, body, call, {"ETag": etag})


def _known(view: StorefrontView, placement: str) -> str:
    if placement not in view.placements:
        raise FlagNotFound(f"This storefront has no placement {placement!r}")
    return placement


def _flag(lab: Lab, caller: Access, call: Call, asked: AssignmentRequest) -> dict[str, Any]:
    made = decided(lab, caller, call.headers, asked, call.now, held(lab))
    return {
        "key": asked.placement,
        "value": (made.offer or NOTHING).json,
        "variant": made.variant.key if made.variant else NO_VARIANT,
        "reason": REASONS.get(made.reason, "DISABLED") if made.variant else "DISABLED",
        "metadata": _metadata(made) | _price_token(lab, caller, call, asked, made),
    }


def _price_token(
    lab: Lab, caller: Access, call: Call, asked: AssignmentRequest, made: Assignment
) -> dict[str, str | bool]:
    token = price_token(lab, caller, asked.visitor_id, made, call.now)
    return {} if token is None else {"priceToken": token}


def _metadata(made: Assignment) -> dict[str, str | bool]:
    """What is known of the evaluation; `experimentId` is what exposures call their experiment."""
    known: dict[str, str | bool] = {"inExperiment": made.in_experiment, "offerlabReason": made.reason}
    if made.rule is not None and made.variant is not None:
        key = made.rule.definition.key
        known |= {"experiment": key, "experimentId": key, "version": made.rule.fingerprint}
    return known


def _refusal(error: Exception, call: Call, key: str | None) -> Reply:
    status, headers, shape = problem_of(error)
    if isinstance(error, TargetingKeyMissing):
        code = "TARGETING_KEY_MISSING"
    elif isinstance(error, Malformed):
        code = "PARSE_ERROR"
    elif isinstance(error, Invalid):
        code, status = "INVALID_CONTEXT", 400  # the protocol knows no 422
        shape |= {"status": status, "title": TITLES[status]}
    elif isinstance(error, FlagNotFound):
        code = "FLAG_NOT_FOUND"
    else:
        code = "GENERAL"
    shape |= {"errorCode": code, "errorDetails": shape["detail"]} | ({} if key is None else {"key": key})
    return Reply(status, encode(shape), _headers(call) | {"Content-Type": PROBLEM_JSON} | headers)


def _reply(status: int, body: bytes, call: Call, more: dict[str, str] | None = None) -> Reply:
    return Reply(status, body, _headers(call) | {"Content-Type": "application/json"} | (more or {}))


def _headers(call: Call) -> dict[str, str]:
    return {"Cache-Control": "no-store"} | cors.readable(call.headers.get("Origin"))


def _holds(condition: str | None, etag: str) -> bool:
    """Whether If-None-Match names this answer."""
    return condition is not None and any(
        given.strip().removeprefix("W/") in {etag, "*"} for given in condition.split(",")
    )


def _call() -> Call:
    return Call(request.headers, request.get_data(cache=False), now())


@blueprint.post(f"{ONE}<path:placement>", provide_automatic_options=False)
def one(placement: str) -> Response:
    """One placement."""
    reply = evaluate_one(the_lab(), _call(), placement)
    return Response(reply.body, reply.status, reply.headers)


@blueprint.post(ALL, provide_automatic_options=False)
def every() -> Response:
    """All placements."""
    reply = evaluate_all(the_lab(), _call())
    return Response(reply.body, reply.status, reply.headers)


@blueprint.route(ALL, methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route(f"{ONE}<path:placement>", methods=["OPTIONS"], provide_automatic_options=False)
def allowed(placement: str = "") -> Response:  # noqa: ARG001 - what may be asked is the same for each
    """A browser's preflight."""
    return Response(b"", 204, cors.preflight(request.headers.get("Origin")))
