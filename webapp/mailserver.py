"""The mail server as one address says it: `smtp://user:password@host:587`, `smtps://…:465`, `…?tls=off`."""

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from experiments.errors import Invalid

_NAME = "OFFERLAB_SMTP_URL"
_SAID = "write smtp://user:password@host:587, smtps://user:password@host:465, or smtp://host:25?tls=off"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where it is, how the line is closed (`implicit`, by STARTTLS, or not at all), and who we are there."""

    host: str
    port: int
    tls: str
    user: str = ""
    password: str = ""


def read_smtp(url: str) -> MailServer:
    """The mail server of an address; Invalid where it is none, or would send a password over an open line."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Invalid.at(_NAME, f"is no address of a mail server; {_SAID}") from None
    asked = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme not in {"smtp", "smtps"} or not host or asked not in ({}, {"tls": ["off"]}):
        raise Invalid.at(_NAME, f"is no address of a mail server; {_SAID}")
    tls = "implicit" if parts.scheme == "smtps" else "off" if asked else "starttls"
    if asked and (parts.scheme == "smtps" or parts.username):
        raise Invalid.at(_NAME, "tls=off goes with neither smtps:// nor a password, which anybody could read")
    default = {"implicit": 465, "starttls": 587, "off": 25}[tls]
    return MailServer(host, port or default, tls, unquote(parts.username or ""), unquote(parts.password or ""))
