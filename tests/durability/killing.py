"""kill -9 at random moments under load: what was acknowledged must be there, once.

Run the long version: .venv/bin/python -m tests.durability.killing [kills]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from experiments.storage.database import connect, upgrade
from tests.durability.load import Load, doubled, lost
from tests.durability.postgres import own_postgres
from tests.durability.shop_server import serve_shop, workers_of
from tests.serving import Server


@dataclass(frozen=True)
class Toll:
    """What the kills cost."""

    kills: int
    acknowledged: int
    lost: int
    doubled: int
    longest_absence: float
    sound: bool

    def __str__(self) -> str:
        state = "sound" if self.sound else "BROKEN"
        return (
            f"{self.kills} kills, {self.acknowledged:,} acknowledged, {self.lost} lost, {self.doubled} doubled, "
            f"back after {self.longest_absence:.1f} s at most, database {state}"
        )


def kill_worker(dice: np.random.Generator) -> Callable[[Server], None]:
    """One of the workers, by lot."""

    def kill(server: Server) -> None:
        workers = workers_of(server)
        if workers:
            workers[int(dice.integers(len(workers)))].kill()

    return kill


def run(
    url: str, directory: Path, kills: int, kill: Callable[[Server], None], dice: np.random.Generator, senders: int = 8
) -> Toll:
    """Load, and a kill at a random moment, so many times."""
    server, key = serve_shop(url, directory)
    killed: list[float] = []
    try:
        with Load(server.url, key, senders) as load:
            for _ in range(kills):
                time.sleep(float(dice.uniform(0.1, 1.0)))
                kill(server)
                killed.append(time.monotonic())  # of PostgreSQL: when it is up again
                while not any(at > killed[-1] for at in load.answers.at[-50:]) and time.monotonic() < killed[-1] + 15:
                    time.sleep(0.02)
            time.sleep(1.5)
    finally:
        code = server.stop()
    assert code == 0, server.log.read_text()
    engine = connect(url)
    gone, twice, sound = lost(engine, load.answers), doubled(engine), is_sound(engine)
    engine.dispose()
    answers = load.answers
    return Toll(kills, len(answers.at), len(gone), twice, answers.longest_absence(killed), sound)


def is_sound(engine: Engine) -> bool:
    """Whether the database opens clean."""
    if engine.dialect.name != "sqlite":
        return True  # PostgreSQL checks what it replays, and does not start otherwise
    with engine.connect() as conn:
        return bool(conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok")


def tell(victim: str, toll: Toll) -> None:
    """One line."""
    sys.stdout.write(f"{victim} {toll}\n")
    sys.stdout.flush()


def main(kills: int = 20) -> None:
    """Print a line for each victim."""
    dice = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        directory = Path(name)
        sqlite = f"sqlite:///{directory}/shop.sqlite"
        engine = connect(sqlite)
        upgrade(engine)
        engine.dispose()
        tell("SQLite, workers:", run(sqlite, directory, kills, kill_worker(dice), dice))
        with own_postgres() as postgres:
            url = postgres.new_database("workers")
            tell("PostgreSQL, workers:", run(url, directory, kills, kill_worker(dice), dice))

            def kill_postgres(_: Server) -> None:
                postgres.kill()
                postgres.start()

            url = postgres.new_database("itself")
            tell("PostgreSQL itself:", run(url, directory, min(kills, 5), kill_postgres, dice))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
