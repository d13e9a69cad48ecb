"""What a process holds at this moment, written down for whoever is asked for the metrics, once a second."""

import os
import threading

from experiments.errors import OfferlabError
from webapp.clock import now
from webapp.lab import Lab
from webapp.protocols.streams import Streams

EVERY = 1.0
"""Seconds between two beats: so old is what another process says of this one."""

PID, QUEUED, REVISION, LOOKED, UP, STREAMS = "pid", "queued", "revision", "looked", "database_up", "streams"


def beat(lab: Lab, streams: Streams) -> None:
    """Write down how things are; nothing of it waits for the database."""
    counts = lab.counts
    counts.hold(PID, os.getpid())
    counts.hold(QUEUED, lab.writer.queued)
    counts.hold(STREAMS, streams.held)
    counts.hold(UP, int(not lab.snapshots.database_away))
    try:
        counts.hold(REVISION, lab.snapshots.current(now()).revision)
    except OfferlabError:  # there never was one
        return
    counts.hold(LOOKED, lab.snapshots.looked_at)


class Pulse:
    """The thread that beats until it is closed."""

    def __init__(self, lab: Lab, streams: Streams) -> None:
        self._lab, self._streams = lab, streams
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def close(self) -> None:
        """Beat no more."""
        self._closed.set()

    def _run(self) -> None:
        while True:
            beat(self._lab, self._streams)
            if self._closed.wait(EVERY):
                return
