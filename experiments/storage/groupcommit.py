"""Group commit: requests of a process share transactions, each answered only after its commit.

The first waiting thread leads: it takes all that wait, writes them in one transaction, and wakes their owners. On
SQLite a lock file keeps the processes in turn, which is fairer and faster than the database's own busy waiting.

A caller that is told Unavailable may send the same again: rows are known by their keys, so what was written after all
is a duplicate then.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, event

from experiments.errors import OfferlabError, Unavailable
from experiments.storage.database import Writer, unavailable

LARGEST_QUEUE = 50_000
"""Rows that may wait; more is answered with 503, so that memory stays bounded."""
LONGEST_WAIT = 10.0
"""Seconds after which a caller is told that the store is too slow."""
PATIENCE_MS = 5000
"""How long the leader waits for a lock that another process holds."""

Append = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Writes rows and gives one outcome for each."""


class Part(msgspec.Struct, frozen=True):
    """Rows of one kind; those of one `group` are written by one `append` call, whoever sent them, in groups' order."""

    group: tuple[int, int]
    append: Append
    rows: Sequence[Any]


@dataclass(eq=False, slots=True)
class _Waiting:
    """What one caller wants written, and what became of it.

    It waits at a lock that others release, which costs a third of what an Event does.
    """

    parts: Sequence[Part]
    size: int
    wake: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    answered: bool = False
    gone: bool = False
    then: "_Waiting | None" = None
    outcomes: list[Sequence[Any]] | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.wake.acquire()

    @property
    def done(self) -> bool:
        """Whether its fate is known."""
        return self.outcomes is not None or self.error is not None


class GroupCommit:
    """The write path of one process to one database."""

    def __init__(self, engine: Engine, longest_wait: float = LONGEST_WAIT, largest_queue: int = LARGEST_QUEUE) -> None:
        self._engine = engine
        self._longest_wait, self._largest_queue = longest_wait, largest_queue
        self._lock = threading.Lock()  # over all that follows
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._led = False
        self._failing = False
        self.committed: Callable[[int], None] | None = None
        """Is told of each transaction how many rows it wrote."""
        self._writer: Writer | None = None  # the leader's, handed on from one to the next
        self._sqlite = engine.dialect.name == "sqlite"
        self._turns = _Turns(f"{engine.url.database}.lock") if self._sqlite else None
        event.listen(engine, "engine_disposed", self._disposed)

    @classmethod
    def to(cls, engine: Engine) -> "GroupCommit":
        """The one of this process to that database, until the engine is disposed of."""
        with _paths_lock:
            if engine not in _paths:
                _paths[engine] = cls(engine)
            return _paths[engine]

    @property
    def queued(self) -> int:
        """Rows that wait."""
        return self._queued

    def _disposed(self, engine: Engine) -> None:
        with _paths_lock:
            if _paths.get(engine) is self:
                del _paths[engine]
        with self._lock:
            writer = None
            if not self._led:
                writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()

    def write(self, parts: Sequence[Part]) -> list[Sequence[Any]]:
        """The outcomes of each part's rows, all in one transaction, durable when this returns.

        Raises Unavailable where the queue is full or the store does not answer.
        """
        mine = _Waiting(parts, sum(len(part.rows) for part in parts))
        try:
            if not self._join(mine) and not mine.wake.acquire(timeout=self._longest_wait):
                self._leave(mine)
            if mine.leads:
                self._lead(mine)
        finally:
            self._go(mine)
        if mine.error is not None:
            raise mine.error
        if mine.outcomes is None:
            raise Unavailable("The database is too slow just now")
        return mine.outcomes

    def _join(self, mine: _Waiting) -> bool:
        """Into the queue; whether it leads at once. Who is made the leader later is woken for it."""
        with self._lock:
            if self._led and self._failing:  # one asks whether the store is back; the others need not wait for that
                raise Unavailable("The database does not answer just now")
            if self._queue and self._queued + mine.size > self._largest_queue:
                raise Unavailable("More events wait than can be written just now")
            self._queue.append(mine)
            self._queued += mine.size
            mine.leads, self._led = not self._led, True
            return mine.leads

    def _leave(self, mine: _Waiting) -> None:
        """Out of the queue; who was taken by a leader meanwhile goes unanswered too, and who was made one leads."""
        with self._lock:
            if mine.leads:
                mine.wake.acquire(blocking=False)  # it was released meanwhile, and will be again
            elif mine in self._queue:
                self._queue.remove(mine)
                self._queued -= mine.size

    def _lead(self, mine: _Waiting) -> None:
        batch: list[_Waiting] = []
        try:
            if self._turns is None:
                batch = self._take()
                self._settle(batch)
            else:
                with self._turns.one():
                    batch = self._take()
                    self._settle(batch)
        except BaseException as error:  # a leader that dies leaves nobody waiting
            batch = batch or self._take()
            refusal = error if isinstance(error, OfferlabError) else Unavailable(f"Writing was broken off: {error!r}")
            for waiting in batch:
                if not waiting.done:
                    waiting.error = refusal
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_on(mine, batch)

    def _take(self) -> list[_Waiting]:
        with self._lock:
            batch, self._queue, self._queued = list(self._queue), deque(), 0
        return batch

    def _hand_on(self, mine: _Waiting, batch: list[_Waiting]) -> None:
        """The lead to the first that waits, or to nobody; and an answer to each of the batch.

        On SQLite each wakes the next when it goes: all at once they would wait for the interpreter, and wake for it
        once more. Elsewhere the next leader waits for no turn: before it takes what waits, all should be on their way.
        """
        others = [waiting for waiting in batch if waiting is not mine]
        with self._lock:
            self._failing = bool(batch) and all(isinstance(waiting.error, Unavailable) for waiting in batch)
            self._led = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake.release()
            mine.answered = True
            if self._turns is not None:
                for waiting, then in pairwise([mine, *others]):
                    waiting.then = then
                return
            for waiting in others:
                waiting.answered = True
                waiting.wake.release()

    def _go(self, mine: _Waiting) -> None:
        """Away, and the next one answered; who has gone before its answer came is passed over."""
        with self._lock:
            mine.gone = True
            then = mine.then if mine.answered else None
            while then is not None and then.gone:
                then = then.then
            if then is not None:
                then.answered = True
                then.wake.release()

    def _settle(self, batch: list[_Waiting]) -> None:
        """Write the batch at once; where that fails for what one caller sent, each caller's rows alone."""
        try:
            self._commit(batch)
        except Unavailable as refusal:
            for waiting in batch:
                waiting.error = refusal
        except Exception as error:  # noqa: BLE001 - handed to the caller whose rows caused it
            if len(batch) == 1:
                batch[0].error = error
                return
            for waiting in batch:
                self._settle([waiting])

    def _commit(self, batch: list[_Waiting]) -> None:
        """The batch in one transaction; a line that was cut while it was idle is made anew, once."""
        while True:
            fresh = self._writer is None
            try:
                if self._writer is None:
                    self._writer = Writer(self._engine, PATIENCE_MS)
                with self._writer.transaction() as conn:
                    outcomes = _write(conn, batch)
                break
            except BaseException as error:
                self._writer = None
                refusal = unavailable(error) if isinstance(error, Exception) else None
                if refusal is None:
                    raise
                if fresh or self._sqlite:
                    raise refusal from error
        for waiting, found in zip(batch, outcomes, strict=True):  # only now is it durable
            waiting.outcomes = found
        if self.committed is not None:
            self.committed(sum(waiting.size for waiting in batch))


def _write(conn: Connection, batch: Sequence[_Waiting]) -> list[list[Sequence[Any]]]:
    """The outcomes by caller and part; the parts of one group are one call."""
    groups: dict[tuple[int, int], list[tuple[int, int, Part]]] = {}
    outcomes: list[list[Sequence[Any]]] = []
    for caller, waiting in enumerate(batch):
        outcomes.append([()] * len(waiting.parts))
        for place, part in enumerate(waiting.parts):
            groups.setdefault(part.group, []).append((caller, place, part))
    for _, members in sorted(groups.items()):
        found = members[0][2].append(conn, [row for _, _, part in members for row in part.rows])
        start = 0
        for caller, place, part in members:
            outcomes[caller][place] = found[start : start + len(part.rows)]
            start += len(part.rows)
    return outcomes


class _Turns:
    """A lock file that processes take in turn."""

    def __init__(self, path: str) -> None:
        self._path, self._file, self._pid = path, -1, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and have it; its end is the end of the block, or of the process."""
        try:
            if self._pid != os.getpid():  # a fork's lock would be its parent's
                self._file, self._pid = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), os.getpid()
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            raise Unavailable(f"The store cannot be locked: {error.strerror}") from None
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def __del__(self) -> None:
        with suppress(Exception):  # at the very end there may be no os any more
            if self._pid == os.getpid():
                os.close(self._file)


_paths: dict[Engine, GroupCommit] = {}
_paths_lock = threading.Lock()
