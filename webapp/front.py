"""The thin door: the hot routes straight from WSGI to their handlers, everything else to Flask.

Flask's own handling is most of the cost of a plain assignment. Both doors share the handlers, keys, errors and
headers of `api.intake`; a test sends every case through both.
"""

from collections.abc import Callable, Iterable
from functools import cache
from time import perf_counter_ns
from typing import Any

from flask import Flask

from webapp.api.intake import Call, Pending, Reply, begin
from webapp.api.routes import HANDLERS
from webapp.clock import now
from webapp.lab import Lab
from webapp.protocols import ofrep

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Send = Callable[[Reply], None]

STATUS = {
    200: "200 OK", 400: "400 Bad Request", 401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Not Found",
    409: "409 Conflict", 413: "413 Content Too Large", 415: "415 Unsupported Media Type",
    422: "422 Unprocessable Content", 429: "429 Too Many Requests", 500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}  # fmt: skip


@cache
def _name(header: str) -> str:
    """Where WSGI keeps a header; asked only for the few that this program reads."""
    return "CONTENT_TYPE" if header == "Content-Type" else "HTTP_" + header.upper().replace("-", "_")


class EnvironHeaders:
    """A request's headers as WSGI has them."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def get(self, key: str, /) -> str | None:
        """The header's value, or None."""
        return self._environ.get(_name(key))


class Front:
    """A WSGI application: the hot routes are answered here, the others by Flask."""

    def __init__(self, app: Flask) -> None:
        self._lab: Lab = app.extensions["offerlab"]
        self._flask = app.wsgi_app
        self._answered = self._lab.counts.answered

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        begun = self._begin(environ)
        if begun is None:
            return self._flask(environ, start_response)  # type: ignore[arg-type]  # the same thing, named by wsgiref
        found, route, started = begun
        reply = found.wait() if isinstance(found, Pending) else found
        self._answered(route, "POST", reply.status, started)
        headers = [*reply.headers.items(), ("Content-Length", str(len(reply.body)))]
        start_response(STATUS.get(reply.status) or f"{reply.status} Error", headers)
        return [reply.body]  # a list: servers send one whole, and anything else part by part

    def send(self, environ: Environ, send: Send) -> bool:
        """Have a hot route's answer sent, now or by another thread when it holds; False where Flask is to answer."""
        begun = self._begin(environ)
        if begun is None:
            return False
        found, route, started = begun
        if isinstance(found, Pending):
            found.send(lambda reply: self._send(reply, route, started, send))
        else:
            self._send(found, route, started, send)
        return True

    def _send(self, reply: Reply, route: str, started: int, send: Send) -> None:
        self._answered(route, "POST", reply.status, started)
        send(reply)

    def _begin(self, environ: Environ) -> tuple[Reply | Pending, str, int] | None:
        """A hot route's answer, its route, and when it was begun; None where the request is Flask's to answer."""
        path = environ["PATH_INFO"]
        handler = HANDLERS.get(path)
        flag = handler is None and path.startswith(ofrep.ONE)
        length = environ.get("CONTENT_LENGTH") or "0"
        hot = (handler is not None or flag) and environ["REQUEST_METHOD"] == "POST"
        chunked = "HTTP_TRANSFER_ENCODING" in environ  # of a length that nobody has told: Flask reads that with care
        if not hot or chunked or int(length) > self._lab.settings.max_body_bytes:
            return None
        started = perf_counter_ns()
        body = environ["wsgi.input"].read(int(length))
        call = Call(EnvironHeaders(environ), body, now(), environ["QUERY_STRING"])
        if handler is None:
            placement = path[len(ofrep.ONE) :].encode("latin-1").decode("utf-8", "replace")  # as WSGI has paths
            return ofrep.evaluate_one(self._lab, call, placement), ofrep.ONE_ROUTE, started
        return begin(self._lab, handler, call), path, started
