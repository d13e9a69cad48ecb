"""The real server for other runtimes' clients, and pages of a shop on another origin."""

from collections.abc import Iterator

import pytest

from tests.e2e.runtimes import Pages, need_node, serving_pages
from tests.protocols.conftest import new_tenant, server, tenant

__all__ = ["new_tenant", "pages", "server", "tenant"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this room is end to end."""
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(autouse=True)
def _runtimes() -> None:
    need_node()  # before a server is started for nothing


@pytest.fixture
def pages() -> Iterator[Pages]:
    """A shop's pages."""
    with serving_pages() as made:
        yield made
