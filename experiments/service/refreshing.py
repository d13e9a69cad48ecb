"""A serving process's snapshots: refreshed by a thread of their own, so that no request ever waits for the database.

The thread asks for the revision ten times a second while requests come, else four times; after a failure once a second.
A copy of the last good rows is kept on disk, so that a process can start while the database is away.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from sqlalchemy import Engine

from experiments.errors import OfferlabError, Unavailable
from experiments.moment import SECOND, Micros
from experiments.schedules import due_action
from experiments.service.defining import due
from experiments.service.rows import KeptRows, Rows
from experiments.service.snapshot import CHECK_EVERY, Snapshot, Snapshots
from experiments.storage.database import reading, writing
from experiments.storage.storefronts import current_revision

log = logging.getLogger(__name__)

FIRST_WAIT = 5.0
"""Seconds that the first request waits for the first snapshot."""
REFRESH_WAIT = 2.0
"""Seconds that a caller waits to see a change of its own."""
SILENCE = 2.0
"""Seconds without an answer after which the database counts as away."""
QUIET = 0.25
"""Seconds between two looks when nobody asks."""
AWAY = 1.0
"""Seconds between two looks while the database is away; between two copies to disk, and two looks at what is due."""
BUSY_FOR = 10 * SECOND
"""How long after a request the process counts as busy."""


class LiveSnapshots(Snapshots):
    """The current snapshot of a serving process."""

    def __init__(self, engine: Engine, clock: Callable[[], Micros], kept: KeptRows | None = None) -> None:
        super().__init__(engine)
        self._clock = clock
        self._kept = kept
        self._turn = threading.Condition()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._wanted = self._answered = self._looks = 0
        self._said = ""
        self._asking_since: float | None = None
        self.looked_at = Micros(0)
        """When the database last said which revision is the newest."""
        self._from_disk = False
        self._on_disk: Rows | None = None
        self._kept_at = self._due_at = -AWAY

    @property
    def database_away(self) -> bool:
        """Whether the database did not answer, or has not answered for too long."""
        since = self._asking_since
        return self._failed or (since is not None and monotonic() - since > SILENCE)

    def current(self, now: Micros) -> Snapshot:
        """The newest snapshot, from memory; the last good one while the database is away.

        Unavailable where there never was one, neither in the database nor on disk.
        """
        if now - self._checked_at >= CHECK_EVERY:
            self._checked_at = now
            self._start()
        return self._current or self._first()

    def refresh(self, now: Micros) -> Snapshot:
        """The newest snapshot, asked for now: after a change of one's own. Waits for no database that is away."""
        current = self.current(now)
        if self.database_away:
            return current
        with self._turn:
            self._wanted += 1
            mine = self._wanted
            self._wake.set()
            self._turn.wait_for(lambda: self._answered >= mine, REFRESH_WAIT)
        return self._current or current

    def close(self) -> None:
        """Stop asking."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(SILENCE)

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():  # after a fork, a thread of the parent's is not
            return
        with self._lock:
            if not self._closing and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
                self._thread.start()

    def _first(self) -> Snapshot:
        with self._turn:
            self._turn.wait_for(lambda: self._current is not None or self._looks > 0, FIRST_WAIT)
        if self._current is None:
            with self._lock:
                self._load_kept()
        if self._current is None:
            raise Unavailable("The database does not answer, and nothing was kept from before")
        return self._current

    def _load_kept(self) -> None:
        rows = self._kept.read() if self._current is None and self._kept is not None else None
        if rows is not None:
            log.warning("assigning from the snapshot on disk, revision %d", rows.revision)
            self._from_disk, self._current = True, Snapshot.of(rows)

    def _run(self) -> None:
        while not self._closing:
            with self._turn:
                wanted = self._wanted
            self._look()
            with self._turn:
                self._answered = wanted
                self._looks += 1
                self._turn.notify_all()
            if self._failed:
                self._wake.clear()  # nobody's wish makes a database come back
            self._wake.wait(self._pause())
            self._wake.clear()

    def _pause(self) -> float:
        if self._failed:
            return AWAY
        return CHECK_EVERY / SECOND if self._clock() - self._checked_at < BUSY_FOR else QUIET

    def _look(self) -> None:
        try:
            self._ask()
            self._failed = False
            self._keep()
            self._write_due()
        except OfferlabError as error:
            self._failed = True
            self._say(f"assigning from the last good snapshot: {error.message}")
        except Exception as error:  # noqa: BLE001 - whatever it is, serving goes on, and the next look may be better
            self._say(f"the snapshot cannot be made: {error!r}", error)
        else:
            if self._said:
                log.warning("the database answers again")
            self._said = ""
        finally:
            self._asking_since = None

    def _ask(self) -> None:
        current = None if self._from_disk else self._current  # from disk: nobody knows which database that was
        self._asking_since = monotonic()
        with reading(self._engine) as conn:
            number = current_revision(conn)
            self._asking_since = None
            if current is None or number != current.revision:
                self._current, self._from_disk = Snapshot.load(conn, current), False
        self.looked_at = self._clock()

    def _say(self, what: str, error: Exception | None = None) -> None:
        """Log it once, not at every look."""
        if what != self._said:
            log.warning(what, exc_info=error)
        self._said = what

    def _keep(self) -> None:
        current = self._current
        if self._kept is None or current is None or current.rows is self._on_disk or monotonic() - self._kept_at < AWAY:
            return
        self._kept.write(current.rows)
        self._on_disk, self._kept_at = current.rows, monotonic()

    def _write_due(self) -> None:
        """Start and stop what is due; assignment has honoured the times already."""
        if self._current is None or monotonic() - self._due_at < AWAY:
            return
        self._due_at, now = monotonic(), self._clock()
        known = (e for view in self._current.storefronts.values() for e in view.experiments.values())
        if any(due_action(e.state, e.definition.schedule, now) for e in known):
            with writing(self._engine) as conn:
                due(conn, now)
            self._wake.set()
