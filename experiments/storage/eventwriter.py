"""The one way into the event log for a running process: through group commit."""

from collections.abc import Sequence

from sqlalchemy import Engine

from experiments.events import Conversion
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.eventlog import ExposureRow, Outcome, append_conversions, append_exposures
from experiments.storage.groupcommit import GroupCommit


class EventWriter:
    """Writes events; what a call returns is durable. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._commits = GroupCommit(engine)

    def exposures(self, rows: Sequence[ExposureRow], received_at: Micros) -> Sequence[Outcome]:
        """For each exposure whether it was new."""
        return self._commits.write("exposures", lambda conn, all_: append_exposures(conn, all_, received_at), rows)

    def conversions(
        self, storefront_id: StorefrontId, rows: Sequence[Conversion], received_at: Micros
    ) -> Sequence[Outcome]:
        """For each conversion whether it was new."""
        return self._commits.write(
            ("conversions", storefront_id),
            lambda conn, all_: append_conversions(conn, storefront_id, all_, received_at),
            rows,
        )
