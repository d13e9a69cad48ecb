"""How many units each experiment has, for lists."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, func, select

from experiments.identifiers import ExperimentId
from experiments.storage.tables import exposure


def daily_units(
    conn: Connection, experiment_ids: Collection[ExperimentId], since: int, before: int
) -> Mapping[ExperimentId, Mapping[int, int]]:
    """Units first assigned on each of the storefront's days in [since, before), by experiment."""
    if not experiment_ids:
        return {}
    query = (
        select(exposure.c.experiment_id, exposure.c.day, func.count())
        .where(
            exposure.c.experiment_id.in_(experiment_ids),
            exposure.c.kind == "assigned",
            exposure.c.day >= since,
            exposure.c.day < before,
        )
        .group_by(exposure.c.experiment_id, exposure.c.day)
    )
    counts: dict[ExperimentId, dict[int, int]] = {}
    for experiment_id, day, units in conn.execute(query):
        counts.setdefault(ExperimentId(experiment_id), {})[day] = units
    return counts


def units_of(conn: Connection, experiment_ids: Collection[ExperimentId]) -> Mapping[ExperimentId, Mapping[str, int]]:
    """Assigned units of these experiments by variant; those without any are absent."""
    if not experiment_ids:
        return {}
    query = (
        select(exposure.c.experiment_id, exposure.c.variant, func.count())
        .where(exposure.c.experiment_id.in_(experiment_ids), exposure.c.kind == "assigned")
        .group_by(exposure.c.experiment_id, exposure.c.variant)
    )
    counts: dict[ExperimentId, dict[str, int]] = {}
    for experiment_id, variant, units in conn.execute(query):
        counts.setdefault(ExperimentId(experiment_id), {})[variant] = units
    return counts
