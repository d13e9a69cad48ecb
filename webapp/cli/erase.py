"""`offerlab erase`."""

from datetime import date, datetime, time

import click

from experiments.errors import Invalid
from experiments.moment import micros
from experiments.storage.database import writing
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now


@click.command("erase")
@options.storefront
@click.option("--visitor", metavar="ID", help="This visitor's data.")
@click.option("--customer", metavar="ID", help="This customer's data, and that of the visitors that belong to it.")
@click.option("--before", metavar="DATE", help="All events from before that day, of experiments that are over.")
@options.database
def command(
    storefront: str, visitor: str | None, customer: str | None, before: str | None, database: str | None
) -> None:
    """Delete one person's data everywhere, or all events past their time. This cannot be undone.

    Reports count what is left. The audit says that data was deleted and how much, not whose.
    """
    from experiments.service.erasing import erase, erase_before, person_of

    if before is not None and (visitor or customer):
        raise Invalid.at("before", "stands alone: it is about everyone")
    with options.opened(database) as engine, writing(engine) as conn:
        shop = get_storefront(conn, storefront)
        if before is not None:
            try:
                day = date.fromisoformat(before)
            except ValueError:
                raise Invalid.at("before", f"{before!r} is no date such as 2026-11-21") from None
            gone = erase_before(conn, shop, micros(datetime.combine(day, time(), shop.zone)), "command line", now())
        else:
            gone = erase(conn, shop, person_of(conn, shop.id, visitor, customer), "command line", now())
    for table, rows in sorted(gone.items()):
        if rows:
            click.echo(f"{table} {rows}")
    if not any(gone.values()):
        click.echo("there was nothing to delete")
