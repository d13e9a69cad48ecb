"""`offerlab upgrade`."""

import click

from experiments.storage.database import upgrade
from webapp.cli import options


@click.command("upgrade")
@options.database
def command(database: str | None) -> None:
    """Bring the database's schema to the newest migration."""
    with options.opened(database, checked=False) as engine:
        upgrade(engine)
    click.echo("The schema is up to date.")
