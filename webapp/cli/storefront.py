"""`offerlab storefront`."""

import click

from experiments.service.settings import create_storefront
from experiments.storage.database import writing
from webapp.cli import options
from webapp.clock import now


@click.group("storefront")
def command() -> None:
    """Add storefronts."""


@command.command("add")
@click.argument("key")
@click.option("--currency", required=True, help="ISO 4217, as EUR.")
@click.option("--timezone", required=True, help="As Europe/Berlin.")
@click.option(
    "--origin", "origins", multiple=True, metavar="URL", help="Where its pages are served from; none: anywhere."
)
@click.option("--name", default="", help="What people call it.")
@options.database
def add(key: str, currency: str, timezone: str, origins: tuple[str, ...], name: str, database: str | None) -> None:
    """Add a storefront, with a placement for each touchpoint."""
    with options.opened(database) as engine, writing(engine) as conn:
        create_storefront(conn, key, currency, timezone, origins, now(), name)
    click.echo(f"storefront {key} added")
