"""Whoever waits is answered: by a commit, by a refusal, in bounded time, whatever becomes of the leader."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, text

from experiments.errors import Unavailable
from experiments.storage.database import connect, writing
from experiments.storage.groupcommit import GroupCommit, Part, _Waiting


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
        leader = threads.submit(commits.write, [part([0], gate)])
        assert gate.begun.wait(30)
        others = [threads.submit(commits.write, [part([n])]) for n in (1, 2, 0, 3)]  # 0 is there by then
        while len(commits._queue) < 4:
            pass
        gate.open.set()
        assert leader.result(30) == [[0]]
        assert [n for n, other in zip((1, 2, 0, 3), others, strict=True) if other.exception(30)] == [0]
    assert numbers(table) == [0, 1, 2, 3]


def test_a_leader_that_dies_leaves_nobody_waiting(table: Engine) -> None:
    def die() -> None:
        raise SystemExit

    commits, gate = GroupCommit(table), Gate(die)
    with ThreadPoolExecutor(4) as threads:
        leader = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        follower = threads.submit(commits.write, [part([2])])
        while not commits._queue:
            pass
        gate.open.set()
        assert isinstance(leader.exception(30), SystemExit)
        assert follower.result(30) == [[2]]
    assert commits.write([part([3])]) == [[3]]
    assert numbers(table) == [2, 3]


def test_who_waits_too_long_is_told_so_and_may_send_it_again(table: Engine) -> None:
    commits, gate = GroupCommit(table, longest_wait=0.1), Gate()
    with ThreadPoolExecutor(4) as threads:
        leader = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        with pytest.raises(Unavailable) as refusal:
            commits.write([part([2])])
        assert refusal.value.retry_after >= 1
        gate.open.set()
        assert leader.result(30) == [[1]]
    assert commits.write([part([2])]) == [[2]]
    assert numbers(table) == [1, 2]


def test_a_full_queue_refuses_at_once(table: Engine) -> None:
    commits, gate = GroupCommit(table, largest_queue=10), Gate()
    with ThreadPoolExecutor(4) as threads:
        leader = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        waiting = threads.submit(commits.write, [part(list(range(10, 20)))])
        while not commits._queue:
            pass
        with pytest.raises(Unavailable):
            commits.write([part([99])])
        gate.open.set()
        assert leader.result(30) == [[1]]
        assert waiting.result(30) == [list(range(10, 20))]


def test_a_line_that_was_cut_is_made_anew(table: Engine) -> None:
    if table.dialect.name != "postgresql":
        pytest.skip("SQLite has no line to cut")
    commits, gate = GroupCommit(table), Gate()
    other = connect(table.url.render_as_string(hide_password=False))
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
               " AND pid <> pg_backend_pid()")  # fmt: skip
    with ThreadPoolExecutor(4) as threads:
        leader = threads.submit(commits.write, [part([1], gate)])
        assert gate.begun.wait(30)
        follower = threads.submit(commits.write, [part([2])])  # takes over the leader's line, which is cut meanwhile
        with other.connect() as conn:
            conn.execute(cut)
        gate.open.set()
        assert isinstance(leader.exception(30), Unavailable)
        assert follower.result(30) == [[2]]
        assert commits.write([part([3])]) == [[3]]
    other.dispose()
    assert numbers(table) == [2, 3]


@given(stays=st.lists(st.booleans(), max_size=12))
def test_whoever_still_waits_is_answered_whoever_has_gone(stays: list[bool]) -> None:
    commits = GroupCommit(create_engine("sqlite://"))
    leader, *batch = [_Waiting([], 0) for _ in range(len(stays) + 1)]
    for waiting, there in zip(batch, stays, strict=True):
        if not there:
            commits._go(waiting)
    commits._hand_on(leader, [*batch, leader])
    assert not any(waiting.answered for waiting in batch), "one after the other"
    commits._go(leader)
    for waiting in [waiting for waiting, there in zip(batch, stays, strict=True) if there]:
        assert waiting.wake.acquire(blocking=False)
        commits._go(waiting)
    assert [waiting.answered for waiting in batch] == stays


def test_where_no_turns_are_taken_all_are_answered_at_once() -> None:
    commits = GroupCommit(create_engine("sqlite://"))
    commits._turns = None  # as on PostgreSQL
    leader, *batch = [_Waiting([], 0) for _ in range(5)]
    commits._hand_on(leader, [*batch, leader])
    assert all(waiting.answered and waiting.wake.acquire(blocking=False) for waiting in batch)
