"""Connecting: SQLite or PostgreSQL by URL, the same behaviour on both."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from experiments.errors import Invalid, OfferlabError, Unavailable

_MIGRATIONS = Path(__file__).parent / "migrations"
_IMMEDIATE = "offerlab_immediate"
_BEGUN = "offerlab_begun"
_BUSY_MS = 15_000
"""How long a writer waits for another process's transaction on SQLite."""
_POSTGRES = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "tcp_user_timeout": 10_000,  # a cut line is noticed in seconds, where the system's own patience is a quarter hour
    "options": "-c lock_timeout=5000 -c statement_timeout=300000 -c idle_in_transaction_session_timeout=60000",
}


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
        engine = create_engine(parsed, pool_size=32, max_overflow=64, connect_args={"timeout": _BUSY_MS / 1000})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    if backend == "postgresql":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        try:
            return create_engine(
                parsed, pool_size=32, max_overflow=32, pool_timeout=10, pool_pre_ping=True, connect_args=_POSTGRES
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
    options = connection.get_execution_options()
    if options.get(_BEGUN):  # by its Writer
        return
    immediate = options.get(_IMMEDIATE)
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


class Writer:
    """A connection kept for many transactions, one after the other, with as little around each as the driver allows."""

    def __init__(self, engine: Engine, patience_ms: int) -> None:
        self._sqlite = engine.dialect.name == "sqlite"
        self._conn = engine.connect().execution_options(**{_BEGUN: True})
        driver = self._conn.connection.driver_connection
        if driver is None:
            raise Unavailable("The database gave no connection")
        self._driver: Any = driver
        if self._sqlite:
            self._driver.execute(f"PRAGMA busy_timeout={patience_ms}")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Durable when the block ends; where it raises, the connection is closed, and nothing is left behind."""
        try:
            if self._sqlite:
                self._driver.execute("BEGIN IMMEDIATE")
            yield self._conn
            if self._conn.in_transaction():  # SQLAlchemy ran something, and has its own idea of a transaction
                self._conn.commit()
            else:
                self._driver.commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Close the connection, and its transaction with it."""
        with suppress(Exception):
            self._conn.invalidate()
        with suppress(Exception):
            self._conn.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        refusal = unavailable(error)
        if refusal is None:
            raise
        raise refusal from error


def unavailable(error: Exception) -> Unavailable | None:
    """What a driver's error means for a caller: a database that is away, locked, full or too slow; None for others.

    The names are PEP 249's, and so the same in every driver.
    """
    if isinstance(error, PoolTimeout):
        return Unavailable("The database is busy: no connection became free")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not {kind.__name__ for kind in type(cause).__mro__} & {"OperationalError", "InterfaceError", "InternalError"}:
        return None
    said = " ".join(str(cause).split())
    return Unavailable(f"The database does not answer: {said or type(cause).__name__}")


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
