"""One message of a Segment or RudderStack client: who it is about, when it happened, and what it says.

A message is read alone: what cannot be read is an Invalid, and the others of its batch go on.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from experiments.errors import Invalid
from experiments.events import EARLIEST
from experiments.identifiers import UnitId
from experiments.moment import DAY, Micros, iso, micros
from experiments.service.snapshot import StorefrontView
from experiments.shape import convert
from experiments.wording import worded
from webapp.protocols.ecommerce import Context, Record, to_record

PAGES = frozenset({"page", "screen"})
SILENT = frozenset({"group"})
"""Well-formed, and nothing that an experiment could read."""
PERSONAL = frozenset({"context", "traits", "integrations"})
SOURCE = "segment"
"""The intake by which quarantine knows these messages."""


class Kept(msgspec.Struct, frozen=True):
    """A message in quarantine, with what its route and its batch said of it."""

    message: Any
    kind: str | None = None
    sent_at: Any = None


def kept(message: object, kind: str | None, sent_at: object) -> Kept:
    """A message without the page, the browser and the traits of whoever it is about."""
    bare = {k: v for k, v in message.items() if k not in PERSONAL} if isinstance(message, dict) else message
    return Kept(bare, kind, sent_at)


class Link(msgspec.Struct, frozen=True):
    """A visitor turned out to be a customer."""

    visitor_id: UnitId
    customer_id: UnitId


def read_message(
    message: object, kind: str | None, view: StorefrontView, sent_at: object, received: Micros
) -> Record | Link | None:
    """What a message says, None where that is nothing to keep; `kind` is the route's, where the route names one."""
    if not isinstance(message, dict):
        raise Invalid.at("", worded("a message must be an object"))
    kind = kind or _name(message, "type").lower()
    if kind in SILENT:
        return None
    visitor_id, customer_id = _id(message, "anonymousId"), _id(message, "userId")
    if kind == "alias":
        return _link(_id(message, "previousId"), customer_id or visitor_id)
    if visitor_id is None and customer_id is None:
        raise Invalid.at("anonymousId", worded("is required (or userId)"))
    if kind == "identify":
        return _link(visitor_id, customer_id)
    context = Context(view, visitor_id, customer_id, _occurred(message, sent_at, received), _event_id(message))
    properties = message.get("properties") or {}
    if not isinstance(properties, dict):
        raise Invalid.at("properties", worded("must be an object"))
    if kind in PAGES:
        return to_record("page_view", {}, context)
    if kind != "track":
        raise Invalid.at(
            "type",
            worded(
                "%(given)s is none of %(known)s",
                given=repr(kind[:40]),
                known="track, identify, page, screen, alias, group",
            ),
        )
    return to_record(_name(message, "event"), properties, context)


def _link(visitor_id: str | None, customer_id: str | None) -> Link | None:
    if visitor_id is None or customer_id is None or visitor_id == customer_id:
        return None
    return convert({"visitor_id": visitor_id, "customer_id": customer_id}, Link)


def _name(message: Mapping[str, Any], field: str) -> str:
    name = message.get(field)
    if not isinstance(name, str) or not name.strip():
        raise Invalid.at(field, worded("is required"))
    return name.strip()


def _id(message: Mapping[str, Any], field: str) -> str | None:
    """An id, which clients also send as a number; None where there is none."""
    value = message.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid.at(field, worded("must be a string"))
    return str(value)


def _event_id(message: Mapping[str, Any]) -> str | None:
    """The message's id; without one its content, where that carries its time: a retry is then the same."""
    given = message.get("messageId")
    if isinstance(given, str | int) and given != "" and len(str(given)) <= 200 and str(given).isprintable():
        return str(given)
    if not given and _written(message) is None:
        return None
    content = {name: value for name, value in message.items() if name not in {"sentAt", "writeKey", "_metadata"}}
    try:
        canonical = msgspec.json.encode(content, order="sorted")
    except (UnicodeEncodeError, RecursionError):
        raise Invalid.at("messageId", worded("is not readable text")) from None
    return f"content:{hashlib.blake2b(canonical, digest_size=16).hexdigest()}"


def _written(message: Mapping[str, Any]) -> object:
    """When the client's clock says it was: RudderStack's browsers call it originalTimestamp."""
    given = message.get("originalTimestamp")
    return message.get("timestamp") if given is None else given


def _occurred(message: Mapping[str, Any], sent_at: object, received: Micros) -> str | None:
    """When it happened by our clock: the client's time, moved by how far its clock is off.

    What it sent at `sentAt` arrived now, so its clock is off by the difference (Segment: "timestamps in Segment").
    """
    written = _written(message)
    if written is None or written == "":
        return None
    at = _micros(written)
    if at is None:
        raise Invalid.at(
            "timestamp", worded("%(given)s is no time: write 2026-11-21T12:00:00Z", given=repr(str(written)[:40]))
        )
    sent = _micros(message.get("sentAt") if sent_at is None else sent_at)
    if sent is not None:
        at = Micros(at + received - sent)
    if not EARLIEST <= at <= received + DAY:
        raise Invalid.at(
            "timestamp", worded("%(given)s is before the year 2000 or in the future", given=repr(str(written)[:40]))
        )
    return iso(at)


def _micros(value: object) -> Micros | None:
    """A time from its text, in UTC where no zone is named; None where it is no time."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return micros(read if read.tzinfo is not None else read.replace(tzinfo=UTC))
