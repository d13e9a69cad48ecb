"""`offerlab upgrade`."""

import click

from experiments.storage.database import upgrade, writing
from experiments.storage.inbox import seal_secrets
from experiments.storage.outbox import seal_targets
from webapp.cli import options
from webapp.config import load
from webapp.lab import the_seal


@click.command("upgrade")
@options.database
def command(database: str | None) -> None:
    """Bring the database's schema to the newest migration, and seal webhooks' secrets under OFFERLAB_SECRET_KEY."""
    from webapp.deciding import keep_gists  # what it stands on takes a second to import

    with options.opened(database, checked=False) as engine:
        upgrade(engine)
        with writing(engine) as conn:
            seal_secrets(conn, the_seal(load()))
            seal_targets(conn, the_seal(load()))
            keep_gists(conn)
    click.echo("The schema is up to date.")
