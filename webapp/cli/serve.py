"""`offerlab serve`."""

import atexit
import os
from typing import TYPE_CHECKING

import click

from webapp.cli import options

if TYPE_CHECKING:
    from webapp.front import Front


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@options.database
def command(host: str, port: int, workers: int, database: str | None) -> None:
    """Serve until SIGTERM, which answers what was asked and exits 0."""
    with options.opened(database):  # an old schema or a database that is away is said before anything starts
        pass
    run(host, port, workers, database)


def build() -> "Front":
    """A worker's application; it closes what it opened when the worker ends."""
    from webapp import create_app
    from webapp.front import Front

    app = create_app()
    atexit.register(app.extensions["offerlab"].close)
    return Front(app)


def run(host: str, port: int, workers: int, database: str | None) -> None:
    """Run the server; each worker builds its own application."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    if database is not None:
        os.environ["OFFERLAB_DATABASE_URL"] = database
    Granian(
        "webapp.cli.serve:build",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=32,
        backpressure=512,
        factory=True,
        log_enabled=True,
        log_level=LogLevels.warning,
        websockets=False,
        workers_kill_timeout=20,
    ).serve()
