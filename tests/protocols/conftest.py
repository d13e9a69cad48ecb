"""One server for all tests of the protocols; each test has storefronts of its own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import sqlite_copy
from tests.serving import Server, Tenant, add_tenant, start_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    directory = tmp_path_factory.mktemp("protocols")
    started = start_server(sqlite_copy(template, directory), directory, workers=2)
    yield started
    code = started.stop()
    assert code == 0, started.log.read_text()


@pytest.fixture
def new_tenant(server: Server) -> Iterator[Callable[[], Tenant]]:
    """Makes storefronts."""
    made: list[Tenant] = []

    def make() -> Tenant:
        tenant = add_tenant(server, f"shop-{next(_numbers)}")
        for client in (tenant.public, tenant.secret, tenant.admin):
            client.session.headers["Connection"] = "close"  # a kept connection would see one worker only
        made.append(tenant)
        return tenant

    yield make
    for tenant in made:
        for client in (tenant.public, tenant.secret, tenant.admin):
            client.session.close()
        tenant.engine.dispose()


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Tenant:
    """One storefront."""
    return new_tenant()
