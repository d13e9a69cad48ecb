"""GrowthBook's SDKs: the payload they evaluate locally, live updates, and what their tracking plugin sends."""

from flask import Blueprint, Response, request

from webapp.api.intake import receipt_json
from webapp.auth import Access, open_with
from webapp.clock import now
from webapp.errors import PROBLEM_JSON, Unauthorized, encode, problem_of
from webapp.lab import the_lab
from webapp.protocols import cors
from webapp.protocols.batches import Store
from webapp.protocols.streams import Version, the_streams
from webapp.protocols.tracked import record_tracked

blueprint = Blueprint("growthbook", __name__)

CACHING = {"Cache-Control": "public, max-age=30, stale-while-revalidate=3600, stale-if-error=86400"}
"""A CDN in front answers for us for half a minute, and for a day while we are away."""

LIVE = {"x-sse-support": "enabled"}
STREAM = "/sub/"
"""Where an SDK follows the payload, before its key."""


@blueprint.get("/api/features/<key>", provide_automatic_options=False)
def features(key: str) -> Response:
    """The storefront's placements as features."""
    view = _public(key).view
    found = the_streams().features(view, now())
    headers = CACHING | LIVE | cors.ANYONE
    answer = Response(found.json, 200, {"Content-Type": "application/json"} | headers)
    answer.set_etag(found.digest)
    answer.make_conditional(request)
    return answer


@blueprint.get(f"{STREAM}<key>", provide_automatic_options=False)
def subscribe(key: str) -> Response:
    """The payload again, each time that it changes."""
    view = _public(key).view
    answer = the_streams().follow(view, request.headers, _payload, greet=True)
    answer.headers.update(cors.ANYONE)
    return answer


def _payload(version: Version) -> tuple[str, str, str]:
    return "features", version.features.json.decode(), version.features.digest


@blueprint.post("/track", provide_automatic_options=False)
def track() -> Response:
    """What the tracking plugin saw: an array of events, said to be text so that browsers ask for no preflight."""
    lab, at = the_lab(), now()
    caller = _public(request.args.get("client_key", ""))
    body = request.get_data(cache=False)
    receipt = record_tracked(Store(lab.engine, lab.writer), caller.view, body, at)
    headers = cors.readable(request.headers.get("Origin"))
    return Response(encode(receipt_json(receipt)), 200, {"Content-Type": "application/json"} | headers)


@blueprint.route("/api/features/<key>", methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route(f"{STREAM}<key>", methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route("/track", methods=["OPTIONS"], provide_automatic_options=False)
def allowed(key: str = "") -> Response:  # noqa: ARG001 - what may be asked is the same for each
    """A browser's preflight; the SDKs avoid one, other callers may not."""
    return Response(b"", 204, cors.preflight(request.headers.get("Origin")))


@blueprint.errorhandler(Exception)
def refused(error: Exception) -> Response:
    """Our error shape, with `error` as GrowthBook's SDKs and proxies look for it."""
    status, headers, shape = problem_of(error)
    shape |= {"error": "Invalid API Key" if isinstance(error, Unauthorized) else shape["detail"]}
    headers |= {"Content-Type": PROBLEM_JSON, "Cache-Control": "no-store"} | cors.ANYONE
    return Response(encode(shape), status, headers)


def _public(key: str) -> Access:
    """Whose public key this is; any other kind has no place in an address."""
    if not key.startswith("pk_"):
        raise Unauthorized("The address must hold the storefront's public key (pk_…)")
    return open_with(the_lab().snapshots, key, request.headers, now())
