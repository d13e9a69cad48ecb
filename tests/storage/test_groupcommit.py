"""Whoever waits is answered: by a commit, by a refusal, in bounded time, whatever becomes of the write."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from experiments.errors import Unavailable
from experiments.storage import groupcommit
from experiments.storage.database import connect, writing
from experiments.storage.groupcommit import Done, Found, GroupCommit, Part, _Turns


@pytest.fixture
def table(engine: Engine) -> Engine:
    with writing(engine) as conn:
        conn.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    return engine


def numbers(engine: Engine) -> list[int]:
    with engine.connect() as conn:
        return list(conn.scalars(text("SELECT n FROM t ORDER BY n")))


def add(conn: Connection, rows: Sequence[int]) -> Sequence[int]:
    for n in rows:
        conn.execute(text("INSERT INTO t (n) VALUES (:n)"), {"n": n})
    return rows


def part(
    rows: Sequence[int], append: Callable[[Connection, Sequence[Any]], Sequence[Any]] = add, group: int = 0
) -> Part:
    return Part((group, 0), append, rows)


def test_rows_of_many_threads_are_written_once_each(table: Engine) -> None:
    commits = GroupCommit(table)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda n: commits.write([part([n])]), range(500)))
    assert found == [[[n]] for n in range(500)]
    assert numbers(table) == list(range(500))


def test_the_parts_of_one_caller_are_written_together_or_not_at_all(table: Engine) -> None:
    def fail(conn: Connection, rows: Sequence[int]) -> Sequence[int]:
        raise ValueError("what was sent cannot be written")

    commits = GroupCommit(table)
    with pytest.raises(ValueError, match="cannot be written"):
        commits.write([part([1]), part([2], fail, group=1)])
    assert numbers(table) == []
    assert commits.write([part([1]), part([2], group=1)]) == [[1], [2]]


class Gate:
    """An append that waits until it is let through, and says when it has begun."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.begun, self.open, self._then = threading.Event(), threading.Event(), then

    def __call__(self, conn: Connection, rows: Sequence[int]) -> Sequence[int]:
        self.begun.set()
        assert self.open.wait(30)
        self._then()
        return add(conn, rows)


def test_what_one_caller_sent_fails_alone(table: Engine) -> None:
    commits, gate = GroupCommit(table), Gate()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(commits.write, [part([0], gate)])
        assert gate.begun.wait(30)
        others = [threads.submit(commits.write, [part([n])]) for n in (1, 2, 0, 3)]  # 0 is there by then
        while len(commits._queue) < 4:
            pass
        gate.open.set()
        assert first.result(30) == [[0]]
        assert [n for n, other in zip((1, 2, 0, 3), others, strict=True) if other.exception(30)] == [0]
    assert numbers(table) == [0, 1, 2, 3]


def test_a_write_that_dies_leaves_nobody_waiting(table: Engine) -> None:
    def die() -> None:
        raise SystemExit

    commits, gate = GroupCommit(table), Gate(die)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        second = threads.submit(commits.write, [part([2])])
        while not commits._queue:
            pass
        gate.open.set()
        assert isinstance(first.exception(30), Unavailable)
        assert second.result(30) == [[2]]
    assert commits.write([part([3])]) == [[3]]
    assert numbers(table) == [2, 3]


def test_who_waits_too_long_is_told_so_and_may_send_it_again(table: Engine) -> None:
    commits, gate = GroupCommit(table, longest_wait=0.1), Gate()
    told: list[Found] = []
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        commits.submit([part([2])], told.append)
        with pytest.raises(Unavailable) as refusal:
            commits.write([part([3])])
        assert refusal.value.retry_after >= 1
        assert isinstance(first.exception(30), Unavailable), "it may be written all the same"
        commits._longest_wait = 30
        gate.open.set()
    assert commits.write([part([3])]) == [[3]]
    assert [type(found) for found in told] == [Unavailable], "once, and no more when the gate opens"
    assert numbers(table) == [1, 3], "who had not been taken is not written"


def test_whoever_does_not_wait_is_told_once_it_is_durable(table: Engine) -> None:
    commits = GroupCommit(table)
    told: SimpleQueue[tuple[int, Found, list[int]]] = SimpleQueue()

    def tells(n: int) -> Done:
        return lambda found: told.put((n, found, numbers(table)))

    for n in range(20):
        commits.submit([part([n]), part([100 + n], group=1)], tells(n))
    for n in range(20):
        who, found, there = told.get(timeout=30)
        assert (who, found) == (n, [[n], [100 + n]])
        assert {n, 100 + n} <= set(there)
    assert told.empty()


def test_a_caller_that_cannot_be_told_keeps_no_other_from_it(table: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def fail(found: Found) -> None:
        raise ValueError("away")

    commits = GroupCommit(table)
    commits.submit([part([1])], fail)
    assert commits.write([part([2])]) == [[2]]
    assert numbers(table) == [1, 2]
    assert "could not be told" in caplog.text


def test_its_threads_end_when_there_is_nothing_to_do_and_come_back(
    table: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "IDLE", 0.01)
    commits, before = GroupCommit(table), set(threading.enumerate())
    for n in range(3):
        assert commits.write([part([n])]) == [[n]]
        until = time.monotonic() + 30
        while set(threading.enumerate()) - before:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert numbers(table) == [0, 1, 2]


def test_while_the_store_is_away_one_asks_and_the_others_are_told_at_once(table: Engine) -> None:
    def away() -> None:
        raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    commits, gate = GroupCommit(table), Gate(away)
    gate.open.set()
    with pytest.raises(Unavailable):
        commits.write([part([1], gate)])
    again = Gate()
    with ThreadPoolExecutor(1) as threads:
        asks = threads.submit(commits.write, [part([2], again)])
        assert again.begun.wait(30)
        with pytest.raises(Unavailable, match="just now"):
            commits.submit([part([3])], lambda found: None)
        again.open.set()
        assert asks.result(30) == [[2]]
    assert commits.write([part([3])]) == [[3]]


def test_a_full_queue_refuses_at_once(table: Engine) -> None:
    commits, gate = GroupCommit(table, largest_queue=10), Gate()
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        waiting = threads.submit(commits.write, [part(list(range(10, 20)))])
        while not commits._queue:
            pass
        with pytest.raises(Unavailable):
            commits.write([part([99])])
        gate.open.set()
        assert first.result(30) == [[1]]
        assert waiting.result(30) == [list(range(10, 20))]


def test_a_line_that_was_cut_is_made_anew(table: Engine) -> None:
    if table.dialect.name != "postgresql":
        pytest.skip("SQLite has no line to cut")
    commits, gate = GroupCommit(table), Gate()
    other = connect(table.url.render_as_string(hide_password=False))
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
               " AND pid <> pg_backend_pid()")  # fmt: skip
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        follower = threads.submit(commits.write, [part([2])])  # goes over the same line, which is cut meanwhile
        with other.connect() as conn:
            conn.execute(cut)
        gate.open.set()
        assert isinstance(first.exception(30), Unavailable)
        assert follower.result(30) == [[2]]
        assert commits.write([part([3])]) == [[3]]
    other.dispose()
    assert numbers(table) == [2, 3]


def test_who_has_had_its_turn_lets_those_go_first_who_wait(tmp_path: Path) -> None:
    ours, theirs = _Turns(str(tmp_path / "turns")), _Turns(str(tmp_path / "turns"))
    for _ in range(50):
        took: list[str] = []

        def take(took: list[str] = took) -> None:
            with theirs.one():
                took.append("they")

        other = threading.Thread(target=take)
        with ours.one():
            other.start()
            until = time.monotonic() + 30
            while not is_held(tmp_path / "turns.next"):
                assert time.monotonic() < until
        with ours.one():
            took.append("we again")
        other.join()
        assert took == ["they", "we again"]


def is_held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
