"""Counting who was not eligible, and why: noted in passing, written a second later, so that nobody waits for it.

A process that dies loses its last second of refusals, of all variants alike: the balance of eligibility stays honest.
"""

import logging
import threading

from sqlalchemy import Engine

from experiments.assignment import Assignment, Trace, Unit
from experiments.errors import OfferlabError
from experiments.identifiers import ExperimentId
from experiments.moment import Micros
from experiments.storage.groupcommit import GroupCommit, Part
from experiments.storage.ineligibles import Ineligible, append_ineligible

WAITS = 1.0
"""Seconds until what was noted is written."""
MOST_KNOWN = 200_000
"""Units remembered as written already; some twenty megabytes."""
MOST_WAITING = 20_000
"""Notes that may wait while the store does not answer; more are dropped."""
_GROUP = (8, 0)

log = logging.getLogger(__name__)


class Refusals:
    """What one process notes of units that were not eligible. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known: set[tuple[int, str]] = set()
        self._waiting: list[Ineligible] = []
        self._timer: threading.Timer | None = None

    def note(self, unit: Unit, tried: Trace, now: Micros) -> None:
        """Note the unit for each experiment that it was not eligible for, once."""
        for made in tried:
            if made.drawn is not None:
                self._note(unit, made, now)

    def _note(self, unit: Unit, made: Assignment, now: Micros) -> None:
        rule, drawn = made.rule, made.drawn
        if rule is None or drawn is None or (unit_id := rule.unit_id(unit)) is None:
            return
        key = (rule.experiment_id, unit_id)
        reason = next(iter(made.refusals.values())).code
        with self._lock:
            if key in self._known or len(self._waiting) >= MOST_WAITING:
                return
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()  # what is noted again is there already, and changes nothing
            self._known.add(key)
            self._waiting.append(Ineligible(ExperimentId(key[0]), unit_id, drawn.key, reason, now))
            if self._timer is None:
                self._timer = threading.Timer(WAITS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            rows, self._waiting, self._timer = self._waiting, [], None
        if not rows:
            return
        try:
            GroupCommit.to(self._engine).write([Part(_GROUP, append_ineligible, rows)])
        except OfferlabError as error:
            log.warning("%d units that were not eligible are not counted: %s", len(rows), error.message)
