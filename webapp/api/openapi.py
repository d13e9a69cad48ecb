"""`GET /openapi.json`: what this API is, for programs; `GET /docs`: the same for people."""

import hashlib
from pathlib import Path

import flask_swagger_ui
import msgspec
from flask import Blueprint, Response, current_app, render_template, request, send_from_directory

from experiments.errors import NotFound
from webapp.errors import encode
from webapp.ui import look

blueprint = Blueprint("openapi", __name__)

DIST = Path(flask_swagger_ui.__file__).parent / "dist"
SERVED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
"""The files of the installed package that the page needs."""


@blueprint.get("/openapi.json")
def document() -> Response:
    """This description."""
    body = _document()
    answer = Response(body, 200, {"Content-Type": "application/json", "Cache-Control": "no-cache"})
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.set_etag(hashlib.blake2b(body, digest_size=16).hexdigest())
    answer.make_conditional(request)
    return answer


def _document() -> bytes:
    """The routes of a running application never change, so neither does their description."""
    from webapp.openapi.document import document as described  # brings all types along, which serving does not need

    known: bytes | None = current_app.extensions.get("offerlab.openapi")
    if known is None:
        known = current_app.extensions["offerlab.openapi"] = encode(described(current_app))
    return known


@blueprint.get("/docs")
def docs() -> str:
    """The description as a page on which each route can be tried."""
    return render_template("docs.html", description=msgspec.json.decode(_document()), theme=look.theme())


@blueprint.get("/docs/<name>")
def file(name: str) -> Response:
    """A file of the page."""
    if name not in SERVED:
        raise NotFound(f"There is no {name!r} here")
    return send_from_directory(DIST, name, max_age=86_400)
