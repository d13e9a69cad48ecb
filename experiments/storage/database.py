"""Connecting: SQLite or PostgreSQL by URL, the same behaviour on both."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from experiments.errors import Invalid, OfferlabError, Unavailable

_MIGRATIONS = Path(__file__).parent / "migrations"
_IMMEDIATE = "offerlab_immediate"


class OldSchema(OfferlabError):
    """The database's schema is not the one that this version needs."""

    code = "old_schema"


def connect(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql+psycopg://…`; a SQLite file's directory is made."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Invalid.at(
            "database", f"{url!r} is no database URL; write sqlite:///file or postgresql+psycopg://…"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise Invalid.at("database", "a SQLite database needs a file: sqlite:///instance/offerlab.sqlite")
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_size=32, max_overflow=64, connect_args={"timeout": 15.0})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    if backend == "postgresql":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        try:
            return create_engine(
                parsed, pool_size=32, max_overflow=32, pool_pre_ping=True, connect_args={"connect_timeout": 3}
            )
        except ModuleNotFoundError:
            raise Invalid.at("database", "PostgreSQL needs its driver: pip install 'offerlab[postgres]'") from None
    raise Invalid.at("database", f"{backend} is not supported; write sqlite:///file or postgresql+psycopg://…")


def _sqlite_connected(connection: Any, _record: object) -> None:
    # The driver's own transaction handling commits behind SQLAlchemy's back; off, and BEGIN is ours (_sqlite_begin).
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "mmap_size=268435456",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: Connection) -> None:
    # A writer says so at once: a transaction that reads first and writes later cannot wait for the lock, it fails.
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and writes nothing."""
    with _translated(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is durable when the block ends, or leaves nothing behind."""
    with _translated(), engine.connect() as connection:
        marked = connection.execution_options(**{_IMMEDIATE: True})
        with marked.begin():
            yield marked


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error.orig}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("The database went away") from error
        raise


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest migration; the one way a schema is made."""
    with writing(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(engine: Engine) -> None:
    """Nothing where the schema is the newest; OldSchema, with what to do, where it is not."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    with reading(engine) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != newest:
        raise OldSchema(f"The schema is at {current or 'nothing'}, and {newest} is needed: run `offerlab upgrade`")


def _config() -> Config:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
