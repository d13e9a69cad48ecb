"""A disk that fills, locks that others hold, lines that are cut: a clear 503, nothing half-written, no restart."""

import os
import resource
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select, text

from experiments.storage.database import connect, reading
from experiments.storage.tables import conversion, exposure, order_line
from tests.conftest import sqlite_copy
from tests.durability.killing import is_sound
from tests.durability.load import Load, doubled, lost
from tests.durability.shop_server import serve_shop, workers_of
from tests.serving import Client, Server


@pytest.fixture
def sqlite(template: Path, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    server, key = serve_shop(sqlite_copy(template, tmp_path), tmp_path)
    yield server, key
    assert server.stop() == 0, server.log.read_text()


def wait_for_refusals(load: Load, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not load.answers.refusals.get(503) and time.monotonic() < until:
        time.sleep(0.05)
    assert load.answers.refusals.get(503), load.answers


def wait_for_news(load: Load, seconds: float = 20) -> None:
    known, until = len(load.answers.at), time.monotonic() + seconds
    while len(load.answers.at) < known + 50 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(load.answers.at) >= known + 50, load.answers


def check(server: Server, load: Load, *, cut: bool = False) -> None:
    """Everything acknowledged is there once, whole; refusals were 503 with the time to come back."""
    engine = connect(server.database_url)
    assert lost(engine, load.answers) == []
    assert doubled(engine) == 0
    assert is_sound(engine)
    with reading(engine) as conn:  # each order was sent with one line
        orders = conn.scalar(select(func.count()).select_from(conversion).where(conversion.c.type == "order"))
        assert conn.scalar(select(func.count()).select_from(order_line)) == orders
    engine.dispose()
    assert set(load.answers.refusals) <= ({503, "cut"} if cut else {503}), server.log.read_text()
    assert load.answers.without_retry_after == 0


def test_a_full_disk_is_a_503_until_there_is_room(sqlite: tuple[Server, str]) -> None:
    server, key = sqlite
    with Load(server.url, key) as load:
        wait_for_news(load)
        for worker in workers_of(server):  # no file of theirs may grow further
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))
        wait_for_refusals(load)
        assert requests.get(f"{server.url}/livez", timeout=5).ok
        for worker in workers_of(server):
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for_news(load)
    check(server, load)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB that PostgreSQL's own user may enter."""
    disk = Path(tempfile.mkdtemp(prefix="offerlab-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        disk.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    disk.chmod(0o755)
    (disk / "tables").mkdir()
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)
    disk.rmdir()


def test_a_full_disk_of_postgresql_is_a_503_until_there_is_room(
    postgres_database: str, small_disk: Path, tmp_path: Path
) -> None:
    engine = connect(postgres_database)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        server_user = Path(str(conn.scalar(text("SHOW data_directory")))).stat().st_uid
        os.chown(small_disk / "tables", server_user, -1)
        conn.execute(text(f"CREATE TABLESPACE small LOCATION '{small_disk / 'tables'}'"))
        for table in ("exposure", "conversion"):
            conn.execute(text(f"ALTER TABLE {table} SET TABLESPACE small"))
    server, key = serve_shop(postgres_database, tmp_path)
    with Load(server.url, key) as load:
        wait_for_news(load)
        ballast = small_disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:  # until the disk is full
            while file.write(bytes(4096)):
                pass
        wait_for_refusals(load)
        assert requests.get(f"{server.url}/livez", timeout=5).ok
        ballast.unlink()
        wait_for_news(load)
    assert server.stop() == 0, server.log.read_text()
    check(server, load)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for table in ("exposure", "conversion"):
            conn.execute(text(f"ALTER TABLE {table} SET TABLESPACE pg_default"))
        conn.execute(text("DROP TABLESPACE small"))
    engine.dispose()


def test_a_database_that_another_process_locks_is_a_503_until_it_lets_go(sqlite: tuple[Server, str]) -> None:
    server, key = sqlite
    with Load(server.url, key) as load:
        wait_for_news(load)
        other = sqlite3.connect(server.database_url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        wait_for_refusals(load)
        asked = Client(server.url, key).post(
            "/v1/assignments", {"visitor_id": "x", "placement": "cart", "record": False}
        )
        assert asked.ok  # what needs no writing goes on
        other.execute("ROLLBACK")
        other.close()
        wait_for_news(load)
    check(server, load)
    assert load.answers.slowest < 15


def waiting(server: Server, key: str, number: int, threads: ThreadPoolExecutor) -> list[Future[requests.Response]]:
    """So many assignments that are recorded, all on their way."""
    began = threading.Barrier(number + 1)

    def assign(n: int) -> requests.Response:
        asked = {"visitor_id": f"w{n}", "placement": "cart", "context": {"product_id": "A1"}}
        began.wait()
        return requests.post(
            f"{server.url}/v1/assignments", json=asked, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )

    found = [threads.submit(assign, n) for n in range(number)]
    began.wait()
    return found


def test_who_waits_for_a_commit_keeps_nobody_else_from_an_answer(template: Path, tmp_path: Path) -> None:
    """More wait than the worker has threads, and what needs no commit is answered at once."""
    server, key = serve_shop(sqlite_copy(template, tmp_path), tmp_path, workers=1)
    other = sqlite3.connect(server.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(80) as threads:
        recorded = waiting(server, key, 80, threads)
        for n in range(10):
            asked = {"visitor_id": f"x{n}", "placement": "cart", "record": False}
            assert Client(server.url, key).post("/v1/assignments", asked).ok
        assert not any(each.done() for each in recorded)
        other.execute("ROLLBACK")
        assert [each.result().status_code for each in recorded] == [200] * 80
    other.close()
    engine = connect(server.database_url)
    with reading(engine) as conn:
        assert conn.scalar(select(func.count()).select_from(exposure)) == 80
    engine.dispose()
    assert server.stop() == 0, server.log.read_text()


def test_sigterm_waits_for_what_is_about_to_be_durable(template: Path, tmp_path: Path) -> None:
    server, key = serve_shop(sqlite_copy(template, tmp_path), tmp_path, workers=1)
    other = sqlite3.connect(server.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(30) as threads:
        recorded = waiting(server, key, 30, threads)
        time.sleep(2)  # until all of them have come
        server.process.terminate()
        time.sleep(0.5)
        other.execute("ROLLBACK")
        assert [each.result().status_code for each in recorded] == [200] * 30
    assert server.process.wait(30) == 0, server.log.read_text()
    assert other.execute("SELECT count(*) FROM exposure").fetchone() == (30,)
    other.close()


def test_a_table_that_is_locked_on_postgresql_is_a_503_until_it_is_free(postgres_database: str, tmp_path: Path) -> None:
    server, key = serve_shop(postgres_database, tmp_path)
    engine = connect(postgres_database)
    with Load(server.url, key) as load:
        wait_for_news(load)
        with engine.connect() as conn:
            conn.execute(text("LOCK TABLE exposure IN ACCESS EXCLUSIVE MODE"))
            wait_for_refusals(load)
        wait_for_news(load)
    assert server.stop() == 0, server.log.read_text()
    engine.dispose()
    check(server, load)
    assert load.answers.slowest < 15


def test_lines_that_are_cut_lose_and_double_nothing(postgres_database: str, tmp_path: Path) -> None:
    server, key = serve_shop(postgres_database, tmp_path)
    engine = connect(postgres_database)
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
    with Load(server.url, key) as load:
        for _ in range(8):
            time.sleep(0.2)
            with engine.connect() as conn:
                conn.execute(cut)
        wait_for_news(load)
    assert server.stop() == 0, server.log.read_text()
    engine.dispose()
    check(server, load)


def test_sigterm_answers_what_was_asked(template: Path, tmp_path: Path) -> None:
    server, key = serve_shop(sqlite_copy(template, tmp_path), tmp_path)
    with Load(server.url, key, patience=1) as load:
        wait_for_news(load)
        began = time.monotonic()
        assert server.stop() == 0, server.log.read_text()
        assert time.monotonic() - began < 15
    check(server, load, cut=True)


def test_a_worker_that_hangs_in_its_turn_stops_nobody_for_ever(sqlite: tuple[Server, str]) -> None:
    server, key = sqlite
    with Load(server.url, key) as load:
        wait_for_news(load)
        hung = workers_of(server)[0]
        hung.suspend()
        timer = threading.Timer(3, hung.resume)
        timer.start()
        timer.join()
        wait_for_news(load)
    check(server, load, cut=True)
