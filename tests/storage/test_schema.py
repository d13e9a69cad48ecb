"""The schema is made by migrations alone, and they make what the tables say."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from experiments.storage.database import check_schema
from experiments.storage.tables import metadata


def test_migrations_make_exactly_the_tables(engine: Engine) -> None:
    check_schema(engine)
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
