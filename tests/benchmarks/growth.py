"""What a full table costs the event log: the same load on an empty database and on one with millions of exposures.

Both hold visitors with random ids, so that new rows fall anywhere in the table's key. The rounds are interleaved.
PostgreSQL is set as docs/operate.md advises.
Run: .venv/bin/python -W ignore -m tests.benchmarks.growth [rounds] [rows] [threads in each of 2 processes]
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text

from experiments.moment import DAY
from experiments.storage.database import connect
from tests.benchmarks.eventlog import measure, prepare
from tests.durability.postgres import Postgres, own_postgres
from tests.shop import NOW

VALUES = f":experiment, 'assigned', unit_id, 'upsell', {NOW}, {NOW // DAY}, '0000000000000000', {NOW}"
INTO = "INSERT INTO exposure (experiment_id, kind, unit_id, variant, at, day, fingerprint, received_at)"
FILL = {
    "sqlite": f"{INTO} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows),"
    f" u AS (SELECT lower(hex(randomblob(8))) AS unit_id FROM n) SELECT {VALUES} FROM u ORDER BY unit_id",
    "postgresql": f"{INTO} SELECT {VALUES} FROM (SELECT substr(md5(i::text), 1, 16) AS unit_id"
    " FROM generate_series(1, :rows) i) u ORDER BY unit_id ON CONFLICT DO NOTHING",
}


ADVISED = {"shared_buffers": "2GB", "max_wal_size": "8GB", "wal_compression": "on", "checkpoint_timeout": "30min"}


def set_as_advised(postgres: Postgres) -> None:
    """The settings, in force."""
    with create_engine(postgres.uri, isolation_level="AUTOCOMMIT").connect() as conn:
        for name, value in ADVISED.items():
            conn.execute(text(f"ALTER SYSTEM SET {name} = '{value}'"))
    postgres.kill()
    postgres.start()


def fill(url: str, experiment_id: int, rows: int) -> None:
    """So many exposures, as a shop with a long history has them."""
    engine = connect(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        if engine.dialect.name == "postgresql":
            conn.execute(text("SET statement_timeout = 0"))
        conn.execute(text(FILL[engine.dialect.name]), {"experiment": experiment_id, "rows": rows})
        if engine.dialect.name == "postgresql":
            conn.execute(text("VACUUM ANALYZE exposure"))
            conn.execute(text("CHECKPOINT"))
    engine.dispose()
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(engine.url.database or "")) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def main(rounds: int = 5, rows: int = 10_000_000, threads: int = 32) -> None:
    """A table of medians, and the median of each round's ratio."""
    print("| database | empty: events/s, p50, p99 ms | full | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, own_postgres() as postgres:
        set_as_advised(postgres)
        places: dict[str, Callable[[str], str]] = {
            "SQLite": lambda which: f"sqlite:///{Path(name)}/{which}.sqlite",
            "PostgreSQL": lambda which: postgres.empty_database(f"log_{which}"),
        }
        for kind, place in places.items():
            urls = {which: place(which) for which in ("empty", "full")}
            numbers = {which: prepare(url, 0) for which, url in urls.items()}
            began = time.perf_counter()
            fill(urls["full"], numbers["full"], rows)
            print(f"{kind}: {rows:,} rows filled in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            runs: dict[str, list[tuple[float, float, float]]] = {"empty": [], "full": []}
            for turn in range(rounds + 1):  # the first warms the caches up
                for which in ("empty", "full") if turn % 2 else ("full", "empty"):
                    found = measure(urls[which], "random", numbers[which], f"{turn}", threads)
                    runs[which] += [found] if turn else []
            ratio = statistics.median(f[0] / e[0] for f, e in zip(runs["full"], runs["empty"], strict=True))
            shown = []
            for which in ("empty", "full"):
                rate, p50, p99 = (statistics.median(column) for column in zip(*runs[which], strict=True))
                shown.append(f"{rate:,.0f}, {p50:.1f}, {p99:.1f}")
            print(f"| {kind} | {shown[0]} | {shown[1]} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
