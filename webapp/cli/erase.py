"""`offerlab erase`."""

from collections.abc import Collection
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
@click.option("--expired", is_flag=True, help="What is past the storefront's retention period; for a daily job.")
@options.database
def command(
    storefront: str, visitor: str | None, customer: str | None, before: str | None, expired: bool, database: str | None
) -> None:
    """Delete one person's data everywhere, or all that is past its time. This cannot be undone.

    Reports count what is left. The audit says that data was deleted and how much, not whose.
    """
    from experiments.service.erasing import enforce_retention, erase, erase_before, person_of

    if (before is not None or expired) and (visitor or customer or (before is not None and expired)):
        raise Invalid.at("expired" if expired else "before", "stands alone: it is about everyone")
    holding: Collection[str] = ()
    with options.opened(database) as engine, writing(engine) as conn:
        shop = get_storefront(conn, storefront)
        if expired:
            gone, holding = enforce_retention(conn, shop, "command line", now())
        elif before is not None:
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
    for key in holding:
        click.echo(f"{key} still measures: what it counts stays until it is stopped")
    if not any(gone.values()):
        click.echo("there was nothing to delete")
