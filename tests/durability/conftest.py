"""A PostgreSQL that these tests may kill."""

import itertools
from collections.abc import Iterator

import pytest

from tests.durability.postgres import Postgres, own_postgres

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    """The server."""
    with own_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: Postgres) -> str:
    """A fresh database on it."""
    return postgres.new_database(f"shop{next(_numbers)}")
