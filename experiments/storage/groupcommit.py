"""Group commit: callers of a process share transactions, each answered only after its commit.

One thread of the process writes: it takes all that wait, commits them in one transaction, and tells each what became of
its rows. So nobody holds a thread while it waits who does not want to. A second thread watches the first: who has
waited too long, for a store that does not answer, is told so. Both end when there is nothing to do for a while. On
SQLite a lock file keeps the processes in turn, which is fairer and faster than the database's own busy waiting.

A caller that is told Unavailable may send the same again: rows are known by their keys, so what was written after all
is a duplicate then.
"""

import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, event

from experiments.errors import OfferlabError, Unavailable
from experiments.storage.database import Writer, unavailable
from experiments.threads import prompt

LARGEST_QUEUE = 50_000
"""Rows that may wait; more is answered with 503, so that memory stays bounded."""
LONGEST_WAIT = 10.0
"""Seconds after which a caller is told that the store is too slow."""
PATIENCE_MS = 5000
"""How long the writing thread waits for a lock that another process holds."""
IDLE = 2.0
"""Seconds without anything to write after which the threads end."""

GATHER = 0.002
"""Seconds that those just told have to come back: meanwhile they and the writing thread would wait for each other."""

Append = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Writes rows and gives one outcome for each."""

Found = list[Sequence[Any]] | Exception
"""The outcomes of each part's rows, durable; or why there are none."""
Done = Callable[[Found], None]
"""Is told once what became of a caller's rows, by a thread that others wait for: it must neither wait nor raise."""

_log = logging.getLogger(__name__)


class Part(msgspec.Struct, frozen=True):
    """Rows of one kind; those of one `group` are written by one `append` call, whoever sent them, in groups' order."""

    group: tuple[int, int]
    append: Append
    rows: Sequence[Any]


@dataclass(eq=False, slots=True)
class _Waiting:
    """What one caller wants written, since when, and whom to tell; nobody once it is told."""

    parts: Sequence[Part]
    size: int
    since: float
    done: Done | None

    def claim(self) -> Done | None:
        """Whom to tell, for the one who asks first."""
        done, self.done = self.done, None
        return done


class GroupCommit:
    """The write path of one process to one database."""

    def __init__(self, engine: Engine, longest_wait: float = LONGEST_WAIT, largest_queue: int = LARGEST_QUEUE) -> None:
        self._engine = engine
        self._longest_wait, self._largest_queue = longest_wait, largest_queue
        self._lock = threading.Lock()  # over all that follows
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._batch: Sequence[_Waiting] = ()  # what is being written
        self._failing = False
        self._pid = 0  # whose threads run; a fork has none of its parent's
        self._wanted = 0  # so many callers wake the writing thread
        self._wake = threading.Lock()
        self._wake.acquire()
        self.committed: Callable[[int], None] | None = None
        """Is told of each transaction how many rows it wrote."""
        self._writer: Writer | None = None  # the writing thread's, while it writes
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
            if not self._batch and not self._queue:
                writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()

    def write(self, parts: Sequence[Part]) -> list[Sequence[Any]]:
        """The outcomes of each part's rows, all in one transaction, durable when this returns.

        Raises Unavailable where the queue is full or the store does not answer.
        """
        told: list[Found] = []
        wake = threading.Lock()
        wake.acquire()

        def done(found: Found) -> None:
            told.append(found)
            wake.release()

        self.submit(parts, done)
        wake.acquire()
        found = told[0]
        if isinstance(found, Exception):
            raise found
        return found

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        """Have rows written, all in one transaction, and tell `done` what became of them; this does not wait.

        Raises Unavailable where the queue is full or the store does not answer; `done` is told nothing then.
        """
        mine = _Waiting(parts, sum(len(part.rows) for part in parts), monotonic(), done)
        with self._lock:
            if self._failing and (self._batch or self._queue):  # one asks whether the store is back
                raise Unavailable("The database does not answer just now")
            if self._queue and self._queued + mine.size > self._largest_queue:
                raise Unavailable("More events wait than can be written just now")
            if self._pid != os.getpid():
                self._start()
            self._queue.append(mine)
            self._queued += mine.size
            enough = 0 < self._wanted <= len(self._queue)
            if enough:
                self._wanted = 0
        if enough:
            self._wake.release()

    def _start(self) -> None:
        writing = threading.Thread(target=self._write_on, name="writing", daemon=True)
        watching = threading.Thread(target=self._watch, args=(writing,), name="watching the writing", daemon=True)
        try:
            writing.start()
            self._pid = os.getpid()
            watching.start()
        except RuntimeError as error:  # a process that ends starts no more
            raise Unavailable(f"Nothing can be written any more: {error}") from None

    def _write_on(self) -> None:
        prompt()
        try:
            self._write_until_idle()
        except BaseException:  # never seen; whoever comes next gets a new thread
            with self._lock:
                self._pid = 0
            raise

    def _write_until_idle(self) -> None:
        while self._come(1, IDLE) or not self._ended():
            batch, found = self._written()
            with self._lock:
                self._failing = bool(batch) and all(isinstance(each, Unavailable) for each in found)
                self._batch = ()
                there = len(self._queue)
                untold = [*zip(map(_Waiting.claim, batch), found, strict=True)]
            for done, each in untold:
                _tell(done, each)
            if len(batch) > 1:
                self._come(there + len(batch), GATHER)

    def _come(self, callers: int, seconds: float) -> bool:
        """Whether so many wait to be written, now or within that time."""
        with self._lock:
            if len(self._queue) >= callers:
                return True
            self._wanted = callers
        if self._wake.acquire(timeout=seconds):
            return True
        with self._lock:
            come, self._wanted = not self._wanted, 0
        if come:  # in this very moment: the last of them is about to say so
            self._wake.acquire()
        return come

    def _ended(self) -> bool:
        with self._lock:
            if not self._queue:
                self._pid = 0
            return not self._queue

    def _written(self) -> tuple[Sequence[_Waiting], Sequence[Found]]:
        """All that waited, and what became of it."""
        batch: Sequence[_Waiting] = ()
        try:
            with self._turns.one() if self._turns else nullcontext():
                batch = self._take()
                return batch, self._settled(batch)
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody is left waiting
            batch = batch or self._take()
            refusal = error if isinstance(error, OfferlabError) else Unavailable(f"Writing was broken off: {error!r}")
            return batch, [refusal] * len(batch)

    def _take(self) -> Sequence[_Waiting]:
        with self._lock:
            self._batch, self._queue, self._queued = list(self._queue), deque(), 0
            return self._batch

    def _watch(self, writing: threading.Thread) -> None:
        """Tell those who have waited too long that they have; those already taken may be written all the same."""
        while writing.is_alive():
            writing.join(self._longest_wait / 10)
            before = monotonic() - self._longest_wait
            with self._lock:
                late = [waiting for waiting in self._batch if waiting.since < before]
                while self._queue and self._queue[0].since < before:
                    late.append(self._queue.popleft())
                    self._queued -= late[-1].size
                untold = [waiting.claim() for waiting in late]
            for done in untold:
                _tell(done, Unavailable("The database is too slow just now"))

    def _settled(self, batch: Sequence[_Waiting]) -> list[Found]:
        """Write the batch at once; where that fails for what one caller sent, each caller's rows alone."""
        try:
            return [*self._commit(batch)]
        except Unavailable as refusal:
            return [refusal] * len(batch)
        except Exception as error:  # noqa: BLE001 - handed to the caller whose rows caused it
            if len(batch) == 1:
                return [error]
            return [found for waiting in batch for found in self._settled([waiting])]

    def _commit(self, batch: Sequence[_Waiting]) -> list[list[Sequence[Any]]]:
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
        if self.committed is not None:
            self.committed(sum(waiting.size for waiting in batch))
        return outcomes


def _tell(done: Done | None, found: Found) -> None:
    if done is None:  # it was told that it has waited too long
        return
    try:
        done(found)
    except Exception:  # noqa: BLE001 - it is its own, and others wait to be told
        _log.exception("What became of its rows could not be told to a caller")


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
    """A lock file that processes take in turn.

    Who has just had it would mostly be the first to take it again, before another has even woken up. So there is a
    second one, for being the next: who has been waiting holds that one, and lets go of it when its turn has come.
    """

    def __init__(self, path: str) -> None:
        self._path, self._pid = path, 0
        self._turn = self._next = -1

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and have it; its end is the end of the block, or of the process."""
        try:
            if self._pid != os.getpid():  # a fork's lock would be its parent's
                self._turn, self._next = self._open(""), self._open(".next")
                self._pid = os.getpid()
            fcntl.flock(self._next, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._next, fcntl.LOCK_UN)
        except OSError as error:
            raise Unavailable(f"The store cannot be locked: {error.strerror}") from None
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _open(self, ending: str) -> int:
        return os.open(self._path + ending, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __del__(self) -> None:
        with suppress(Exception):  # at the very end there may be no os any more
            if self._pid == os.getpid():
                os.close(self._turn)
                os.close(self._next)


_paths: dict[Engine, GroupCommit] = {}
_paths_lock = threading.Lock()
