"""`offerlab quarantine list|replay|drop`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import msgspec
from sqlalchemy import Engine

from experiments.errors import Invalid
from experiments.moment import iso
from experiments.storage.database import reading
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now

if TYPE_CHECKING:
    from experiments.service.snapshot import StorefrontView


@click.group("quarantine")
def command() -> None:
    """Events that were refused: what came, why, and another try after a fix."""


def _chosen(wrapped: Callable[..., object]) -> Callable[..., object]:
    ids = click.option("--id", "ids", type=int, multiple=True, metavar="N", help="Only this event; may be repeated.")
    every = click.option("--all", "everything", is_flag=True, help="All of them.")
    return ids(every(wrapped))


@contextmanager
def _view(storefront: str, database: str | None) -> "Iterator[tuple[Engine, StorefrontView]]":
    from experiments.service.snapshot import Snapshots

    with options.opened(database) as engine:
        with reading(engine) as conn:
            storefront_id = get_storefront(conn, storefront).id
        yield engine, Snapshots(engine).current(now()).storefronts[storefront_id]


@command.command("list")
@options.storefront
@click.option("--format", "shape", type=click.Choice(("table", "json")), default="table", show_default=True)
@options.database
def show(storefront: str, shape: str, database: str | None) -> None:
    """Print what is in quarantine, the oldest first; `json` is one event a line, with its body."""
    from experiments.storage.quarantine import held, reasons

    with options.opened(database) as engine, reading(engine) as conn:
        here = get_storefront(conn, storefront).id
        if shape == "table":
            for why in reasons(conn, here):
                click.echo(f"{why.source} {why.code}: {why.events} events, refused {why.times} times")
        for event in held(conn, here):
            if shape == "json":
                shown = {
                    "id": event.id, "source": event.source, "code": event.code, "message": event.message,
                    "count": event.count, "received_at": iso(event.received_at), "last_at": iso(event.last_at),
                    "whole": event.whole, "body": event.body.decode("utf-8", "replace"),
                }  # fmt: skip
                click.echo(msgspec.json.encode(shown).decode())
            else:
                click.echo(
                    f"  {event.id} {iso(event.last_at)} {event.source} {event.code} {event.count}x: {event.message}"
                )


@command.command("replay")
@options.storefront
@_chosen
@options.database
def again(storefront: str, ids: tuple[int, ...], everything: bool, database: str | None) -> int:
    """Try events again; those that are not refused any more count, and leave quarantine."""
    from experiments.service.replaying import replay
    from webapp.protocols.doors import all_doors  # brings Flask along

    _check(ids, everything)
    with _view(storefront, database) as (engine, view):
        found = replay(engine, view, None if everything else ids, all_doors(engine))
    click.echo(f"accepted {found.accepted}\nduplicate {found.duplicate}\nrefused {len(found.refused)}")
    for number, reason in found.refused.items():
        click.echo(f"  {number}: {reason}")
    return 1 if found.refused and not found.accepted and not found.duplicate else 0


@command.command("drop")
@options.storefront
@_chosen
@options.database
def let_go(storefront: str, ids: tuple[int, ...], everything: bool, database: str | None) -> None:
    """Let events go without counting them."""
    from experiments.service.replaying import release

    _check(ids, everything)
    with _view(storefront, database) as (engine, view):
        click.echo(f"dropped {release(engine, view, None if everything else ids)}")


def _check(ids: tuple[int, ...], everything: bool) -> None:
    if bool(ids) == everything:
        raise Invalid.at("id", "say which events: --id N, or --all")
