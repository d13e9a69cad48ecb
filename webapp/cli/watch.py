"""`offerlab watch`."""

import signal
import threading

import click

from webapp.cli import options
from webapp.config import load


@click.command("watch")
@click.option("--once", is_flag=True, help="One round and what waits to be sent, then end.")
@options.database
def command(once: bool, database: str | None) -> None:
    """Watch what runs and send alerts until SIGTERM. A server does it too, unless OFFERLAB_WATCH is 0."""
    from webapp.watching.watcher import TICK, take_turn, turns_of

    settings = load(database_url=database)
    ended = threading.Event()
    with options.opened(database) as engine:
        turns = turns_of(settings, engine)
        if once:
            if not turns.take():
                click.echo("another process watches at this moment", err=True)
            turns.end()
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        said = take_turn(turns)
        while not ended.wait(TICK):
            said = take_turn(turns, said)
        turns.end()
