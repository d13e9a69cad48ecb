"""Exposures in the event log: append-only, idempotent, durable when their transaction commits.

A repeat changes nothing and is counted as a duplicate; uniqueness is the database's, so that it holds across processes.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, select

from experiments.events import ExposureKind
from experiments.identifiers import ExperimentId
from experiments.moment import Micros
from experiments.storage.newrows import Row, insert_new
from experiments.storage.tables import crossover, exposure
from experiments.traits import UNKNOWN, Traits

CHUNK = 500
Outcome = Literal["accepted", "duplicate"]
_Unit = tuple[int, str]
"""An experiment's id and a unit's."""

_EXPOSURE = (
    "experiment_id", "kind", "unit_id", "variant", "at", "day", "fingerprint", "received_at", *Traits._fields,
)  # fmt: skip
_CROSSOVER = ("experiment_id", "unit_id", "variant", "at")


class ExposureRow(msgspec.Struct, frozen=True):
    """An exposure whose experiment, variant and unit are known."""

    experiment_id: ExperimentId
    kind: ExposureKind
    unit_id: str
    variant: str
    at: Micros
    day: int
    fingerprint: str
    traits: Traits = UNKNOWN
    """Kept of the unit's first exposure alone."""


def append_exposures(conn: Connection, rows: Sequence[ExposureRow], received_at: Micros) -> list[Outcome]:
    """For each exposure whether it was new; a different variant than the unit's first is kept as a crossover.

    A view implies an assignment: it also writes the `assigned` row where there is none, so that the report has to count
    one kind only.
    """
    first: dict[_Unit, ExposureRow] = {}
    for row in rows:
        first.setdefault((row.experiment_id, row.unit_id), row)
    new = _insert_exposures(conn, "assigned", first, received_at)
    if len(new) == len(rows) and all(row.kind == "assigned" for row in rows):  # as nearly always
        return ["accepted"] * len(rows)
    assigned = _units(new)
    held = {unit: row.variant for unit, row in first.items()}
    held |= _held_variants(conn, [unit for unit in first if unit not in assigned])
    crossed = _insert_crossovers(conn, [r for r in rows if r.variant != held[r.experiment_id, r.unit_id]])
    views: dict[_Unit, ExposureRow] = {}
    for row in rows:
        if row.kind == "viewed" and row.variant == held[row.experiment_id, row.unit_id]:
            views.setdefault((row.experiment_id, row.unit_id), row)
    viewed = _units(_insert_exposures(conn, "viewed", views, received_at))
    outcomes: list[Outcome] = []
    for row in rows:
        unit = (row.experiment_id, row.unit_id)
        fresh = viewed if row.kind == "viewed" else assigned
        if row.variant != held[unit]:
            outcomes.append("accepted" if (*unit, row.variant) in crossed else "duplicate")
            crossed.discard((*unit, row.variant))
        else:
            outcomes.append("accepted" if unit in fresh else "duplicate")
            fresh.discard(unit)
    return outcomes


def _insert_exposures(
    conn: Connection, kind: ExposureKind, wanted: dict[_Unit, ExposureRow], received_at: Micros
) -> list[Row]:
    values = [
        (unit[0], kind, unit[1], row.variant, row.at, row.day, row.fingerprint, received_at, *_traits(row, kind))
        for unit, row in wanted.items()
    ]
    values.sort()
    return insert_new(conn, exposure, _EXPOSURE, values, key=3)


def _traits(row: ExposureRow, kind: ExposureKind) -> Traits:
    return row.traits if kind == "assigned" else UNKNOWN


def _units(rows: Sequence[Row]) -> set[_Unit]:
    return {(row[0], row[2]) for row in rows}


def _held_variants(conn: Connection, units: Sequence[_Unit]) -> dict[_Unit, str]:
    held: dict[_Unit, str] = {}
    by_experiment: dict[int, list[str]] = {}
    for experiment_id, unit_id in units:
        by_experiment.setdefault(experiment_id, []).append(unit_id)
    for experiment_id, unit_ids in by_experiment.items():
        for start in range(0, len(unit_ids), CHUNK):
            query = select(
                exposure.c.unit_id, exposure.c.variant
            ).where(
                exposure.c.experiment_id == experiment_id,  # one experiment a query: SQLite scans for a tuple IN a list
                exposure.c.kind == "assigned",
                exposure.c.unit_id.in_(unit_ids[start : start + CHUNK]),
            )  # fmt: skip
            held |= {(experiment_id, r.unit_id): r.variant for r in conn.execute(query)}
    return held


def _insert_crossovers(conn: Connection, rows: Sequence[ExposureRow]) -> set[tuple[int, str, str]]:
    wanted = {(row.experiment_id, row.unit_id, row.variant): row.at for row in reversed(rows)}
    values = sorted((*key, at) for key, at in wanted.items())
    new = insert_new(conn, crossover, _CROSSOVER, values, key=3)
    return {(row[0], row[1], row[2]) for row in new}


def held_variant(conn: Connection, experiment_id: ExperimentId, unit_id: str) -> str | None:
    """The variant that a unit already met in an experiment, or None."""
    return _held_variants(conn, [(experiment_id, unit_id)]).get((experiment_id, unit_id))
