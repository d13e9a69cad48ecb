"""Sending what waits in the outbox: by one process at a time, again after a while, until it is given up."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Engine

from experiments.errors import OfferlabError
from experiments.moment import SECOND, Micros
from experiments.sealing import Seal
from experiments.storage.database import reading, writing
from experiments.storage.outbox import Message, claim, due_messages, put_off, settle, targets
from webapp.config import Settings
from webapp.mailserver import read_smtp
from webapp.watching import mailing, posting
from webapp.watching.undelivered import Undelivered

log = logging.getLogger(__name__)

ATTEMPTS = 8
"""So often a message is tried: over two hours."""
FIRST_WAIT = 60 * SECOND
"""After the first failure; twice as long after each one more."""
MOST = 20
"""Messages of one turn: the watch goes on in between."""

Deliver = Callable[[Message, Micros], None]
"""One try; Undelivered where it did not arrive."""


def wait_after(attempt: int) -> int:
    """How long to wait after so many tries, in microseconds."""
    return FIRST_WAIT << (attempt - 1)


def send_due(
    engine: Engine, deliver: Deliver, clock: Callable[[], Micros], go_on: Callable[[], bool] = lambda: True
) -> int:
    """Try what is due; how many messages arrived. After a failure the others of the same target wait for their turn."""
    with reading(engine) as conn:
        waiting = due_messages(conn, clock(), MOST)
    arrived, failed = 0, set[tuple[int, str, str]]()
    for message in waiting:
        target = (message.storefront_id, message.channel, message.target)
        if target in failed:
            continue
        if not go_on():
            break
        if _try(engine, message, deliver, clock):
            arrived += 1
        else:
            failed.add(target)
    return arrived


def _try(engine: Engine, message: Message, deliver: Deliver, clock: Callable[[], Micros]) -> bool:
    attempt = message.attempts + 1
    with writing(engine) as conn:
        if not claim(conn, message, Micros(clock() + wait_after(attempt))):
            return False  # another process has it in hand
    error = ""
    try:
        deliver(replace(message, attempts=attempt), clock())
    except OfferlabError as refusal:
        error = refusal.message
    except Exception as failure:  # a message that nobody can send must not keep the others from being sent
        log.exception("an alert was not sent")
        error = f"an error here: {type(failure).__name__}"
    with writing(engine) as conn:
        if not error:
            settle(conn, message.id, "sent", "", clock())
        elif attempt >= ATTEMPTS:
            settle(conn, message.id, "failed", error, clock())
            log.warning("an alert was given up after %d tries: %s", attempt, error)
        else:
            put_off(conn, message.id, error)
    return not error


@dataclass(frozen=True, slots=True)
class Senders:
    """The ways of this installation: posts to webhooks, and mails by its mail server."""

    engine: Engine
    settings: Settings
    seal: Seal

    def __call__(self, message: Message, now: Micros) -> None:
        """Send it the way that it says."""
        name = f"offerlab-{message.id}-{message.created_at}"
        if message.channel == "email":
            self._mail(message, name, now)
        else:
            self._post(message, name, now)

    def _post(self, message: Message, name: str, now: Micros) -> None:
        with reading(self.engine) as conn:
            where = targets(conn, message.storefront_id)
        if where.webhook_url is None or where.webhook_secret is None:
            raise Undelivered("there is no webhook any more")
        url, secret = self.seal.open(where.webhook_url), self.seal.open(where.webhook_secret)
        body: dict[str, Any] = {"id": name} | message.body
        posting.post(posting.Webhook(url, secret, self.settings.private_webhooks), name, msgspec.json.encode(body), now)

    def _mail(self, message: Message, name: str, now: Micros) -> None:
        if not self.settings.smtp_url:
            raise Undelivered("no mail server is set: OFFERLAB_SMTP_URL")
        made = mailing.mail(message.body, self.settings.mail_from, message.target, name, now)
        mailing.send(read_smtp(self.settings.smtp_url), made)
