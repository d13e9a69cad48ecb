"""`offerlab import exposures` beside a hand-written import of the same CSV file, in interleaved rounds.

The peer does the least that is correct: csv, a time and a day for each row, one table with the same columns, batches of
5,000 rows in a transaction each. Run: .venv/bin/python -W ignore -m tests.benchmarks.importing [rounds] [rows]
"""

import csv
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
from sqlalchemy.engine import make_url

from experiments.importing.columns import Columns
from experiments.importing.events import Fill
from experiments.importing.rowfile import RowFile
from experiments.moment import DAY
from experiments.service.importing import BATCH, import_conversions, import_exposures
from experiments.storage.database import connect, upgrade
from tests.durability.postgres import own_postgres
from tests.shop import NOW, Shop, experiment, open_shop

COLUMNS = "experiment_id, kind, unit_id, variant, at, day, fingerprint, received_at"
PEER = (
    "CREATE TABLE peer (experiment_id INT NOT NULL, kind TEXT NOT NULL, unit_id TEXT NOT NULL, variant TEXT NOT NULL,"
    " at BIGINT NOT NULL, day INT NOT NULL, fingerprint TEXT NOT NULL, received_at BIGINT NOT NULL,"
    " PRIMARY KEY (experiment_id, kind, unit_id))"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_files(directory: Path, rows: int) -> tuple[Path, Path]:
    """Exposures of visitors with random ids, and orders of theirs."""
    dice = np.random.default_rng(1)
    units = [f"{bits:016x}" for bits in dice.integers(0, 2**63, rows)]
    seconds, arms = dice.integers(0, 18 * 86_400, rows), dice.integers(0, 4, rows)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    times = [f"{start + timedelta(seconds=int(s)):%Y-%m-%dT%H:%M:%SZ}" for s in np.sort(seconds)]
    variants = ("control", "upsell", "cross-sell", "bundle")
    met, sold = directory / "exposures.csv", directory / "orders.csv"
    with met.open("w") as file:
        file.write("visitor_id,experiment,variant,kind,occurred_at\n")
        file.writelines(f"{u},offers,{variants[a]},assigned,{t}\n" for u, a, t in zip(units, arms, times, strict=True))
    with sold.open("w") as file:
        file.write("order_id,visitor_id,revenue,currency,occurred_at\n")
        cents = dice.integers(100, 9_000, rows)
        file.writelines(
            f"o{i},{u},{c / 100:.2f},EUR,{t}\n"
            for i, (u, c, t) in enumerate(zip(units[: rows // 4], cents, times, strict=False))
        )
    return met, sold


def by_hand(path: Path, connection: sqlite3.Connection | psycopg.Connection, statement: str) -> None:
    """The hand-written import."""
    cursor = connection.cursor()
    with path.open(newline="") as file:
        reader = csv.reader(file)
        next(reader)
        while batch := list(itertools.islice(reader, BATCH)):
            values = []
            for unit, _, variant, kind, text in batch:
                at = (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
                values.append((1, kind, unit, variant, at, at // DAY, "0" * 16, NOW))
            cursor.executemany(statement, values)
            connection.commit()


def ours(shop: Shop, kind: str, path: Path) -> None:
    """The import as the command runs it."""
    source = RowFile(path)
    rows = source.rows(Columns("exposures" if kind == "exposures" else "conversions", {}).meaning)
    fill, numbers = Fill("EUR"), itertools.count()
    if kind == "exposures":
        batches = import_exposures(shop.engine, shop.view, rows, fill, NOW)
    else:
        batches = import_conversions(shop.engine, shop.view, rows, fill, NOW, lambda: str(next(numbers)))
    assert all(batch.duplicate == 0 and not batch.rejected for batch in batches)


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of this process's processor time."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy


def one_round(kind: str, new_url: Callable[[], str], met: Path, sold: Path) -> dict[str, tuple[float, float]]:
    """Each import into an empty database."""
    url = new_url()
    engine = connect(url)
    upgrade(engine)
    shop = open_shop(engine)
    shop.define(experiment())
    found = {"exposures": timed(lambda: ours(shop, "exposures", met)), "orders": timed(lambda: ours(shop, "o", sold))}
    engine.dispose()
    parsed = make_url(new_url())
    connection: sqlite3.Connection | psycopg.Connection
    if kind == "SQLite":
        connection = sqlite3.connect(parsed.database or "")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "mmap_size=268435456"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"{PEER} WITHOUT ROWID")
        marks = ", ".join("?" * 8)
    else:
        connection = psycopg.connect(parsed.set(drivername="postgresql").render_as_string(hide_password=False))
        connection.execute(PEER)
        marks = ", ".join(["%s"] * 8)
    connection.commit()
    statement = f"INSERT INTO peer ({COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    found["by hand"] = timed(lambda: by_hand(met, connection, statement))
    connection.close()
    return found


def main(rounds: int = 3, rows: int = 200_000) -> None:
    """A table of medians."""
    print("| database | import | rows/s | rows/s of processor time | ratio to by hand |")
    print("|---|---|---|---|---|")
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as name, own_postgres() as postgres:
        directory = Path(name)
        met, sold = write_files(directory, rows)
        places: dict[str, Callable[[], str]] = {
            "SQLite": lambda: f"sqlite:///{directory}/{next(numbers)}.sqlite",
            "PostgreSQL": lambda: postgres.empty_database(f"import{next(numbers)}"),
        }
        for kind, new_url in places.items():
            runs = [one_round(kind, new_url, met, sold) for _ in range(rounds)]
            for what in ("by hand", "exposures", "orders"):
                count = rows // 4 if what == "orders" else rows
                wall, busy = (statistics.median(count / run[what][i] for run in runs) for i in (0, 1))
                ratio = statistics.median(run["by hand"][0] / run[what][0] * count / rows for run in runs)
                print(f"| {kind} | {what} | {wall:,.0f} | {busy:,.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
