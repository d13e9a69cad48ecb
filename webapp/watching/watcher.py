"""Who watches: of all processes the one that holds the lease, until it ends or is silent for too long."""

import logging
import secrets
import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from experiments.errors import OfferlabError
from experiments.moment import DAY, SECOND, Micros
from experiments.storage.database import reading, writing
from experiments.storage.leases import give_back, holder_of, take
from experiments.storage.outbox import forget_messages
from webapp import clock
from webapp.config import Settings
from webapp.lab import the_seal
from webapp.watching.sending import Deliver, Senders, send_due

if TYPE_CHECKING:
    from analysis.watching import Watch

log = logging.getLogger(__name__)

NAME = "watch"
WATCH_EVERY = 60 * SECOND
TICK = 5.0
"""Seconds between two looks at the outbox."""
BUDGET = 15 * SECOND
"""Of a minute, after which no further experiment is looked at closely: serving needs the processor too."""
LEASE = 90 * SECOND
"""How long a holder that died keeps others from taking over."""
KEPT = 30 * DAY
"""How long it can be read what became of a message."""


class Turns:
    """One process's turns at the watch: what it does at a moment, if it is the one."""

    def __init__(
        self, engine: Engine, deliver: Deliver, now: Callable[[], Micros], public_url: str = "", holder: str = ""
    ) -> None:
        self._engine, self._deliver, self._now, self._public_url = engine, deliver, now, public_url
        self.holder = holder or secrets.token_hex(8)
        self._watched_at = Micros(0)
        self._tidied_at = Micros(0)

    @cached_property
    def _watch(self) -> "Watch":
        from analysis.watching import Watch  # brings SciPy along, which those who do not watch do not need

        return Watch(self._engine, self._public_url)

    def take(self) -> bool:
        """Watch where a minute is over, and send what waits; False where another process holds the lease."""
        if not self.holds():
            return False
        now = self._now()
        if now - self._watched_at >= WATCH_EVERY:
            self._watched_at = now
            self._watch.round(now, lambda: self._now() - now < BUDGET and self.holds())
        send_due(self._engine, self._deliver, self._now, self.holds)
        if now - self._tidied_at >= DAY:
            self._tidied_at = now
            with writing(self._engine) as conn:
                forget_messages(conn, Micros(now - KEPT))
        return True

    def holds(self) -> bool:
        """Whether the lease is this process's; taken where it is free, and written again when half of it is over."""
        now = self._now()
        with reading(self._engine) as conn:
            held = holder_of(conn, NAME)
        if held is not None:
            mine, until = held[0] == self.holder, held[1]
            if until > now and (not mine or until - now > LEASE // 2):
                return mine
        with writing(self._engine) as conn:
            return take(conn, NAME, self.holder, Micros(now + LEASE), now)

    def end(self) -> None:
        """Let another process go on at once."""
        with writing(self._engine) as conn:
            give_back(conn, NAME, self.holder, self._now())


def turns_of(settings: Settings, engine: Engine) -> Turns:
    """The turns of an installation's process."""
    return Turns(engine, Senders(engine, settings, the_seal(settings)), clock.now, settings.public_url)


class Watcher:
    """The thread of a server that takes its turns until it is closed."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._turns = turns_of(settings, engine)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more; a round under way stops before its next experiment, and nothing of it is written by halves."""
        self._closed.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        said = ""
        while not self._closed.wait(TICK):
            said = take_turn(self._turns, said)
        try:
            self._turns.end()
        except OfferlabError:  # the lease runs out by itself
            return


def take_turn(turns: Turns, said: str = "") -> str:
    """A turn that never ends a thread; what went wrong is logged once, and given for the next turn to compare."""
    try:
        turns.take()
    except OfferlabError as error:
        if error.message != said:
            log.warning("the watch waits: %s", error.message)
        return error.message
    except Exception as error:  # a thread that ends silently would watch nothing for ever
        if repr(error) != said:
            log.exception("the watch failed, and goes on")
        return repr(error)
    return ""
