"""How many units each experiment has, for lists."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from experiments.identifiers import ExperimentId, StorefrontId
from experiments.storage.tables import experiment, exposure


def unit_counts(conn: Connection, storefront_id: StorefrontId) -> Mapping[ExperimentId, Mapping[str, int]]:
    """Assigned units by experiment and variant; experiments without any are absent."""
    query = (
        select(exposure.c.experiment_id, exposure.c.variant, func.count())
        .join(experiment, experiment.c.id == exposure.c.experiment_id)
        .where(experiment.c.storefront_id == storefront_id, exposure.c.kind == "assigned")
        .group_by(exposure.c.experiment_id, exposure.c.variant)
    )
    counts: dict[ExperimentId, dict[str, int]] = {}
    for experiment_id, variant, units in conn.execute(query):
        counts.setdefault(ExperimentId(experiment_id), {})[variant] = units
    return counts
