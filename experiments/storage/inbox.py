"""The inbox of webhooks: each delivery as it came, what became of it, and the secrets that sign, sealed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.sealing import Seal, Unsealable
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


def let_go(conn: Connection, storefront_id: StorefrontId, held_id: int, reason: str) -> bool:
    """Settle a delivery that waits, without its body; whether there was one."""
    t = webhook_delivery.c
    waiting = (t.storefront_id == storefront_id, t.id == held_id, t.state.in_(OPEN))
    gone = update(webhook_delivery).where(*waiting).values(state="ignored", reason=reason, body=b"")
    return conn.execute(gone).rowcount == 1


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


def emptied(conn: Connection, held_ids: Collection[int]) -> int:
    """Let the bodies of deliveries go and settle them; the ids stay, so that a repeat is still known."""
    gone = update(webhook_delivery).values(body=b"", state="ignored", reason="erased")
    return conn.execute(gone.where(webhook_delivery.c.id.in_(held_ids))).rowcount


def kept_bodies(conn: Connection, storefront_id: StorefrontId) -> Iterator[Held]:
    """Every delivery whose body is still here, the oldest first."""
    t, after = webhook_delivery.c, 0
    while True:
        here = (t.storefront_id == storefront_id, t.id > after, t.body != b"")
        batch = conn.execute(select(webhook_delivery).where(*here).order_by(t.id).limit(500)).all()
        if not batch:
            return
        yield from map(_held, batch)
        after = batch[-1].id


def _held(row: Row[Any]) -> Held:
    delivery = Delivery(row.source, row.delivery_id, row.topic, row.headers, row.body, Micros(row.received_at))
    return Held(row.id, delivery, row.state, row.reason)


def live_secrets(conn: Connection, storefront_id: StorefrontId, source: Source, now: Micros, seal: Seal) -> list[str]:
    """The secrets that sign at this moment, the newest first: one, or two while they are rotated.

    Unsealable where there are some, and none of them can be opened.
    """
    t = webhook_secret.c
    live = or_(t.accepted_until.is_(None), t.accepted_until > now)
    query = select(webhook_secret).where(t.storefront_id == storefront_id, t.source == source, live)
    known: list[str] = []
    closed: Unsealable | None = None
    for row in conn.execute(query.order_by(t.id.desc())):
        try:
            known.append(seal.open(row.secret) if row.sealed else row.secret)
        except Unsealable as refusal:
            closed = refusal
    if closed is not None and not known:
        raise closed
    return known


def has_secret(conn: Connection, storefront_id: StorefrontId, source: Source, now: Micros) -> bool:
    """Whether any secret signs at this moment."""
    t = webhook_secret.c
    live = or_(t.accepted_until.is_(None), t.accepted_until > now)
    query = select(t.id).where(t.storefront_id == storefront_id, t.source == source, live)
    return conn.execute(query.limit(1)).first() is not None


def add_secret(
    conn: Connection, storefront_id: StorefrontId, source: Source, secret: str, now: Micros, seal: Seal
) -> None:
    """One more secret."""
    values = {"storefront_id": storefront_id, "source": source, "created_at": now}
    conn.execute(insert(webhook_secret).values(**values, secret=seal.close(secret), sealed=True))


def seal_secrets(conn: Connection, seal: Seal) -> int:
    """Close every secret under the newest key, those that lie open too; how many there were."""
    rows = conn.execute(select(webhook_secret)).all()
    for row in rows:
        known = seal.open(row.secret) if row.sealed else row.secret
        closed = update(webhook_secret).where(webhook_secret.c.id == row.id)
        conn.execute(closed.values(secret=seal.close(known), sealed=True))
    return len(rows)


def end_secrets(conn: Connection, storefront_id: StorefrontId, source: Source, until: Micros, *, rotated: bool) -> int:
    """Let secrets be accepted until a moment: the present ones, or, with `rotated`, those already on their way out."""
    t = webhook_secret.c
    on_the_way = t.accepted_until > until if rotated else t.accepted_until.is_(None)
    which = (t.storefront_id == storefront_id, t.source == source, on_the_way)
    return conn.execute(update(webhook_secret).where(*which).values(accepted_until=until)).rowcount
