"""Errors as answers: one JSON shape on every route (RFC 9457), mapped here and nowhere else."""

import logging
from typing import Any

import orjson
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from experiments.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotEstimable,
    NotFound,
    OfferlabError,
    Unavailable,
)

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"

TITLES = {
    400: "Malformed request", 401: "Not authenticated", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    409: "Conflict", 413: "Too large", 415: "Unsupported media type", 422: "Invalid", 429: "Too many requests",
    500: "Internal error", 503: "Unavailable",
}  # fmt: skip


class Unauthorized(OfferlabError):
    """No key, or one that opens nothing."""

    code = "unauthorized"


class TooLarge(OfferlabError):
    """The body is larger than this installation takes."""

    code = "too_large"


class UnsupportedMedia(OfferlabError):
    """The body is not what the route reads."""

    code = "unsupported_media_type"


STATUS: dict[type[OfferlabError], int] = {
    Malformed: 400, Unauthorized: 401, Forbidden: 403, NotFound: 404, Conflict: 409, TooLarge: 413,
    UnsupportedMedia: 415, Invalid: 422, NotEstimable: 422, Unavailable: 503,
}  # fmt: skip


def status_of(error: OfferlabError) -> int:
    """The HTTP status of a typed error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def problem(status: int, code: str, message: str, **more: Any) -> dict[str, Any]:
    """The one error shape of the contract."""
    title = TITLES.get(status, "Error")
    shape = {"type": f"urn:offerlab:error:{code}", "title": title, "status": status, "detail": message}
    return shape | {"code": code, "message": message} | more


def problem_of(error: Exception) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body for any exception; what nobody foresaw is logged and says nothing of the inside."""
    headers: dict[str, str] = {}
    if isinstance(error, Invalid):
        fields = [{"field": e.field, "message": e.message} for e in error.errors]
        return 422, headers, problem(422, error.code, error.message, errors=fields)
    if isinstance(error, OfferlabError):
        status = status_of(error)
        if isinstance(error, Unavailable):
            headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, Unauthorized):
            headers["WWW-Authenticate"] = 'Bearer realm="offerlab"'
        return status, headers, problem(status, error.code, error.message)
    if isinstance(error, HTTPException) and error.code is not None:
        code = (error.name or "error").lower().replace(" ", "_")
        if isinstance(error, MethodNotAllowed):
            headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return error.code, headers, problem(error.code, code, error.description or error.name)
    log.error("unforeseen error", exc_info=error)
    return 500, headers, problem(500, "internal_error", "Something went wrong here; it has been logged")


def encode(body: object) -> bytes:
    """JSON bytes; orjson refuses NaN silently as null, so numbers are checked where they are made."""
    return orjson.dumps(body)
