"""Units that were not eligible: a row for each, written once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite

from experiments.identifiers import ExperimentId
from experiments.moment import Micros
from experiments.storage.tables import exposure, ineligible


@dataclass(frozen=True, slots=True)
class Ineligible:
    """A unit that asked, the variant that it would have got, and why one of the variants could not be shown."""

    experiment_id: ExperimentId
    unit_id: str
    variant: str
    reason: str
    at: Micros


def append_ineligible(conn: Connection, rows: Sequence[Ineligible]) -> list[bool]:
    """Write what is not there yet; nobody asks which rows those were."""
    first = {(row.experiment_id, row.unit_id): row for row in reversed(rows)}
    made = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    values = [
        {"experiment_id": key[0], "unit_id": key[1], "variant": row.variant, "reason": row.reason, "at": row.at}
        for key, row in sorted(first.items())  # one order in every process: rows locked crosswise would deadlock
    ]
    conn.execute(made(ineligible).on_conflict_do_nothing(), values)
    return [True] * len(rows)


def count_ineligible(conn: Connection, experiment_id: int, until: Micros) -> dict[tuple[str, str], int]:
    """By variant and reason, the units that were never eligible up to a moment."""
    i = ineligible.c
    entered = exists().where(
        and_(
            exposure.c.experiment_id == i.experiment_id,
            exposure.c.kind == "assigned",
            exposure.c.unit_id == i.unit_id,
            exposure.c.at <= until,
        )
    )
    query = select(i.variant, i.reason, func.count()).where(i.experiment_id == experiment_id, i.at <= until, ~entered)
    return {(variant, reason): units for variant, reason, units in conn.execute(query.group_by(i.variant, i.reason))}
