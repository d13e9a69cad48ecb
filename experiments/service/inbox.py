"""Webhooks: whose signature it is, the delivery durable before anything is made of it, then its meaning recorded.

What cannot be recorded stays in the inbox with its reason, and can be tried again. A request about somebody's data is
acted on: an erasure at once, a question by who can answer it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine

from experiments.errors import Conflict, Invalid, Malformed, NotFound
from experiments.events import NewId
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.sealing import Seal
from experiments.service.erasing import erase, erase_everybody, person_of
from experiments.service.recording import Receipt, record_conversions
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.inbox import (
    OPEN,
    Delivery,
    Held,
    Source,
    State,
    add_secret,
    deliveries,
    emptied,
    end_secrets,
    has_secret,
    let_go,
    live_secrets,
    put_delivery,
    settle_delivery,
)
from experiments.storage.registry import AuditEntry, write_audit
from experiments.wording import worded

SHORTEST_SECRET = 16
LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a delivery says: conversions as the contract's JSON, whom to forget, or why nothing is made of it."""

    conversions: Sequence[bytes] = ()
    ignored: str = ""
    redaction: "Redaction | None" = None


@dataclass(frozen=True, slots=True)
class Redaction:
    """Whose data goes: a customer's, with these orders; or, with `everybody`, that of all people of the storefront."""

    customer_id: str | None = None
    orders: frozenset[str] = frozenset()
    everybody: bool = False


Read = Callable[[StorefrontView, Delivery], Meaning]
"""Reads a delivery; Invalid or Malformed where it cannot be read."""


def signature(body: bytes, secret: str) -> str:
    """How Shopify and WooCommerce sign: HMAC-SHA256 of the raw body, in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def is_signed(
    engine: Engine, storefront_id: StorefrontId, source: Source, body: bytes, signed: str, now: Micros, seal: Seal
) -> bool:
    """Whether one of the storefront's live secrets signed this body; how long that takes tells nothing of them."""
    with reading(engine) as conn:
        secrets = live_secrets(conn, storefront_id, source, now, seal)
    given = signed.strip().encode()
    matches = [hmac.compare_digest(signature(body, secret).encode(), given) for secret in secrets]
    return any(matches)


def take_delivery(
    engine: Engine,
    writer: EventWriter,
    view: StorefrontView,
    delivery: Delivery,
    read: Read,
    now: Micros,
    new_id: NewId,
) -> Held:
    """Keep a delivery, durably, then record what it means; one that is known and settled changes nothing.

    Unavailable leaves it in the inbox, for the sender's next attempt or for `replay`.
    """
    with writing(engine) as conn:
        held = put_delivery(conn, view.storefront.id, delivery)
    if held.state in {"done", "ignored"}:
        return held
    return _settle(engine, writer, view, held, read, now, new_id)


def replay(
    engine: Engine,
    writer: EventWriter,
    view: StorefrontView,
    readers: Mapping[Source, Read],
    now: Micros,
    new_id: NewId,
) -> list[Held]:
    """Try again what is not settled; gives every delivery that was tried, as it is now."""
    tried: list[Held] = []
    while True:
        with reading(engine) as conn:
            batch = deliveries(conn, view.storefront.id, OPEN, tried[-1].id if tried else 0)
        if not batch:
            return tried
        tried += [_settle(engine, writer, view, h, readers[h.delivery.source], now, new_id) for h in batch]


def _settle(
    engine: Engine, writer: EventWriter, view: StorefrontView, held: Held, read: Read, now: Micros, new_id: NewId
) -> Held:
    state: State
    try:
        meaning = read(view, held.delivery)
        if meaning.redaction is not None:
            return _redacted(engine, view, held, meaning.redaction, now)
        found = meaning.conversions
        receipt = record_conversions(writer, view, found, now, new_id, source=None) if found else Receipt()
        state, reason = _outcome(meaning, receipt)
    except (Invalid, Malformed) as refusal:
        state, reason = "failed", f"{refusal.code}: {refusal.message}"
    with writing(engine) as conn:
        settle_delivery(conn, held.id, state, reason[:LONGEST_REASON])
    return Held(held.id, held.delivery, state, reason[:LONGEST_REASON])


def _redacted(engine: Engine, view: StorefrontView, held: Held, redaction: Redaction, now: Micros) -> Held:
    """Who was named is forgotten, and this delivery's own body with them, in one transaction."""
    here, actor = view.storefront, f"{held.delivery.source} {held.delivery.topic}"
    with writing(engine) as conn:
        if redaction.everybody:
            gone = erase_everybody(conn, here, actor, now)
        else:
            person = person_of(conn, here.id, None, redaction.customer_id, redaction.orders)
            gone = erase(conn, here, person, actor, now)
        emptied(conn, [held.id])
        reason = f"erased: {sum(gone.values())} rows"
        settle_delivery(conn, held.id, "done", reason)
    return Held(held.id, replace(held.delivery, body=b""), "done", reason)


def settle(engine: Engine, view: StorefrontView, held_id: int, actor: str, now: Micros) -> None:
    """Let go of a delivery that nothing can be made of, or that a person has answered; NotFound where there is none."""
    with writing(engine) as conn:
        if not let_go(conn, view.storefront.id, held_id, f"settled by {actor}"):
            raise NotFound(f"There is no delivery {held_id} that waits")
        write_audit(conn, view.storefront.id, AuditEntry(now, actor, "settle", f"delivery:{held_id}", None, None))


def _outcome(meaning: Meaning, receipt: Receipt) -> tuple[State, str]:
    if meaning.ignored:
        return "ignored", meaning.ignored
    if receipt.rejected:
        return "failed", "; ".join(f"{refused.code}: {refused.message}" for refused in receipt.rejected)
    return "done", f"{receipt.accepted} new, {receipt.duplicate} known"


def add_webhook(
    conn: Connection, storefront_id: StorefrontId, source: Source, secret: str, now: Micros, actor: str, seal: Seal
) -> None:
    """The first secret of a source; Conflict where it has one, which is then to be rotated."""
    _check_secret(secret)
    if has_secret(conn, storefront_id, source, now):
        raise Conflict("webhook_exists", worded("There is a secret for %(source)s already: rotate it", source=source))
    add_secret(conn, storefront_id, source, secret, now, seal)
    write_audit(conn, storefront_id, AuditEntry(now, actor, "webhook_added", source, None, None))


def rotate_webhook(
    conn: Connection,
    storefront_id: StorefrontId,
    source: Source,
    secret: str,
    until: Micros,
    now: Micros,
    actor: str,
    seal: Seal,
) -> None:
    """A new secret; the one before it is accepted until then, those before that no more. NotFound without one."""
    _check_secret(secret)
    end_secrets(conn, storefront_id, source, now, rotated=True)
    if not end_secrets(conn, storefront_id, source, until, rotated=False):
        raise NotFound(f"There is no secret for {source} yet: add one")
    add_secret(conn, storefront_id, source, secret, now, seal)
    write_audit(conn, storefront_id, AuditEntry(now, actor, "webhook_rotated", source, None, None))


def withdraw_webhook(conn: Connection, storefront_id: StorefrontId, source: Source, now: Micros, actor: str) -> int:
    """Accept the secret that was rotated away no more; gives how many there were."""
    ended = end_secrets(conn, storefront_id, source, now, rotated=True)
    write_audit(conn, storefront_id, AuditEntry(now, actor, "webhook_withdrawn", source, None, None))
    return ended


def _check_secret(secret: str) -> None:
    if len(secret) < SHORTEST_SECRET or not secret.isprintable():
        raise Invalid.at("secret", worded("must be at least %(least)s printable characters", least=SHORTEST_SECRET))
