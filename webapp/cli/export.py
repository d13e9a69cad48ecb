"""`offerlab export`."""

from datetime import date
from pathlib import Path

import click
import msgspec

from experiments.errors import Invalid
from experiments.storage.database import reading
from experiments.storage.storefronts import get_storefront
from webapp.cli import options


@click.command("export")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@options.storefront
@click.option("--since", metavar="DATE", help="Only days from this one on, in the storefront's calendar.")
@click.option("--visitor", metavar="ID", help="Only what is kept about this visitor, as person.json.")
@click.option(
    "--customer", metavar="ID", help="Only what is kept about this customer and its visitors, as person.json."
)
@options.database
def command(
    directory: Path, storefront: str, since: str | None, visitor: str | None, customer: str | None, database: str | None
) -> None:
    """Write events into DIRECTORY as Hive-partitioned Parquet: exposures/day=2026-11-21/part-0.parquet and so on.

    Exporting again replaces each day's file with what is known now.
    """
    from experiments.service.erasing import person_data, person_of
    from experiments.service.exporting import export

    try:
        first = None if since is None else date.fromisoformat(since)
    except ValueError:
        raise Invalid.at("since", f"{since!r} is no date such as 2026-11-21") from None
    with options.opened(database) as engine, reading(engine) as conn:
        shop = get_storefront(conn, storefront)
        try:
            if visitor or customer:
                data = person_data(conn, shop, person_of(conn, shop.id, visitor, customer))
                directory.mkdir(parents=True, exist_ok=True)
                place = directory / "person.json"
                place.write_bytes(msgspec.json.encode(data))
                click.echo(f"{place} {sum(len(rows) for rows in data.values())}")
                return
            for written in export(conn, shop, directory, first):
                click.echo(f"{written.path} {written.rows}")
        except OSError as error:
            raise Invalid.at("directory", f"cannot write {error.filename or directory}: {error.strerror}") from None
