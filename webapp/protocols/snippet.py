"""The snippet for shops without a build step: one script, served by us."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, request

from experiments.errors import NotFound
from webapp.protocols import cors

blueprint = Blueprint("snippet", __name__)

SCRIPT = Path(__file__).parent.parent / "static" / "snippet.js"

FRESH = {"Cache-Control": "public, max-age=3600, stale-while-revalidate=86400, stale-if-error=604800"}
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@cache
def source() -> tuple[bytes, str]:
    """The script and its version: the first digits of its own hash."""
    text = SCRIPT.read_bytes()
    return text, hashlib.sha256(text).hexdigest()[:12]


@blueprint.get("/snippet.js")
def newest() -> Response:
    """The script as it is now."""
    return _answer(FRESH)


@blueprint.get("/snippet-<version>.js")
def pinned(version: str) -> Response:
    """The script of one version, for pages that name its hash; another version than this installation's is not here."""
    if version != source()[1]:
        raise NotFound(f"There is no version {version!r} of the snippet; this installation has {source()[1]}")
    return _answer(FOREVER)


def _answer(caching: dict[str, str]) -> Response:
    text, version = source()
    headers = {"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    answer = Response(text, 200, headers | caching | cors.ANYONE)
    answer.set_etag(version)
    answer.make_conditional(request)
    return answer
