"""Posting an alert to a webhook, signed as Standard Webhooks says (standardwebhooks.com, version 1).

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`, under the secret behind `whsec_`.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from experiments.moment import SECOND, Micros
from webapp.watching.addresses import address_of
from webapp.watching.undelivered import Undelivered

PATIENCE = 10.0
"""Seconds that a receiver has for each step of the answer."""
LONGEST = 20.0
"""Seconds after which the line is cut, whatever still trickles in."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post, under which secret; `private` allows this machine and its network."""

    url: str
    secret: str
    private: bool = False
    patience: float = PATIENCE
    longest: float = LONGEST


def signed(secret: str, message_id: str, at: Micros, body: bytes) -> dict[str, str]:
    """The headers that let a receiver know us, and drop what it has had already."""
    timestamp = str(at // SECOND)
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise Undelivered("the webhook's secret cannot be read: make a new one") from None
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def post(to: Webhook, message_id: str, body: bytes, at: Micros) -> None:
    """Post it; Undelivered where anything but a 2xx comes back in time. No redirect is followed."""
    parts = urlsplit(to.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if not secure and not to.private:
        raise Undelivered("the webhook's address must begin with https://")
    headers = {"Content-Type": "application/json", "User-Agent": "Offerlab"} | signed(to.secret, message_id, at, body)
    line = _Line(host, port, address_of(host, port, private=to.private), to.patience, secure=secure)
    # a receiver that sends a byte now and then would never meet the time-out of a single read
    cut = threading.Timer(to.longest, line.cut)
    cut.daemon = True
    try:
        cut.start()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        line.request("POST", path, body, headers)
        status = line.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        slow = line.was_cut or isinstance(error, TimeoutError)
        why = f"{host} did not answer in time" if slow else f"{host} could not be reached: {_why(error)}"
        raise Undelivered(why) from None
    finally:
        cut.cancel()
        line.close()
    if line.was_cut:  # an end that we made ourselves reads like the end of an answer
        raise Undelivered(f"{host} did not answer in time")
    if not 200 <= status < 300:
        raise Undelivered(f"{host} answered {status}")


class _Line(http.client.HTTPConnection):
    """A connection to the address that was checked, under the host's name."""

    def __init__(self, host: str, port: int, address: str, timeout: float, *, secure: bool) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address, self._secure, self.was_cut = address, secure, False
        if secure:
            self.default_port = 443

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        try:
            self.sock = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=self.host) if self._secure else plain
            )
        except BaseException:
            plain.close()
            raise

    def cut(self) -> None:
        """End it from another thread: what waits for an answer fails."""
        self.was_cut = True
        sock: Any = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:200]
