"""`offerlab serve`."""

import atexit
import gc
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING

import click

from experiments.errors import Unavailable
from experiments.storage.database import connect
from experiments.threads import patient
from webapp.cli import options
from webapp.config import load

if TYPE_CHECKING:
    from webapp.front import Front


REQUESTS, WAITING = 12, 512
"""Requests that a worker works on at once, and that may wait; the streams that it holds come on top."""
STOPS_WITHIN = 5
"""Seconds that a worker has to answer what was asked; the server waits so long for connections that are only kept."""
STARTS_WITHIN = 2.0
"""Seconds that a worker that is ready waits for the others."""


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@options.database
def command(host: str, port: int, workers: int, database: str | None) -> None:
    """Serve until SIGTERM, which answers what was asked and exits 0."""
    check_startable(database)
    run(host, port, workers, database)


def check_startable(database: str | None) -> None:
    """An old schema, or a database that is away and left no snapshot on disk, is said before anything starts."""
    from webapp.lab import kept_rows

    settings = load(database_url=database)
    try:
        with options.opened(database):
            pass
    except Unavailable:
        if kept_rows(settings, connect(settings.database_url)).read() is None:
            raise
        click.echo("offerlab: the database is away; assigning from the last good snapshot", err=True)


def build() -> "Front":
    """A worker's application; it closes what it opened when the worker ends."""
    from webapp import create_app
    from webapp.front import Front
    from webapp.metrics.pulse import Pulse
    from webapp.recommender import Recommender
    from webapp.server import take_over
    from webapp.watching.watcher import Watcher

    patient()
    take_over()
    app = create_app()
    atexit.register(app.extensions["offerlab"].close)
    atexit.register(Recommender(app.extensions["offerlab"]).close)
    if load().watch:
        atexit.register(Watcher(load(), app.extensions["offerlab"].engine).close)
    streams = app.extensions["offerlab.streams"]
    atexit.register(Pulse(app.extensions["offerlab"], streams).close)
    _on_stop_signal(streams.close)
    gc.collect()
    gc.freeze()  # what lives as long as the process is not gone through again: a tenth of a second each time
    return Front(app)


class Together:
    """Workers that begin to listen at the same time: connections that are kept would all be the first one's else."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._ready = multiprocessing.Value("i", 0)

    def wait(self, longest: float) -> None:
        """Be ready, and wait for the others, so many seconds at most; who comes after all of them waits for nobody."""
        until = monotonic() + longest
        lock = self._ready.get_lock()
        if lock.acquire(timeout=longest):  # one that was killed while it held the lock keeps nobody from starting
            self._ready.get_obj().value += 1
            lock.release()
        while self._ready.get_obj().value < self._workers and monotonic() < until:
            sleep(0.005)


def build_together(together: Together) -> "Front":
    """A worker's application, when those of the others are ready too."""
    front = build()
    together.wait(STARTS_WITHIN)
    return front


def _on_stop_signal(do: Callable[[], None]) -> None:
    """Call `do` as soon as the worker is told to stop: it then waits for answers under way, and streams never end.

    The server sets its signal handlers after the application is built, so this listens where Python itself notes a
    signal's arrival.
    """
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)

    def wait() -> None:
        while (number := told.recv(1)) and number[0] not in {signal.SIGTERM, signal.SIGINT}:
            pass
        tell.detach()
        do()

    threading.Thread(target=wait, name="stop signal", daemon=True).start()


class Respawns(dict[int, float]):
    """When workers were made anew, as the server notes it: it would stop them all when one ends again within 5.5 s.

    A worker that is killed twice is no reason to stop the others.
    """

    def get(self, key: int, default: float = 0.0) -> float:  # type: ignore[override]  # the one call that is made
        """Long ago."""
        del key
        return default


def run(host: str, port: int, workers: int, database: str | None) -> None:
    """Run the server; each worker builds its own application."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    from webapp.protocols.streams import RESERVED
    from webapp.server import can_take_over

    if database is not None:
        os.environ["OFFERLAB_DATABASE_URL"] = database
    streams = load().streams + RESERVED
    server = Granian(
        "webapp.cli.serve:build",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=REQUESTS if can_take_over() else REQUESTS + streams,
        backpressure=WAITING + streams,
        factory=True,
        respawn_failed_workers=True,
        respawn_interval=0.2,
        log_enabled=True,
        log_level=LogLevels.error,
        websockets=False,
        workers_kill_timeout=STOPS_WITHIN,
    )
    server.respawned_wrks = Respawns()
    with counted_together():
        server.serve(target_loader=partial(build_together, Together(workers)), wrap_loader=False)


@contextmanager
def counted_together() -> Iterator[None]:
    """A directory in which the workers count, so that each can tell of all; a given one outlives the server."""
    if load().metrics_directory:
        yield
        return
    with TemporaryDirectory(prefix="offerlab-metrics-", ignore_cleanup_errors=True) as directory:
        os.environ["OFFERLAB_METRICS_DIR"] = directory
        yield
