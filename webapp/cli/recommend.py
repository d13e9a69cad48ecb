"""`offerlab recommend`."""

import click

from experiments.storage.database import reading
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now


@click.group("recommend")
def command() -> None:
    """What past orders suggest: products bought together, bestsellers."""


@command.command("refresh")
@options.storefront
@options.database
def refresh(storefront: str, database: str | None) -> None:
    """Work it out anew from the orders that are recorded; a server does so by itself every few minutes."""
    from analysis import recommending

    with options.opened(database) as engine:
        with reading(engine) as conn:
            found = get_storefront(conn, storefront)
        made = recommending.refresh(engine, found, now(), force=True)
    if made is None:
        click.echo("another process is working it out just now")
        return
    click.echo(f"orders {made.orders}")
    click.echo(f"products with companions {len(made.companions)}")
    click.echo(f"bestsellers {len(made.sellers)}")
