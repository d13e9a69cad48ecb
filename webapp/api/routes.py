"""The routes of `/v1`: thin, each hands its call to a function of `intake`."""

from flask import Blueprint, Response, request

from webapp.api import intake
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("v1", __name__)

HANDLERS: dict[str, intake.Handler] = {
    "/v1/assignments": intake.assignments,
    "/v1/exposures": intake.exposures,
    "/v1/conversions": intake.conversions,
    "/v1/identities": intake.identities,
}

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, if-none-match, x-api-key",
    "Access-Control-Max-Age": "7200",
}


def _answer() -> Response:
    call = intake.Call(request.headers, request.get_data(cache=False), now(), request.query_string.decode("latin-1"))
    reply = intake.handle(the_lab(), HANDLERS[request.path], call)
    return Response(reply.body, reply.status, reply.headers)


def _preflight() -> Response:
    return Response(b"", 204, intake.cors_headers(request.headers.get("Origin")) | PREFLIGHT)


for path in HANDLERS:
    name = path.rpartition("/")[2]
    blueprint.add_url_rule(path, name, _answer, methods=["POST"], provide_automatic_options=False)
    blueprint.add_url_rule(path, f"{name}_preflight", _preflight, methods=["OPTIONS"], provide_automatic_options=False)
