"""Group commit: requests of a process share transactions, each answered only after its commit.

The first waiting thread leads: it takes all that wait, writes them in one transaction, and wakes their owners. On
SQLite a lock file keeps the processes in turn, which is fairer and faster than the database's own busy waiting.
"""

import fcntl
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from experiments.errors import OfferlabError, Unavailable
from experiments.storage.database import writing

Row = TypeVar("Row")
Result = TypeVar("Result")

LARGEST_QUEUE = 50_000
"""Rows that may wait; more is answered with 503, so that memory stays bounded."""
LONGEST_WAIT = 30.0
"""Seconds after which a caller is told that the store is too slow."""

Append = Callable[[Connection, Sequence[Row]], Sequence[Result]]
"""Writes rows and gives one outcome for each."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """Rows of one caller, and what became of them."""

    group: Hashable
    append: Append[Any, Any]
    rows: Sequence[Any]
    wake: threading.Event = field(default_factory=threading.Event)
    outcomes: Sequence[Any] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether its fate is known."""
        return self.outcomes is not None or self.error is not None


class GroupCommit:
    """The write path of one process to one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._queued = 0
        self._led = False
        database = engine.url.database
        self._lock_path = f"{database}.lock" if engine.dialect.name == "sqlite" and database else None

    def write(self, group: Hashable, append: Append[Row, Result], rows: Sequence[Row]) -> Sequence[Result]:
        """Outcomes of the rows, durable when this returns; rows of one `group` are written by one `append` call.

        Raises Unavailable where the queue is full or the store does not answer.
        """
        mine = _Waiting(group, append, rows)
        with self._lock:
            if self._queued + len(rows) > LARGEST_QUEUE and self._queue:
                raise Unavailable("More events wait than can be written just now")
            self._queue.append(mine)
            self._queued += len(rows)
            leading, self._led = not self._led, True
        if not leading and not mine.wake.wait(LONGEST_WAIT):
            self._give_up(mine)
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.outcomes or ()

    def _give_up(self, mine: _Waiting) -> None:
        with self._lock:
            if mine in self._queue and not mine.wake.is_set():  # set: just now made the leader
                self._queue.remove(mine)
                self._queued -= len(mine.rows)
                raise Unavailable("The database is too slow just now")
        mine.wake.wait()  # taken by a leader meanwhile: what becomes of it must be known before it is answered

    def _lead(self) -> None:
        try:
            with self._turn():
                with self._lock:
                    batch, self._queue, self._queued = self._queue, [], 0
                self._settle(batch)
        except OfferlabError as error:  # the turn itself was not to be had
            with self._lock:
                batch, self._queue, self._queued = self._queue, [], 0
            for waiting in batch:
                waiting.error = error
        with self._lock:
            self._led = bool(self._queue)
            if self._queue:
                self._queue[0].wake.set()  # awake and not done: that one leads next
        for waiting in batch:
            waiting.wake.set()

    def _settle(self, batch: list[_Waiting]) -> None:
        """Write the batch at once; where that fails for what one caller sent, each caller's rows alone."""
        try:
            self._commit(batch)
        except Unavailable as error:
            for waiting in batch:
                waiting.error = error
        except Exception as error:  # noqa: BLE001 - handed to the caller whose rows caused it
            if len(batch) == 1:
                batch[0].error = error
                return
            for waiting in batch:
                self._settle([waiting])

    def _commit(self, batch: list[_Waiting]) -> None:
        groups: dict[Hashable, list[_Waiting]] = {}
        for waiting in batch:
            groups.setdefault(waiting.group, []).append(waiting)
        results: list[tuple[_Waiting, Sequence[Any]]] = []
        with writing(self._engine) as conn:
            for members in groups.values():
                outcomes = members[0].append(conn, [row for waiting in members for row in waiting.rows])
                start = 0
                for waiting in members:
                    results.append((waiting, outcomes[start : start + len(waiting.rows)]))
                    start += len(waiting.rows)
        for waiting, found in results:  # only now is it durable
            waiting.outcomes = found

    def _turn(self) -> Any:
        return nullcontext() if self._lock_path is None else _file_lock(self._lock_path)


@contextmanager
def _file_lock(path: str) -> Iterator[None]:
    try:
        file = open(path, "ab")  # noqa: PTH123, SIM115 - held open for the lock, closed below
    except OSError as error:
        raise Unavailable(f"The store cannot be locked: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        file.close()  # and the lock with it
