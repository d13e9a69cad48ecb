"""Options that several commands share, and the database that they open."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Engine

from experiments.storage.database import check_schema, connect
from webapp.config import load

database = click.option(
    "--database", metavar="URL", help="Database URL; else OFFERLAB_DATABASE_URL, else SQLite in instance/."
)
storefront = click.option("--storefront", required=True, metavar="KEY", help="The storefront's key.")


@contextmanager
def opened(url: str | None, *, checked: bool = True) -> Iterator[Engine]:
    """The database, its schema checked; closed at the end."""
    engine = connect(load(database_url=url).database_url)
    try:
        if checked:
            check_schema(engine)
        yield engine
    finally:
        engine.dispose()
