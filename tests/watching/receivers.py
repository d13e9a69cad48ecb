"""Those who get alerts: a real web server and a real mail server on sockets of this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Received:
    """What came to a web server: headers and bodies, in order."""

    url: str = ""
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def web_server(*answers: int | str) -> Iterator[Received]:
    """A server that answers with these statuses in turn, the last one for ever.

    `hang` says nothing until the end, `drip` never ends its headers, `lead` sends elsewhere.
    """
    got, ended = Received(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = answers[min(len(got.posts), len(answers)) - 1]
            if answer == "hang":
                ended.wait(30)
            elif answer == "drip":
                self._drip()
            elif answer == "lead":
                self.send_response(302)
                self.send_header("Location", got.url)
                self.end_headers()
            else:
                self.send_response(int(answer))
                self.end_headers()

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            try:
                while not ended.wait(0.05):
                    self.wfile.write(b"x")
            except OSError:
                return

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A caller that hung up is part of the test."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        got.url = f"http://127.0.0.1:{server.server_address[1]}/hook?team=shop"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield got
        finally:
            ended.set()
            server.shutdown()
            thread.join(10)


@dataclass
class Mailbox:
    """What came to a mail server; addresses in `unknown` are refused."""

    port: int = 0
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Take an address, or not."""
        if address in self.unknown:
            return "550 nobody here by that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep the message."""
        made = message_from_bytes(envelope.content, policy=default)
        assert isinstance(made, EmailMessage)
        self.mails.append((envelope.rcpt_tos[0], made))
        return "250 OK"


@contextmanager
def mail_server(**options: Any) -> Iterator[Mailbox]:
    """A mail server on a free port."""
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        box.port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
