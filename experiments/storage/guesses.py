"""Wrong passwords of late, as buckets that leak: one row for each thing that guesses have in common.

A row says when its bucket will be empty. A guess pours in one step of time; what would not fit is not poured
(the generic cell rate algorithm, ITU-T I.371, annex A).
"""

from sqlalchemy import Connection, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.moment import Micros
from experiments.storage.keys import digest
from experiments.storage.tables import guess


def pour(conn: Connection, who: str, step: int, window: int, now: Micros) -> int:
    """0 where the step fitted into the window; else after how many microseconds it will. Sure under concurrency."""
    made = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    first = made(guess).values(who=digest(who), until=now + step)
    poured = first.on_conflict_do_update(
        index_elements=["who"],
        set_={"until": case((guess.c.until > now, guess.c.until), else_=now) + step},
        where=guess.c.until <= now + window - step,
    ).returning(guess.c.until)
    if conn.execute(poured).first() is not None:
        return 0
    until = conn.execute(select(guess.c.until).where(guess.c.who == digest(who))).scalar_one()
    return max(1, int(until) + step - window - now)


def take_back(conn: Connection, who: str, step: int) -> None:
    """Take one step out again."""
    conn.execute(update(guess).where(guess.c.who == digest(who)).values(until=guess.c.until - step))


def empty(conn: Connection, who: str) -> None:
    """Nothing was guessed."""
    conn.execute(delete(guess).where(guess.c.who == digest(who)))


def sweep(conn: Connection, now: Micros) -> int:
    """Delete the rows that count nothing any more, but none that somebody is about to count on; how many."""
    idle = select(guess.c.who).where(guess.c.until <= now).with_for_update(skip_locked=True)
    return conn.execute(delete(guess).where(guess.c.who.in_(idle))).rowcount
