"""Leases: what only one process should do, and which one does it until when; a dead holder's runs out by itself."""

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.moment import Micros
from experiments.storage.tables import lease


def holder_of(conn: Connection, name: str) -> tuple[str, Micros] | None:
    """Who holds it and until when; None where nobody ever did."""
    row = conn.execute(select(lease).where(lease.c.name == name)).first()
    return None if row is None else (row.holder, Micros(row.until))


def take(conn: Connection, name: str, holder: str, until: Micros, now: Micros) -> bool:
    """Take it, or hold it for longer; whether it is this holder's now. Of several who try at once one succeeds."""
    insert_into = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    made = insert_into(lease).values(name=name, holder=holder, until=until).on_conflict_do_nothing()
    if conn.execute(made).rowcount == 1:
        return True
    free = or_(lease.c.holder == holder, lease.c.until <= now)
    taken = update(lease).where(lease.c.name == name, free).values(holder=holder, until=until)
    return conn.execute(taken).rowcount == 1


def give_back(conn: Connection, name: str, holder: str, now: Micros) -> None:
    """Let the next one have it at once."""
    conn.execute(update(lease).where(lease.c.name == name, lease.c.holder == holder).values(until=now))
