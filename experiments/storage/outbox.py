"""The outbox of alerts: where they go, what is to be sent, and what became of it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from experiments.alerts import KINDS, AlertKind
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.sealing import Seal
from experiments.storage.tables import alert_delivery, alert_setting

Channel = Literal["webhook", "email"]
DeliveryState = Literal["waiting", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class Targets:
    """Where a storefront's alerts go. The webhook's address and secret are sealed; None where there is none."""

    webhook_url: str | None = None
    webhook_secret: str | None = None
    emails: tuple[str, ...] = ()
    tells_people: bool = True
    """Whether an experiment's owner and watchers get its alerts by e-mail."""
    kinds: tuple[AlertKind, ...] = field(default=KINDS)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the outbox: for whom, what, and how it went so far."""

    id: int
    storefront_id: StorefrontId
    alert_id: int | None
    channel: Channel
    target: str
    body: dict[str, Any]
    state: DeliveryState
    attempts: int
    due_at: Micros
    created_at: Micros
    settled_at: Micros | None
    error: str


def targets(conn: Connection, storefront_id: StorefrontId) -> Targets:
    """Where this storefront's alerts go."""
    row = conn.execute(select(alert_setting).where(alert_setting.c.storefront_id == storefront_id)).first()
    if row is None:
        return Targets()
    kinds = tuple(kind for kind in KINDS if kind in row.kinds)
    return Targets(row.webhook_url, row.webhook_secret, tuple(row.emails), bool(row.tells_people), kinds)


def put_targets(conn: Connection, storefront_id: StorefrontId, new: Targets) -> None:
    """Other ones from now on."""
    values = {
        "webhook_url": new.webhook_url, "webhook_secret": new.webhook_secret, "emails": list(new.emails),
        "tells_people": new.tells_people, "kinds": list(new.kinds),
    }  # fmt: skip
    changed = update(alert_setting).where(alert_setting.c.storefront_id == storefront_id).values(values)
    if conn.execute(changed).rowcount == 0:
        conn.execute(insert(alert_setting).values(values | {"storefront_id": storefront_id}))


def seal_targets(conn: Connection, seal: Seal) -> int:
    """Close every address and secret under the newest key; how many storefronts have some."""
    rows = conn.execute(select(alert_setting)).all()
    for row in rows:
        fresh = {
            name: None if closed is None else seal.close(seal.open(closed))
            for name, closed in (("webhook_url", row.webhook_url), ("webhook_secret", row.webhook_secret))
        }
        conn.execute(update(alert_setting).where(alert_setting.c.storefront_id == row.storefront_id).values(fresh))
    return len(rows)


def put_message(
    conn: Connection, storefront_id: StorefrontId, alert_id: int | None, channel: Channel, target: str,
    body: dict[str, Any], now: Micros,
) -> None:  # fmt: skip
    """One more to send, at once."""
    conn.execute(
        insert(alert_delivery).values(
            storefront_id=storefront_id, alert_id=alert_id, channel=channel, target=target, body=body, state="waiting",
            attempts=0, due_at=now, created_at=now, error="",
        )
    )  # fmt: skip


def due_messages(conn: Connection, now: Micros, limit: int) -> list[Message]:
    """What is to be sent now, the longest due first."""
    d = alert_delivery.c
    query = select(alert_delivery).where(d.state == "waiting", d.due_at <= now).order_by(d.due_at, d.id).limit(limit)
    return [_message(row) for row in conn.execute(query)]


def claim(conn: Connection, message: Message, again_at: Micros) -> bool:
    """Take it in hand: of several who try at once one does; where that one dies, it is due again at that time."""
    d = alert_delivery.c
    mine = (d.id == message.id, d.state == "waiting", d.attempts == message.attempts)
    taken = update(alert_delivery).where(*mine).values(attempts=message.attempts + 1, due_at=again_at)
    return conn.execute(taken).rowcount == 1


def put_off(conn: Connection, message_id: int, error: str) -> None:
    """It did not arrive; it is tried again when it is due."""
    conn.execute(update(alert_delivery).where(alert_delivery.c.id == message_id).values(error=error))


def settle(conn: Connection, message_id: int, state: DeliveryState, error: str, now: Micros) -> None:
    """It arrived, or it is given up."""
    values = {"state": state, "error": error, "settled_at": now}
    conn.execute(update(alert_delivery).where(alert_delivery.c.id == message_id).values(values))


def messages(conn: Connection, storefront_id: StorefrontId, limit: int = 20) -> list[Message]:
    """A storefront's last messages, newest first."""
    mine = alert_delivery.c.storefront_id == storefront_id
    query = select(alert_delivery).where(mine).order_by(alert_delivery.c.id.desc()).limit(limit)
    return [_message(row) for row in conn.execute(query)]


def forget_messages(conn: Connection, before: Micros) -> int:
    """Delete those that were settled before then; how many."""
    d = alert_delivery.c
    return conn.execute(delete(alert_delivery).where(d.state != "waiting", d.settled_at < before)).rowcount


def withdraw_posts(conn: Connection, storefront_id: StorefrontId, now: Micros) -> int:
    """Give up what waits to be posted, as there is no webhook any more; how many."""
    d = alert_delivery.c
    mine = (d.storefront_id == storefront_id, d.state == "waiting", d.channel == "webhook")
    values = {"state": "failed", "error": "the webhook was taken out", "settled_at": now}
    return conn.execute(update(alert_delivery).where(*mine).values(values)).rowcount


def _message(row: Row[Any]) -> Message:
    return Message(
        row.id, StorefrontId(row.storefront_id), row.alert_id, row.channel, row.target, row.body, row.state,
        row.attempts, row.due_at, row.created_at, row.settled_at, row.error,
    )  # fmt: skip
