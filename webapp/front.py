"""The thin door: the hot routes straight from WSGI to their handlers, everything else to Flask.

Flask's own handling is most of the cost of a plain assignment. Both doors share the handlers, keys, errors and
headers of `api.intake`; a test sends every case through both.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from webapp.api.intake import Call, handle
from webapp.api.routes import HANDLERS
from webapp.clock import now
from webapp.lab import Lab

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

STATUS = {
    200: "200 OK", 400: "400 Bad Request", 401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Not Found",
    409: "409 Conflict", 413: "413 Content Too Large", 415: "415 Unsupported Media Type",
    422: "422 Unprocessable Content", 429: "429 Too Many Requests", 500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}  # fmt: skip


class EnvironHeaders:
    """A request's headers as WSGI has them."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def get(self, key: str, /) -> str | None:
        """The header's value, or None."""
        if key == "Content-Type":
            return self._environ.get("CONTENT_TYPE")
        return self._environ.get("HTTP_" + key.upper().replace("-", "_"))


class Front:
    """A WSGI application: the hot routes are answered here, the others by Flask."""

    def __init__(self, app: Flask) -> None:
        self._lab: Lab = app.extensions["offerlab"]
        self._flask = app.wsgi_app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        handler = HANDLERS.get(environ["PATH_INFO"])
        length = environ.get("CONTENT_LENGTH") or "0"
        if handler is None or environ["REQUEST_METHOD"] != "POST" or int(length) > self._lab.settings.max_body_bytes:
            return self._flask(environ, start_response)  # type: ignore[arg-type]  # the same thing, named by wsgiref
        body = environ["wsgi.input"].read(int(length))
        reply = handle(self._lab, handler, Call(EnvironHeaders(environ), body, now(), environ["QUERY_STRING"]))
        headers = [*reply.headers.items(), ("Content-Length", str(len(reply.body)))]
        start_response(STATUS.get(reply.status) or f"{reply.status} Error", headers)
        return (reply.body,)
