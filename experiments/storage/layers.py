"""Layers, as rows; who holds what of them stands in the experiments' definitions."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select

from experiments.errors import Conflict
from experiments.identifiers import StorefrontId
from experiments.layers import Hold, Layer
from experiments.lifecycle import State
from experiments.moment import Micros
from experiments.storage.registry import Experiment
from experiments.storage.tables import layer
from experiments.wording import worded

HOLDING: frozenset[State] = frozenset({"scheduled", "running", "closed", "paused"})
"""States in which an experiment's part of a layer is nobody else's."""
CLAIMING: frozenset[State] = HOLDING | frozenset[State]({"draft"})
"""And those that will want theirs."""


def add_layer(conn: Connection, storefront_id: StorefrontId, new: Layer, now: Micros) -> None:
    """A new layer; Conflict where its key is taken."""
    if new.key in layers(conn, storefront_id):
        raise Conflict("key_taken", worded("There is a layer %(key)s already", key=repr(new.key)))
    values = {"key": new.key, "name": new.name, "unit": new.unit, "seed": new.seed}
    conn.execute(insert(layer).values(storefront_id=storefront_id, **values, created_at=now))


def layers(conn: Connection, storefront_id: StorefrontId) -> dict[str, Layer]:
    """The layers of a storefront by key, in the order they were made."""
    query = select(layer).where(layer.c.storefront_id == storefront_id).order_by(layer.c.id)
    return {row.key: Layer(row.key, row.name, row.unit, row.seed) for row in conn.execute(query)}


def holds(experiments: Iterable[Experiment], states: frozenset[State] = HOLDING) -> Mapping[str, list[Hold]]:
    """By layer, what the experiments in these states hold of it, in order."""
    held: dict[str, list[Hold]] = {}
    for experiment in experiments:
        part = experiment.definition.layer
        if part is not None and experiment.state in states:
            held.setdefault(part.key, []).append(Hold(experiment.key, part.start, part.end))
    return {key: sorted(parts, key=lambda hold: hold.start) for key, parts in held.items()}
