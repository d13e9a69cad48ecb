"""`offerlab webhook`."""

import sys

import click
from sqlalchemy import Engine

from experiments.moment import DAY, Micros, iso
from experiments.service import inbox
from experiments.service.snapshot import Snapshot
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.inbox import OPEN, SOURCES, Held, Source, deliveries, forget_bodies
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now
from webapp.config import load
from webapp.lab import new_id, new_token, the_seal

HOUR = 3_600_000_000
ACTOR = "command line"

source_option = click.option("--source", required=True, type=click.Choice(SOURCES), help="Whose webhooks they are.")
secret_option = click.option(
    "--secret",
    metavar="TEXT",
    help="The secret that the shop gives (Shopify: the app's client secret); - reads it from standard input. "
    "Without it one is made and printed, to be put into the shop's settings (WooCommerce).",
)


@click.group("webhook")
def command() -> None:
    """Webhooks of Shopify and WooCommerce: their secrets, and the inbox they land in."""


@command.command("add")
@options.storefront
@source_option
@secret_option
@options.database
def add(storefront: str, source: Source, secret: str | None, database: str | None) -> None:
    """Set a source's first secret, and print where its webhooks go."""
    chosen = _chosen(secret)
    with options.opened(database) as engine, writing(engine) as conn:
        inbox.add_webhook(conn, get_storefront(conn, storefront).id, source, chosen, now(), ACTOR, the_seal(load()))
    click.echo(f"deliver to: /webhooks/{source}/{storefront}")
    _show(secret, chosen)


@command.command("rotate")
@options.storefront
@source_option
@secret_option
@click.option("--grace", default=24, show_default=True, type=click.IntRange(0, 24 * 30), metavar="HOURS",
              help="How long the old secret is accepted beside the new one.")  # fmt: skip
@options.database
def rotate(storefront: str, source: Source, secret: str | None, grace: int, database: str | None) -> None:
    """Set a new secret; the old one is accepted for a while, as deliveries are under way."""
    chosen, at, seal = _chosen(secret), now(), the_seal(load())
    until = Micros(at + grace * HOUR)
    with options.opened(database) as engine, writing(engine) as conn:
        inbox.rotate_webhook(conn, get_storefront(conn, storefront).id, source, chosen, until, at, ACTOR, seal)
    click.echo(f"the old secret is accepted until {iso(until)}")
    _show(secret, chosen)


@command.command("withdraw")
@options.storefront
@source_option
@options.database
def withdraw(storefront: str, source: Source, database: str | None) -> None:
    """Accept the old secret no more, from now on."""
    with options.opened(database) as engine, writing(engine) as conn:
        ended = inbox.withdraw_webhook(conn, get_storefront(conn, storefront).id, source, now(), ACTOR)
    click.echo("the old secret is withdrawn" if ended else "there was no old secret")


@command.command("inbox")
@options.storefront
@options.database
def show_inbox(storefront: str, database: str | None) -> None:
    """Print the deliveries that could not be recorded, with the reason."""
    with options.opened(database) as engine, reading(engine) as conn:
        held = deliveries(conn, get_storefront(conn, storefront).id, OPEN)
    for one in held:
        click.echo(_line(one))


@command.command("replay")
@options.storefront
@options.database
def replay(storefront: str, database: str | None) -> None:
    """Try again what could not be recorded; what was recorded before is not counted twice."""
    with options.opened(database) as engine:
        tried = _replayed(engine, storefront)
    for one in tried:
        click.echo(_line(one))
    left = sum(one.state == "failed" for one in tried)
    click.echo(f"{len(tried)} tried, {len(tried) - left} settled, {left} left")


@command.command("forget")
@options.storefront
@click.option("--older-than", "days", required=True, type=click.IntRange(0), metavar="DAYS")
@options.database
def forget(storefront: str, days: int, database: str | None) -> None:
    """Empty the bodies of deliveries that are settled; their ids stay, so that a repeat is still known."""
    with options.opened(database) as engine, writing(engine) as conn:
        emptied = forget_bodies(conn, get_storefront(conn, storefront).id, Micros(now() - days * DAY))
    click.echo(f"{emptied} bodies emptied")


def _replayed(engine: Engine, storefront: str) -> list[Held]:
    from webapp.protocols.webhooks import READERS  # brings Flask along

    with reading(engine) as conn:
        view = Snapshot.load(conn).storefronts[get_storefront(conn, storefront).id]
    return inbox.replay(engine, EventWriter(engine), view, READERS, now(), new_id)


def _chosen(secret: str | None) -> str:
    if secret is None:
        return new_token()
    return sys.stdin.readline().strip() if secret == "-" else secret  # noqa: S105 - the dash says where it is read from


def _show(given: str | None, chosen: str) -> None:
    if given is None:
        click.echo(f"secret: {chosen}")


def _line(held: Held) -> str:
    came = iso(held.delivery.received_at)
    return f"{held.id}\t{came}\t{held.delivery.source}\t{held.delivery.topic}\t{held.state}\t{held.reason}"
