"""Rows that may be there already: which of them are new is the database's answer, asked for in columns.

SQLAlchemy Core states each statement once; the driver runs it, as building it anew costs as much as running it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite

Row = tuple[Any, ...]
MANY = 500
"""Rows from which on it pays to try them all at once on SQLite."""


def insert_new(conn: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row], key: int) -> list[Row]:
    """Insert what is not there yet; of the rows that were not, at least the first `key` columns. No row is given twice.

    Rows are written in the order given, which must be the same in every process: rows locked crosswise would deadlock.
    """
    if not rows:
        return []
    cursor = conn.connection.cursor()
    try:
        if conn.dialect.name == "postgresql":
            cursor.execute(_by_arrays(table, columns, key), _arrays(columns, rows))
            return list(cursor.fetchall())
        statement = _one_by_one(table, columns)
        if len(rows) >= MANY and _are_all_new(cursor, statement, rows):
            return list(rows)
        return [row for row in rows if cursor.execute(statement, row).rowcount]
    finally:
        cursor.close()


def _are_all_new(cursor: Any, statement: str, rows: Sequence[Row]) -> bool:
    """Insert them at one go, and take that back where some were there: which, only row by row can tell."""
    cursor.execute("SAVEPOINT at_one_go")
    cursor.executemany(statement, rows)
    found: bool = cursor.rowcount == len(rows)
    if not found:
        cursor.execute("ROLLBACK TO at_one_go")
    cursor.execute("RELEASE at_one_go")
    return found


def insert_all(conn: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows that cannot be there yet."""
    if not rows:
        return
    cursor = conn.connection.cursor()
    try:
        if conn.dialect.name == "postgresql":
            cursor.execute(_by_arrays(table, columns, 0), _arrays(columns, rows))
        else:
            cursor.executemany(_one_by_one(table, columns), rows)
    finally:
        cursor.close()


def _arrays(columns: tuple[str, ...], rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


@cache
def _one_by_one(table: Table, columns: tuple[str, ...]) -> str:
    statement = sqlite.insert(table).values({name: bindparam(name) for name in columns}).on_conflict_do_nothing()
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
    if compiled.positiontup != list(columns):
        raise ValueError(f"the columns of {table} must stand in the table's own order")
    return str(compiled)


@cache
def _by_arrays(table: Table, columns: tuple[str, ...], key: int) -> str:
    arrays = [cast(bindparam(name), postgresql.ARRAY(table.c[name].type)) for name in columns]
    given = func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
    chosen = select(*(given.c[name] for name in columns))
    statement = postgresql.insert(table).from_select(list(columns), chosen).on_conflict_do_nothing()
    returning = statement.returning(*(table.c[name] for name in columns[:key])) if key else statement
    dialect = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    return str(returning.compile(dialect=dialect))
