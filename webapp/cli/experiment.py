"""`offerlab experiment`: the lifecycle from a terminal, by the same use cases as the pages and the API."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import click
from sqlalchemy import Connection

from experiments.definition import WHOLE
from experiments.errors import Invalid
from experiments.lifecycle import Action, possible
from experiments.reviews import Step
from experiments.service import defining, reviewing
from experiments.service.reviewing import review_state
from experiments.share import parse_share
from experiments.storage.database import reading, writing
from experiments.storage.registry import Experiment, experiments, get_experiment
from experiments.storage.storefronts import Storefront, get_storefront
from webapp.cli import options
from webapp.clock import now

ACTOR = "command line"

_PLAIN: dict[Action, str] = {
    "close": "No new visitors; those inside keep their variant and are measured.",
    "reopen": "New visitors enter again.",
    "pause": "Everyone sees no offer; measuring goes on.",
    "resume": "Visitors meet their variants again.",
    "unschedule": "Back to a draft that does not start by itself.",
    "stop": "The end: no offer, and the result is what happened until now.",
    "archive": "Off the list; the report stays.",
}


@click.group("experiment")
def command() -> None:
    """List, start, steer and end experiments."""


@command.command("list")
@options.storefront
@options.database
def listing(storefront: str, database: str | None) -> None:
    """Every experiment with its state, newest first."""
    with options.opened(database) as engine, reading(engine) as conn:
        for found in experiments(conn, get_storefront(conn, storefront).id):
            click.echo(f"{found.key} {found.state} {found.definition.placement}")


@command.command("show")
@click.argument("key")
@options.storefront
@options.database
def show(key: str, storefront: str, database: str | None) -> None:
    """Its state, and what can be done with it."""
    with options.opened(database) as engine, reading(engine) as conn:
        here = get_storefront(conn, storefront)
        found = get_experiment(conn, here.id, key)
        reviewed = review_state(conn, here.review, found)
    click.echo(f"{found.key} {found.state}, version {found.version}")
    click.echo(f"possible {' '.join(possible(found.state))}")
    click.echo(f"review {reviewed.standing}{', and needed before it starts' if reviewed.blocks else ''}")


def _done(database: str | None, storefront: str, change: Callable[[Connection, Storefront], Experiment]) -> None:
    with options.opened(database) as engine, writing(engine) as conn:
        changed = change(conn, get_storefront(conn, storefront))
    click.echo(f"{changed.key} is {changed.state}")


@command.command("start")
@click.argument("key")
@options.storefront
@options.database
def start(key: str, storefront: str, database: str | None) -> None:
    """Run it, or let it wait for its scheduled start."""
    _done(database, storefront, lambda conn, sf: defining.start(conn, sf, key, ACTOR, now()))


@command.command("review")
@click.argument("key")
@click.argument("step", type=click.Choice(get_args(Step)))
@click.option("--message", default="", help="What there is to say; needed to ask for changes, and to override.")
@options.storefront
@options.database
def review(key: str, step: Step, message: str, storefront: str, database: str | None) -> None:
    """Ask for a review of a draft, approve it, ask for changes, or let it start without one."""
    with options.opened(database) as engine, writing(engine) as conn:
        here = get_storefront(conn, storefront)
        state = review_state(conn, here.review, reviewing.review(conn, here, key, step, message, ACTOR, now()))
    click.echo(f"{key}: {state.standing}")


def _plain(action: Action, said: str) -> None:
    @command.command(action, help=said)
    @click.argument("key")
    @options.storefront
    @options.database
    def run(key: str, storefront: str, database: str | None) -> None:
        _done(database, storefront, lambda conn, sf: defining.act(conn, sf, key, action, ACTOR, now()))


for _action, _said in _PLAIN.items():
    _plain(_action, _said)


@command.command("schedule")
@click.argument("key")
@click.option("--start", "start_at", metavar="TIME", help="As 2026-12-01T09:00, on the storefront's clock.")
@click.option("--end", "end_at", metavar="TIME", help="As --start.")
@options.storefront
@options.database
def schedule(key: str, start_at: str | None, end_at: str | None, storefront: str, database: str | None) -> None:
    """Let a draft start by itself, or what has started end by itself."""
    given = {"start_at": start_at, "end_at": end_at}
    times: dict[str, Any] = {name: _moment(time, name) for name, time in given.items() if time is not None}
    _done(database, storefront, lambda conn, sf: defining.schedule(conn, sf, key, times, ACTOR, now()))


@command.command("ramp")
@click.argument("key")
@click.option("--coverage", required=True, metavar="SHARE", help="More than now, as 50%.")
@options.storefront
@options.database
def ramp(key: str, coverage: str, storefront: str, database: str | None) -> None:
    """Let more of the eligible visitors in from now on; nobody moves."""
    hundredths = _hundredths(coverage, "coverage")
    _done(database, storefront, lambda conn, sf: defining.ramp(conn, sf, key, hundredths, ACTOR, now()))


@command.command("decide")
@click.argument("key")
@click.option("--ship", metavar="VARIANT", help="Shown to everyone from now on; without it none is shipped.")
@click.option("--reason", required=True, help="Why, for whoever asks in a year.")
@click.option("--learning", default="", help="What was learnt, whatever was decided.")
@click.option("--next-test", default="", help="What should be tested next.")
@click.option("--holdback", metavar="SHARE", help="So many, as 5%, go on seeing control, to measure whether it lasts.")
@options.storefront
@options.database
def decide(
    key: str, ship: str | None, reason: str, learning: str, next_test: str, holdback: str | None, storefront: str,
    database: str | None,
) -> None:  # fmt: skip
    """Close the case."""
    from webapp import deciding

    held = None if holdback is None else _hundredths(holdback, "holdback")
    learned = deciding.Learned(learning, next_test)
    with options.opened(database) as engine:
        with reading(engine) as conn:
            here = get_storefront(conn, storefront)
        made = deciding.snapshot(engine, here, key, now())
    _done(database, storefront, lambda c, sf: deciding.decide(c, sf, key, ship, reason, ACTOR, made, held, learned))


@command.command("duplicate")
@click.argument("key")
@click.argument("new_key")
@options.storefront
@options.database
def duplicate(key: str, new_key: str, storefront: str, database: str | None) -> None:
    """A new draft with everything but dates and seed."""
    _done(database, storefront, lambda conn, sf: defining.duplicate(conn, sf, key, new_key, ACTOR, now()))


def _hundredths(text: str, name: str) -> int:
    hundredths = parse_share(text, name) * WHOLE
    if hundredths != hundredths.to_integral_value() or not Decimal(0) <= hundredths <= WHOLE:
        raise Invalid.at(name, f"must be 0% to 100%, in hundredths of a percent, and is {text}")
    return int(hundredths)


def _moment(text: str, name: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Invalid.at(name, f"must be a date and a time, such as 2026-12-01T09:00, and is {text!r}") from None
    return text
