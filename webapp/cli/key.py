"""`offerlab key`."""

import click

from experiments.service.settings import create_key
from experiments.storage.database import writing
from experiments.storage.keys import KeyKind
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now
from webapp.lab import new_token


@click.group("key")
def command() -> None:
    """Make storefront keys."""


@command.command("create")
@options.storefront
@click.option("--kind", required=True, type=click.Choice(["public", "secret", "admin"]))
@options.database
def create(storefront: str, kind: KeyKind, database: str | None) -> None:
    """Print a new key, once: the database keeps only its hash."""
    with options.opened(database) as engine, writing(engine) as conn:
        key = create_key(conn, get_storefront(conn, storefront).id, kind, new_token(), now(), "command line")
    click.echo(key)
