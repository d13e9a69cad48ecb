"""Counts of one process, in memory that all processes of a server can read.

A process adds to whole numbers in a mapped file, which costs some 0.1 microseconds and no lock, so the hot routes can
count; whoever is asked for the metrics reads the files of all. A file is locked for as long as its process lives. The
next process takes over the file of one that is gone and counts on, so that no count ever falls and files stay few.
"""

import fcntl
import json
import mmap
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CELLS = 65_536
"""Whole numbers of 64 bits that a process can count in: 512 kB, of which only what is used takes memory."""
SCRATCH = 64
"""The last cells, for what came when all others were taken: they are never shown."""

Name = tuple[str, ...]
"""A family and the values of its labels."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one process has counted; of one that is gone the counts still stand, and its gauges mean nothing."""

    number: int
    alive: bool
    values: dict[Name, tuple[int, ...]]


class Cells:
    """The cells of this process. `values[i] += n` in one statement loses nothing between threads.

    That is so because CPython changes threads at calls and backward jumps only, and there is none inside it; a test
    holds it to that.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._known: dict[Name, tuple[int, int]] = {}
        self._next = 1  # so that a cell's number is never 0
        self._names = -1
        if directory is None:
            self._file, self.number = -1, 0
            memory = mmap.mmap(-1, CELLS * 8)
        else:
            self.number, self._file = _free(directory)
            memory = mmap.mmap(self._file, CELLS * 8)
            self._take_over(_names(directory, self.number))
        self.values = memoryview(memory).cast("q")

    def _take_over(self, path: Path) -> None:
        for name, first, size in _listed(path):
            self._known[name] = first, size
            self._next = first + size
        self._names = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def first(self, name: Name, size: int = 1) -> int:
        """The number of the first of so many cells of that name; the scratch ones where no more are left."""
        with self._lock:
            known = self._known.get(name)
            if known is not None:
                return known[0]
            if self._next + size > CELLS - SCRATCH:
                return CELLS - SCRATCH
            self._known[name] = self._next, size
            self._next += size
            if self._names >= 0:
                os.write(self._names, f"{json.dumps([size, *name])}\n".encode())
            return self._known[name][0]

    def read(self) -> Reading:
        """What this process itself has counted."""
        with self._lock:
            known = dict(self._known)
        return Reading(self.number, True, {n: tuple(self.values[i : i + size]) for n, (i, size) in known.items()})


def readings(directory: Path) -> Iterator[Reading]:
    """What every process has counted that ever wrote into this directory."""
    for path in sorted(directory.glob("*.cells")):
        number = int(path.stem)
        listed = list(_listed(_names(directory, number)))  # before the values, so that those of each name are there
        with path.open("rb") as file:
            alive = not _lock(file.fileno(), fcntl.LOCK_SH)
            values = memoryview(file.read()).cast("q")
        yield Reading(number, alive, {name: tuple(values[i : i + size]) for name, i, size in listed})


def _free(directory: Path) -> tuple[int, int]:
    """The first file that no living process has, locked."""
    for number in range(10_000):
        file = os.open(directory / f"{number}.cells", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _lock(file, fcntl.LOCK_EX):
            os.ftruncate(file, CELLS * 8)
            return number, file
        os.close(file)
    raise RuntimeError(f"{directory} holds the counts of more processes than a server has")


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _names(directory: Path, number: int) -> Path:
    return directory / f"{number}.names"


def _listed(path: Path) -> Iterator[tuple[Name, int, int]]:
    """Each name with its first cell and their number; a line that was not finished is none."""
    first = 1
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            size, *name = json.loads(line)
            yield tuple(name), first, size
            first += size
