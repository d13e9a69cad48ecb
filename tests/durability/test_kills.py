"""kill -9 of workers and of PostgreSQL under load: nothing acknowledged is lost or counted twice."""

from pathlib import Path

import numpy as np

from tests.conftest import sqlite_copy
from tests.durability.killing import Toll, kill_worker, run
from tests.durability.postgres import Postgres
from tests.serving import Server

KILLS = 3


def check(toll: Toll) -> None:
    assert (toll.lost, toll.doubled, toll.sound) == (0, 0, True), toll
    assert toll.acknowledged > 100, toll
    assert toll.longest_absence < 30, toll  # it comes back; how soon, killing.py measures on a machine that is quiet


def test_killed_workers_lose_nothing_on_sqlite(template: Path, tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    check(run(sqlite_copy(template, tmp_path), tmp_path, KILLS, kill_worker(dice), dice))


def test_killed_workers_lose_nothing_on_postgresql(postgres_database: str, tmp_path: Path) -> None:
    dice = np.random.default_rng(2)
    check(run(postgres_database, tmp_path, KILLS, kill_worker(dice), dice))


def test_a_killed_postgresql_loses_nothing(postgres: Postgres, postgres_database: str, tmp_path: Path) -> None:
    def kill(_: Server) -> None:
        postgres.kill()
        postgres.start()

    check(run(postgres_database, tmp_path, 1, kill, np.random.default_rng(3)))
