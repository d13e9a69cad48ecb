"""Guesses are counted in the database: exactly, whoever asks at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from experiments.moment import SECOND, Micros
from experiments.service.guessing import Counted, Limit, TooManyGuesses, after_failure, after_success, before_guess
from experiments.storage.database import connect, reading, writing
from experiments.storage.tables import guess
from tests.conftest import sqlite_copy

NOW = Micros(1_700_000_000 * SECOND)
PAIR, ADDRESS = Limit("pair", 3, 30 * SECOND), Limit("address", 10, 30 * SECOND)


def counted(pair: str = "a here", address: str = "a") -> list[Counted]:
    return [Counted(PAIR, pair), Counted(ADDRESS, address)]


def may(engine: Engine, what: list[Counted], now: int) -> bool:
    try:
        with writing(engine) as conn:
            before_guess(conn, what, Micros(now))
    except TooManyGuesses:
        return False
    return True


def test_so_many_at_once_and_then_one_by_one(engine: Engine) -> None:
    assert [may(engine, counted(), NOW) for _ in range(5)] == [True] * 3 + [False] * 2
    with pytest.raises(TooManyGuesses) as refused, writing(engine) as conn:
        before_guess(conn, counted(), Micros(NOW + 4 * SECOND))
    assert refused.value.retry_after == 6
    # what was refused was not counted, neither here nor where it had gone before
    assert not may(engine, counted(), NOW + 10 * SECOND - 1)
    assert may(engine, counted(), NOW + 10 * SECOND)
    assert not may(engine, counted(), NOW + 10 * SECOND)
    assert [may(engine, counted("a there"), NOW + 60 * SECOND) for _ in range(4)] == [True] * 3 + [False]


def test_an_address_is_counted_from_everywhere_and_another_one_is_not(engine: Engine) -> None:
    assert [may(engine, counted(f"a {place}"), NOW) for place in range(12)] == [True] * 10 + [False] * 2
    assert may(engine, counted("b 11", "b"), NOW)


def test_the_right_password_clears_what_it_counted(engine: Engine) -> None:
    for _ in range(2):
        assert may(engine, counted(), NOW)
    with writing(engine) as conn:
        before_guess(conn, counted(), NOW)
        after_success(conn, counted(), NOW)
    assert [may(engine, counted(), NOW) for _ in range(4)] == [True] * 3 + [False]
    # of the address, this once: two wrong ones before, three after, so five more are left
    assert [may(engine, counted(f"a {place}"), NOW) for place in range(6)] == [True] * 5 + [False]


def test_workers_that_guess_side_by_side_are_counted_exactly(database_url: str) -> None:
    workers = [connect(database_url) for _ in range(3)]
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda n: may(workers[n % 3], counted(f"a {n % 4}"), NOW), range(36)))
    for worker in workers:
        worker.dispose()
    assert sum(answers) == ADDRESS.most


def test_what_counts_nothing_any_more_is_swept_away(engine: Engine) -> None:
    for address in "abc":
        may(engine, counted(address, address), NOW)
    with writing(engine) as conn:
        after_failure(conn, NOW)
    assert rows(engine) == 6
    with writing(engine) as conn:
        after_failure(conn, Micros(NOW + 10 * SECOND))
    assert rows(engine) == 0


def rows(engine: Engine) -> int:
    with reading(engine) as conn:
        return int(conn.execute(select(func.count()).select_from(guess)).scalar_one())


@pytest.fixture(scope="module")
def one_engine(template, tmp_path_factory):
    opened = connect(sqlite_copy(template, tmp_path_factory.mktemp("guesses")))
    yield opened
    opened.dispose()


NAMES = count()


@given(gaps=st.lists(st.integers(0, 15 * SECOND), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_in_any_stretch_of_time_there_are_never_more_than_the_limit_and_what_leaks_meanwhile(
    one_engine: Engine, gaps: list[int]
) -> None:
    who, at, let = [Counted(PAIR, str(next(NAMES)))], int(NOW), []
    for gap in gaps:
        at += gap
        if may(one_engine, who, at):
            let.append(at)
        else:  # and nobody is refused without need
            assert any(len(let) - i + 1 > PAIR.most + (at - first) / PAIR.step for i, first in enumerate(let))
    for i, first in enumerate(let):
        for j, last in enumerate(let[i:], 1):
            assert j <= PAIR.most + (last - first) / PAIR.step
