"""A real proxy that fails: in front of the server, every second request is answered 500 instead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding", "content-encoding"}


@dataclass
class Flaky:
    """The proxy: where it listens, and what became of each request."""

    url: str = ""
    sent: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fate(self) -> str:
        """In turn: lost before the server saw it, handed on, handed on with the answer lost, handed on."""
        with self.lock:
            self.sent.append(("before", "through", "after", "through")[len(self.sent) % 4])
            return self.sent[-1]


@contextmanager
def flaky_proxy(target: str) -> Iterator[Flaky]:
    """A proxy before `target`, for POST."""
    flaky, session = Flaky(), requests.Session()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fate = flaky.fate()
            answer = None
            if fate != "before":
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP - {"content-encoding"}}
                answer = session.post(target + self.path, data=body, headers=headers, timeout=30)
            if answer is None or fate == "after":
                self.answer(500, b'{"code":"internal_error","message":"the proxy failed"}')
            else:
                self.answer(answer.status_code, answer.content)

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    flaky.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield flaky
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        session.close()
