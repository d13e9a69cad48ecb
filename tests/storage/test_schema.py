"""The schema is made by migrations alone, and they make what the tables say."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from experiments.storage.database import _config, check_schema, connect, upgrade, writing
from experiments.storage.tables import metadata


def test_migrations_make_exactly_the_tables(engine: Engine) -> None:
    check_schema(engine)
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


FILLED = [
    """INSERT INTO storefront (id, key, name, currency, timezone, origins, products_at, created_at)
       VALUES (1, 's', 's', 'EUR', 'UTC', '[]', 1, 1)""",
    "INSERT INTO placement (storefront_id, key, name, created_at) VALUES (1, 'cart', 'Cart', 1)",
    """INSERT INTO experiment
       (id, storefront_id, key, placement, state, seed, definition, fingerprint, version, created_at)
       VALUES (1, 1, 'e', 'cart', 'draft', 'e', '{}', '0', 1, 1)""",
    """INSERT INTO conversion (storefront_id, event_key, type, at, day, received_at, item_count)
       VALUES (1, 'order:1', 'order', 1, 0, 1, 1)""",
]


def test_a_filled_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """On SQLite a migration that makes a table anew fails on the rows that point to it; a fresh one hides it."""
    engine = connect(f"sqlite:///{tmp_path}/old.sqlite")
    with writing(engine) as conn:
        config = _config()
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        for statement in FILLED:
            conn.execute(text(statement))
    upgrade(engine)
    check_schema(engine)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT key FROM storefront")).scalars().all() == ["s"]
        assert conn.execute(text("SELECT event_key FROM conversion")).scalars().all() == ["order:1"]
    engine.dispose()
