"""The one way into the event log for a running process: through group commit."""

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Protocol

import msgspec
from sqlalchemy import Engine

from experiments.currencies import Rates
from experiments.events import Conversion
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.conversionlog import append_conversions
from experiments.storage.database import reading
from experiments.storage.eventlog import ExposureRow, Outcome, append_exposures
from experiments.storage.groupcommit import Found, GroupCommit, Part
from experiments.storage.links import Link, append_links
from experiments.storage.quarantine import Refused, append_refused
from experiments.storage.rates import read_rates


class Intake(msgspec.Struct, frozen=True):
    """What one call brings; all of it is written, or nothing."""

    exposures: Sequence[ExposureRow] = ()
    conversions: Sequence[Conversion] = ()
    links: Sequence[Link] = ()
    refused: Sequence[Refused] = ()


Told = Callable[[Sequence[Outcome] | Exception], None]
"""Is told once what became of one call's events; it must neither wait nor raise."""


class Watch(Protocol):
    """Who counts what is written; neither may raise or take long."""

    def wrote(self, given: Intake, outcomes: Sequence[Outcome], spent: int) -> None:
        """One call's events are durable, after so many nanoseconds."""
        ...

    def committed(self, rows: int) -> None:
        """One transaction is, with the rows of all who shared it."""
        ...


class EventWriter:
    """Writes events; what a call returns is durable. Safe to share between threads."""

    def __init__(self, engine: Engine, watch: Watch | None = None) -> None:
        self._engine = engine
        self._commits = GroupCommit.to(engine)
        self._watch = watch
        if watch is not None:
            self._commits.committed = watch.committed

    @property
    def queued(self) -> int:
        """Rows that wait to be written."""
        return self._commits.queued

    def write(self, storefront_id: StorefrontId, given: Intake, received_at: Micros) -> Sequence[Outcome]:
        """For each exposure, conversion and link, in this order, whether it was new."""
        parts = _parts(storefront_id, given, received_at)
        if not parts:
            return ()
        started = perf_counter_ns()
        return self._written(given, self._commits.write(parts), started)

    def submit(self, storefront_id: StorefrontId, given: Intake, received_at: Micros, told: Told) -> None:
        """As `write`, without waiting: `told` is called with the outcomes, or why there are none.

        Raises Unavailable where it is known at once that nothing can be written; `told` is not called then.
        """
        started = perf_counter_ns()

        def settled(found: Found) -> None:
            told(found if isinstance(found, Exception) else self._written(given, found, started))

        parts = _parts(storefront_id, given, received_at)
        if parts:
            self._commits.submit(parts, settled)
        else:
            told(())

    def _written(self, given: Intake, found: Sequence[Sequence[Outcome]], started: int) -> Sequence[Outcome]:
        counted = found[:-1] if given.refused else found
        outcomes = counted[0] if len(counted) == 1 else [outcome for each in counted for outcome in each]
        if self._watch is not None:
            self._watch.wrote(given, outcomes, perf_counter_ns() - started)
        return outcomes

    def rates(self, storefront_id: StorefrontId) -> Rates:
        """What foreign money is worth to a storefront, as the store has it now."""
        with reading(self._engine) as conn:
            return read_rates(conn, storefront_id)


def _parts(here: StorefrontId, given: Intake, at: Micros) -> list[Part]:
    # The groups' numbers are the order in which they are written: alike in every process, or locks would cross.
    parts: list[Part] = []
    if given.exposures:
        parts.append(Part((0, 0), lambda conn, rows: append_exposures(conn, rows, at), given.exposures))
    if given.conversions:
        parts.append(Part((1, here), lambda conn, rows: append_conversions(conn, here, rows, at), given.conversions))
    if given.links:
        parts.append(Part((2, here), lambda conn, rows: append_links(conn, here, rows), given.links))
    if given.refused:
        parts.append(Part((3, here), lambda conn, rows: append_refused(conn, here, rows, at), given.refused))
    return parts
