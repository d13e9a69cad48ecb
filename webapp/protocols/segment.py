"""Segment's tracking API as its own and RudderStack's clients speak it, from servers and from browsers.

Whatever is well-formed is answered 200 `{"success": true}`: RudderStack's clients send again after anything else. A
message that cannot be kept is kept out alone, with its reason.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from experiments.errors import Malformed
from experiments.moment import Micros
from experiments.service.recording import Receipt
from experiments.service.snapshot import StorefrontView
from experiments.storage.keys import PREFIX
from webapp.api.intake import LARGEST_BATCH, Call
from webapp.auth import Access, access, open_with
from webapp.clock import now
from webapp.errors import PROBLEM_JSON, TooLarge, Unauthorized, encode, problem_of
from webapp.lab import Lab, the_lab
from webapp.protocols import cors
from webapp.protocols.batches import Dialect, Store, record_messages
from webapp.protocols.messages import SOURCE, kept, read_message
from webapp.protocols.payload import plain, read_object

blueprint = Blueprint("segment", __name__)

KINDS = {
    "track": "track", "identify": "identify", "page": "page", "screen": "screen", "alias": "alias", "group": "group",
    "t": "track", "i": "identify", "p": "page", "s": "screen", "a": "alias", "g": "group", "merge": "group",
    "batch": None, "b": None, "import": None,
}  # fmt: skip
"""The last part of the path, and the kind of message that it says; None where each message says its own."""


def receive(lab: Lab, call: Call, kind: str | None) -> Receipt:
    """Record what a client sent; durable when this returns. The errors are those of the whole body."""
    body = read_object(plain(call.body, call.headers.get("Content-Encoding"), lab.settings.max_body_bytes))
    caller = _caller(lab, call, body)
    messages = [body] if kind is not None or ("batch" not in body and "type" in body) else body.get("batch")
    if not isinstance(messages, list):
        raise Malformed('The body must be an object with a "batch" of messages')
    if len(messages) > LARGEST_BATCH:
        raise TooLarge(f"The batch has {len(messages)} messages; at most {LARGEST_BATCH} are read")
    said = dialect(caller.view, kind, body.get("sentAt"), call.now)
    return record_messages(Store(lab.engine, lab.writer), caller.view, messages, said, call.now)


def dialect(view: StorefrontView, kind: str | None, sent_at: object, received: Micros) -> Dialect:
    """How the messages of one body are read; `kind` is the route's, where the route names one."""
    return Dialect(
        SOURCE,
        lambda message: read_message(message, kind, view, sent_at, received),
        lambda message: kept(message, kind, sent_at),
    )


def _caller(lab: Lab, call: Call, body: dict[str, Any]) -> Access:
    """Who sends: by the headers' key, or by the body's writeKey where there is none or only an OAuth token."""
    written = body.get("writeKey")
    said = (call.headers.get("Authorization") or "").lower()
    alone = not said and not call.headers.get("X-API-Key")
    foreign = said.startswith("bearer ") and not said.startswith(tuple(f"bearer {kind}" for kind in PREFIX.values()))
    if isinstance(written, str) and written and (alone or foreign):
        return open_with(lab.snapshots, written, call.headers, call.now)
    return access(lab.snapshots, call.headers, call.now, call.query)


def _post(kind: str | None) -> Callable[[], Response]:
    def answer() -> Response:
        call = Call(request.headers, request.get_data(cache=False), now(), request.query_string.decode("latin-1"))
        receive(the_lab(), call, kind)
        return _json(200, {"success": True}, {})

    return answer


def _preflight() -> Response:
    return Response(b"", 204, cors.preflight(request.headers.get("Origin")))


def _json(status: int, body: object, headers: dict[str, str]) -> Response:
    carried = {"Content-Type": "application/json"} | headers | cors.readable(request.headers.get("Origin"))
    return Response(encode(body), status, carried)


for part, named in KINDS.items():
    path = f"/v1/{part}"
    blueprint.add_url_rule(path, part, _post(named), methods=["POST"], provide_automatic_options=False)
    blueprint.add_url_rule(path, f"{part}_preflight", _preflight, methods=["OPTIONS"])
blueprint.add_url_rule("/beacon/v1/batch", "beacon", _post(None), methods=["POST"])


@blueprint.get("/v1/projects/<key>/settings")
def settings(key: str) -> Response:
    """What Segment's browser client asks for before it sends anything: where to."""
    if not key.startswith(PREFIX["public"]):
        raise Unauthorized("The address must hold the storefront's public key (pk_…)")
    open_with(the_lab().snapshots, key, request.headers, now())
    here: dict[str, Any] = {
        "apiKey": key, "apiHost": f"{request.host}/v1", "protocol": request.scheme, "unbundledIntegrations": [],
        "addBundledMetadata": False, "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
    }  # fmt: skip
    enabled = {"__default": {"enabled": True, "integrations": {}}}
    found = {
        "integrations": {"Segment.io": here}, "plan": {"track": enabled, "identify": enabled, "group": enabled},
        "edgeFunction": {}, "analyticsNextEnabled": True, "middlewareSettings": {}, "enabledMiddleware": {},
        "metrics": {"sampleRate": 0}, "legacyVideoPluginsEnabled": False, "remotePlugins": [],
    }  # fmt: skip
    return _json(200, found, {"Cache-Control": "public, max-age=120"})


@blueprint.errorhandler(Exception)
def refused(error: Exception) -> Response:
    """The one error shape: without its `code` and `message` RudderStack's clients would send ten times more."""
    status, headers, shape = problem_of(error)
    return _json(status, shape, {"Content-Type": PROBLEM_JSON} | headers)
