"""What lets pages of other origins read our answers."""

from webapp.api.intake import cors_headers
from webapp.api.routes import PREFLIGHT

EXPOSED = {"Access-Control-Expose-Headers": "ETag, Retry-After, x-sse-support"}
"""Without `ETag` here OpenFeature's web provider never asks conditionally; without `x-sse-support` GrowthBook's
script never opens a stream."""

ANYONE = {"Access-Control-Allow-Origin": "*"} | EXPOSED
"""For what is public and cached for everyone: an echoed origin would make a cache keep one answer for each page."""


def readable(origin: str | None) -> dict[str, str]:
    """The headers of an answer to a page of this origin."""
    return cors_headers(origin) | EXPOSED if origin else {}


def preflight(origin: str | None) -> dict[str, str]:
    """The headers that answer a browser's question whether it may ask at all."""
    return cors_headers(origin) | PREFLIGHT
