"""From the store to a report's neighbours: which other experiments met its units, and under which variants."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from analysis.ledger import Ledger
from analysis.overlaps import Neighbour
from analysis.queries import Scope, texts
from experiments.storage.registry import Experiment
from experiments.storage.tables import experiment, exposure

FEW = 10_000
"""Units of an experiment that is asked for together with others; one of more is asked for by itself."""
_CHUNK = 50_000


def read_neighbours(
    conn: Connection, scope: Scope, ledger: Ledger, others: Iterable[Experiment], few: int = FEW
) -> tuple[Neighbour, ...]:
    """Those of the others on the same kind of unit that met units of ours, in their order; `few` bounds the small."""
    known = {
        other.id: other
        for other in others
        if other.id != scope.experiment_id and other.started_at is not None and other.definition.unit == scope.unit
    }
    large = _large(conn, list(known), few)
    groups: list[list[int]] = [[one for one in known if one not in large], *([one] for one in large)]
    met: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    for group in groups:
        for other, ours, theirs, units in conn.execute(_both(scope, group)):
            met[other].append((ours, theirs, int(units)))
    listed: dict[int, list[tuple[int, str]]] = defaultdict(list)
    place = {unit: i for i, unit in enumerate(ledger.units.ids)}
    for group in groups:
        for other, unit, variant in _listed(conn, scope, [one for one in group if one in met], list(place)):
            listed[other].append((place[unit], variant))
    return tuple(_neighbour(ledger, other, met[one], listed[one]) for one, other in known.items() if one in met)


def _neighbour(
    ledger: Ledger, other: Experiment, met: Iterable[tuple[str, str, int]], listed: Iterable[tuple[int, str]]
) -> Neighbour:
    variants = tuple(v.key for v in other.definition.variants)
    units = np.zeros((len(ledger.variants), len(variants)), dtype=np.int64)
    for ours, theirs, n in met:
        if ours in ledger.variants and theirs in variants:
            units[ledger.variants.index(ours), variants.index(theirs)] += n
    places = np.array([(i, variants.index(theirs)) for i, theirs in listed if theirs in variants], dtype=np.int64)
    at, variant = places.reshape(-1, 2).T
    return Neighbour(other.key, variants, units, at, variant)


def _large(conn: Connection, ids: Collection[int], few: int) -> list[int]:
    """Those with more than a few units; no more than these few are gone through."""
    e = exposure.c
    beyond = select(e.unit_id).where(e.experiment_id == experiment.c.id, e.kind == "assigned").limit(1).offset(few)
    query = select(experiment.c.id).where(experiment.c.id.in_(ids), beyond.scalar_subquery().is_not(None))
    return list(conn.scalars(query.order_by(experiment.c.id)))


def _both(scope: Scope, others: Collection[int]) -> Select[int, str, str, int]:
    """Units that others met too, by experiment and both variants."""
    e, o = exposure, exposure.alias("o")
    # of several, their units are gone through, not ours for each of them: their name is no key here
    name = o.c.unit_id if len(others) == 1 else o.c.unit_id.concat("")
    mine = and_(e.c.experiment_id == scope.experiment_id, e.c.kind == "assigned", e.c.unit_id == name)
    query = select(o.c.experiment_id, e.c.variant, o.c.variant, func.count()).select_from(o.join(e, mine))
    theirs = and_(o.c.experiment_id.in_(others), o.c.kind == "assigned", o.c.at <= scope.until)
    return query.where(theirs, e.c.at <= scope.until).group_by(o.c.experiment_id, e.c.variant, o.c.variant)


def _listed(conn: Connection, scope: Scope, others: Collection[int], ids: list[str]) -> Iterator[tuple[int, str, str]]:
    """Of these units which met others, and the variant that they met."""
    o = exposure.c
    name: ColumnElement[str] = o.unit_id if len(others) == 1 else o.unit_id.concat("")
    query = select(o.experiment_id, o.unit_id, o.variant).where(
        o.experiment_id.in_(others), o.kind == "assigned", o.at <= scope.until
    )
    for start in range(0, len(ids) if others else 0, _CHUNK):
        yield from conn.execute(query.where(name.in_(texts(conn, ids[start : start + _CHUNK]))))
