"""`offerlab storefront`."""

from decimal import Decimal
from typing import Any

import click

from experiments.definition import WHOLE
from experiments.errors import Invalid
from experiments.service.settings import change_settings, create_storefront, storefront_json
from experiments.share import parse_share
from experiments.storage.database import writing
from experiments.storage.storefronts import change_storefront, get_storefront
from webapp.cli import options
from webapp.clock import now


@click.group("storefront")
def command() -> None:
    """Add storefronts, and change their settings."""


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


@command.command("set")
@click.argument("key")
@click.option("--name", help="What people call it.")
@click.option(
    "--origin", "origins", multiple=True, metavar="URL", help="Where its pages are served from; replaces all."
)
@click.option(
    "--bots",
    type=click.Choice(["off", "crawlers", "automation"]),
    help="Who gets no offer: nobody; what announces itself as a crawler; driven browsers and HTTP libraries too.",
)
@click.option(
    "--consent", type=click.Choice(["not_needed", "required"]), help="Whether attribute consent must be true."
)
@click.option("--gpc/--no-gpc", "honours_gpc", default=None, help="Whether Sec-GPC: 1 counts as no consent.")
@click.option("--holdout", metavar="SHARE", help="Visitors who see nothing of the programme, as 5%; at most half.")
@click.option("--review/--no-review", "review_required", default=None, help="Whether nothing starts without a review.")
@click.option("--reviewer", "reviewers", multiple=True, metavar="EMAIL", help="Who may review; replaces all.")
@click.option("--return-days", type=click.IntRange(0, 3650), help="Days after which an order counts as kept.")
@click.option(
    "--retention-days",
    type=click.IntRange(0, 36500),
    help="Days that what is known about people is kept; 0: for ever. `offerlab erase --expired` sees to it.",
)
@options.database
def change(
    key: str, origins: tuple[str, ...], reviewers: tuple[str, ...], holdout: str | None, return_days: int | None,
    retention_days: int | None, database: str | None, **given: Any,
) -> None:  # fmt: skip
    """Change settings of a storefront; what is not given stays. Prints all of them."""
    changes = {name: value for name, value in given.items() if value is not None}
    if origins:
        changes["origins"] = list(origins)
    if reviewers:
        changes["reviewers"] = list(reviewers)
    if holdout is not None:
        changes["holdout"] = _hundredths(holdout)
    with options.opened(database) as engine, writing(engine) as conn:
        if return_days is not None:
            change_storefront(conn, get_storefront(conn, key).id, return_days=return_days)
        if retention_days is not None:
            change_storefront(conn, get_storefront(conn, key).id, retention_days=retention_days or None)
        changed = change_settings(conn, get_storefront(conn, key), changes, "command line", now())
    for setting, value in storefront_json(changed).items():
        click.echo(f"{setting} {' '.join(value) if isinstance(value, list) else value}")


def _hundredths(share: str) -> int:
    found = parse_share(share, "holdout") * WHOLE
    if found != found.to_integral_value() or not Decimal(0) <= found <= WHOLE:
        raise Invalid.at("holdout", f"must be 0% to 50%, in hundredths of a percent, and is {share}")
    return int(found)
