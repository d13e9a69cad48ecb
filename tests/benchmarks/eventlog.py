"""Our event log beside a hand-written group commit on the raw driver, on both databases, in interleaved rounds.

The peer does the least that is correct: one table, the same columns, a leader that takes all that wait, a transaction.
Run: .venv/bin/python -W ignore -m tests.benchmarks.eventlog [rounds] [rows filled in before]
"""

import fcntl
import itertools
import multiprocessing
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from experiments.identifiers import ExperimentId, StorefrontId
from experiments.moment import DAY, Micros
from experiments.storage.database import connect, reading, upgrade
from experiments.storage.eventlog import ExposureRow
from experiments.storage.eventwriter import EventWriter, Intake
from experiments.storage.registry import get_experiment
from tests.durability.postgres import own_postgres
from tests.shop import NOW, experiment, open_shop

SECONDS, PROCESSES = 3.0, 2
Row = tuple[int, str, str, str, int, int, str, int]
COLUMNS = ("experiment_id", "kind", "unit_id", "variant", "at", "day", "fingerprint", "received_at")
TYPES = ("int", "text", "text", "text", "bigint", "int", "text", "bigint")
PEER_SQLITE = f"INSERT INTO peer ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
PEER_POSTGRES = (
    f"INSERT INTO peer ({', '.join(COLUMNS)}) SELECT * FROM unnest({', '.join(f'%s::{t}[]' for t in TYPES)})"
    " ON CONFLICT DO NOTHING RETURNING experiment_id, kind, unit_id"
)


class Peer:
    """The hand-written group commit."""

    def __init__(self, url: str) -> None:
        self._lock, self._queue, self._led = threading.Lock(), [], False
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            self._path = f"{parsed.database}.peerlock"
            self._conn = sqlite3.connect(
                parsed.database or "", isolation_level=None, check_same_thread=False, timeout=15
            )
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "mmap_size=268435456"):
                self._conn.execute(f"PRAGMA {pragma}")
            self._write: Callable[[list[Row]], set[object]] = self._sqlite
        else:
            self._pg = psycopg.connect(parsed.set(drivername="postgresql").render_as_string(hide_password=False))
            self._write = self._postgres

    def one(self, row: Row) -> bool:
        """Whether it was new, once it is durable."""
        mine = [row, threading.Event(), None]
        with self._lock:
            self._queue.append(mine)
            leading, self._led = not self._led, True
        if not leading:
            mine[1].wait()
        if mine[2] is None:
            self._lead()
        return bool(mine[2])

    def _lead(self) -> None:
        batch = self._write_all()
        with self._lock:
            self._led = bool(self._queue)
            if self._queue:
                self._queue[0][1].set()
        for waiting in batch:
            waiting[1].set()

    def _write_all(self) -> list[list[object]]:
        if self._write == self._sqlite:
            with Path(self._path).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                return self._settle()
        return self._settle()

    def _settle(self) -> list[list[object]]:
        with self._lock:
            batch, self._queue = self._queue, []
        new = self._write([waiting[0] for waiting in batch])
        for waiting in batch:
            waiting[2] = waiting[0][:3] in new
        return batch

    def _sqlite(self, rows: list[Row]) -> set[object]:
        self._conn.execute("BEGIN IMMEDIATE")
        new = {row[:3] for row in rows if self._conn.execute(PEER_SQLITE, row).rowcount}
        self._conn.execute("COMMIT")
        return new

    def _postgres(self, rows: list[Row]) -> set[object]:
        cursor = self._pg.execute(PEER_POSTGRES, [list(column) for column in zip(*rows, strict=True)])
        new = set(cursor.fetchall())
        self._pg.commit()
        return new


def _work(url: str, who: str, experiment_id: int, salt: str, threads: int, start, results) -> None:
    """One process: so many threads that each send one event after the other; how many, and the slow ones.

    `who` is ours, peer, or random: ours with visitors whose ids fall anywhere in the table.
    """
    engine = connect(url)
    writer, peer = EventWriter(engine), Peer(url) if who == "peer" else None
    counts, slow = [0] * threads, []
    stop = threading.Event()

    def send(number: int) -> None:
        times = []
        for i in itertools.count():
            if stop.is_set():
                break
            unit = uuid.uuid4().hex if who == "random" else f"{time.time_ns():x}-{salt}-{number}-{i}"
            began = time.perf_counter()
            if peer:
                assert peer.one((experiment_id, "assigned", unit, "upsell", NOW, NOW // DAY, "0" * 16, NOW))
            else:
                row = ExposureRow(ExperimentId(experiment_id), "assigned", unit, "upsell", NOW, NOW // DAY, "0" * 16)
                assert writer.write(StorefrontId(1), Intake(exposures=[row]), NOW)[0] == "accepted"
            times.append(time.perf_counter() - began)
        counts[number] = len(times)
        slow.extend(times)

    workers = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
    start.wait()
    for worker in workers:
        worker.start()
    time.sleep(SECONDS)
    stop.set()
    for worker in workers:
        worker.join()
    results.put((sum(counts), slow))
    engine.dispose()


def measure(url: str, who: str, experiment_id: int, salt: str, threads: int) -> tuple[float, float, float]:
    """Events a second, p50 and p99 in milliseconds."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_work, args=(url, who, experiment_id, f"{salt}{n}", threads, start, results))
        for n in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    times = sorted(t for _, slow in found for t in slow)
    p50, p99 = (1000 * times[int(len(times) * q)] for q in (0.5, 0.99))
    return sum(count for count, _ in found) / SECONDS, p50, p99


def prepare(url: str, filled: int) -> int:
    """The schema, an experiment, the peer's table; both tables filled alike. Gives the experiment's id."""
    engine = connect(url)
    upgrade(engine)
    shop = open_shop(engine)
    shop.define(experiment())
    with reading(engine) as conn:
        number = get_experiment(conn, shop.storefront.id, "offers").id
    rowid = "" if engine.dialect.name == "postgresql" else " WITHOUT ROWID"
    columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind in zip(COLUMNS, TYPES, strict=True))
    with engine.begin() as conn:
        conn.execute(text(f"CREATE TABLE peer ({columns}, PRIMARY KEY (experiment_id, kind, unit_id)){rowid}"))
    writer = EventWriter(engine)
    for start in range(0, filled, 50_000):
        rows = [
            ExposureRow(number, "assigned", f"0{i:015x}-fill", "upsell", NOW, NOW // DAY, "0" * 16)
            for i in range(start, min(start + 50_000, filled))
        ]
        writer.write(shop.storefront.id, Intake(exposures=rows), Micros(NOW))
    with engine.begin() as conn:
        conn.execute(text(f"INSERT INTO peer SELECT {', '.join(COLUMNS)} FROM exposure"))
    engine.dispose()
    return number


def main(rounds: int = 3, filled: int = 0) -> None:
    """A table of medians, and the ratio of each round."""
    print("| database | threads in each of 2 processes | ours: events/s, p50, p99 ms | peer | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, own_postgres() as postgres:
        for kind, url in (("SQLite", f"sqlite:///{Path(name)}/log.sqlite"), ("PostgreSQL", _empty(postgres))):
            number = prepare(url, filled)
            for threads in (1, 8, 32):
                runs: dict[str, list[tuple[float, float, float]]] = {"ours": [], "peer": []}
                for turn in range(rounds):
                    for who in ("ours", "peer") if turn % 2 else ("peer", "ours"):
                        runs[who].append(measure(url, who, number, f"{who}{threads}{turn}", threads))
                ratio = statistics.median(a[0] / b[0] for a, b in zip(runs["ours"], runs["peer"], strict=True))
                shown = []
                for who in ("ours", "peer"):
                    rate, p50, p99 = (statistics.median(column) for column in zip(*runs[who], strict=True))
                    shown.append(f"{rate:,.0f}, {p50:.1f}, {p99:.1f}")
                print(f"| {kind} | {threads} | {shown[0]} | {shown[1]} | {ratio:.2f} |", flush=True)


def _empty(postgres) -> str:
    admin = connect(postgres.uri)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("CREATE DATABASE log"))
    admin.dispose()
    return make_url(postgres.uri).set(database="log").render_as_string(hide_password=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
