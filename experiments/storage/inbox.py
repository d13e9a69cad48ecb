"""The inbox of webhooks: each delivery as it came, what became of it, and the secrets that sign."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import webhook_delivery, webhook_secret

Source = Literal["shopify", "woocommerce"]
State = Literal["received", "done", "ignored", "failed"]
SOURCES: tuple[Source, ...] = ("shopify", "woocommerce")
OPEN: tuple[State, ...] = ("received", "failed")
"""What may be tried again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook: its unique id, its topic, the headers of use, its body."""

    source: Source
    delivery_id: str
    topic: str
    headers: Mapping[str, str]
    body: bytes
    received_at: Micros


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery as the inbox holds it."""

    id: int
    delivery: Delivery
    state: State
    reason: str


def put_delivery(conn: Connection, storefront_id: StorefrontId, delivery: Delivery) -> Held:
    """The delivery as it is held now: just received, or, where its id is known, as it was left."""
    values = {
        "storefront_id": storefront_id, "source": delivery.source, "delivery_id": delivery.delivery_id,
        "topic": delivery.topic, "headers": dict(delivery.headers), "body": delivery.body,
        "received_at": delivery.received_at, "state": "received", "reason": "",
    }  # fmt: skip
    insert_into = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(insert_into(webhook_delivery).values(values).on_conflict_do_nothing())
    t = webhook_delivery.c
    mine = (t.storefront_id == storefront_id, t.source == delivery.source, t.delivery_id == delivery.delivery_id)
    return _held(conn.execute(select(webhook_delivery).where(*mine)).one())


def settle_delivery(conn: Connection, held_id: int, state: State, reason: str) -> None:
    """What became of a delivery."""
    conn.execute(update(webhook_delivery).where(webhook_delivery.c.id == held_id).values(state=state, reason=reason))


def deliveries(
    conn: Connection, storefront_id: StorefrontId, states: Sequence[State], after: int = 0, limit: int = 500
) -> list[Held]:
    """Deliveries in these states, the oldest first, from behind the one with the id `after`."""
    t = webhook_delivery.c
    query = select(webhook_delivery).where(t.storefront_id == storefront_id, t.state.in_(states), t.id > after)
    return [_held(row) for row in conn.execute(query.order_by(t.id).limit(limit))]


def forget_bodies(conn: Connection, storefront_id: StorefrontId, before: Micros) -> int:
    """Empty the bodies of settled deliveries that came before a moment; gives how many there were."""
    t = webhook_delivery.c
    which = (t.storefront_id == storefront_id, t.state.not_in(OPEN), t.received_at < before, t.body != b"")
    return conn.execute(update(webhook_delivery).where(*which).values(body=b"")).rowcount


def erase_from_inbox(conn: Connection, storefront_id: StorefrontId, ids: Collection[str]) -> int:
    """Empty every delivery that names one of these visitors or customers, and settle it; gives how many there were."""
    t, erased, after = webhook_delivery.c, 0, 0
    while True:
        here = (t.storefront_id == storefront_id, t.id > after, t.body != b"")
        batch = conn.execute(select(t.id, t.body).where(*here).order_by(t.id).limit(500)).all()
        if not batch:
            return erased
        named = [row.id for row in batch if _names(row.body, ids)]
        gone = update(webhook_delivery).values(body=b"", state="ignored", reason="erased")
        conn.execute(gone.where(t.id.in_(named)))
        erased, after = erased + len(named), batch[-1].id


def _names(body: bytes, ids: Collection[str]) -> bool:
    try:
        inner = [msgspec.json.decode(body)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return any(one.encode() in body for one in ids)  # what cannot be read may hold anything
    while inner:
        value = inner.pop()
        if isinstance(value, dict):
            inner += value.values()
        elif isinstance(value, list):
            inner += value
        elif str(value) in ids:
            return True
    return False


def _held(row: Row[Any]) -> Held:
    delivery = Delivery(row.source, row.delivery_id, row.topic, row.headers, row.body, Micros(row.received_at))
    return Held(row.id, delivery, row.state, row.reason)


def live_secrets(conn: Connection, storefront_id: StorefrontId, source: Source, now: Micros) -> list[str]:
    """The secrets that sign at this moment, the newest first: one, or two while they are rotated."""
    t = webhook_secret.c
    live = or_(t.accepted_until.is_(None), t.accepted_until > now)
    query = select(t.secret).where(t.storefront_id == storefront_id, t.source == source, live).order_by(t.id.desc())
    return list(conn.scalars(query))


def add_secret(conn: Connection, storefront_id: StorefrontId, source: Source, secret: str, now: Micros) -> None:
    """One more secret."""
    conn.execute(
        insert(webhook_secret).values(storefront_id=storefront_id, source=source, secret=secret, created_at=now)
    )


def end_secrets(conn: Connection, storefront_id: StorefrontId, source: Source, until: Micros, *, rotated: bool) -> int:
    """Let secrets be accepted until a moment: the present ones, or, with `rotated`, those already on their way out."""
    t = webhook_secret.c
    on_the_way = t.accepted_until > until if rotated else t.accepted_until.is_(None)
    which = (t.storefront_id == storefront_id, t.source == source, on_the_way)
    return conn.execute(update(webhook_secret).where(*which).values(accepted_until=until)).rowcount
