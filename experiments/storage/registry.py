"""Experiments and their audit trail, as rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, Text, cast, insert, or_, select, update

from experiments.definition import Definition, parse, to_json
from experiments.errors import Conflict, NotFound
from experiments.identifiers import ExperimentId, StorefrontId
from experiments.lifecycle import State
from experiments.moment import Micros
from experiments.storage.tables import audit, experiment
from experiments.wording import worded


@dataclass(frozen=True, slots=True)
class Experiment:
    """A definition with its history: state, seed, version, and when it changed."""

    id: ExperimentId
    storefront_id: StorefrontId
    state: State
    seed: str
    definition: Definition
    fingerprint: str
    version: int
    created_at: Micros
    started_at: Micros | None
    stopped_at: Micros | None
    decided_at: Micros | None
    decision: dict[str, Any] | None
    follows: str | None = None
    """Of a holdback, the key of the experiment whose winner it goes on measuring."""

    @property
    def key(self) -> str:
        """The experiment's key, unique in its storefront."""
        return self.definition.key

    @property
    def winner(self) -> str | None:
        """The variant that was decided to ship, if one was."""
        shipped = (self.decision or {}).get("variant")
        return shipped if self.state == "decided" and isinstance(shipped, str) else None


def add_experiment(
    conn: Connection, storefront_id: StorefrontId, definition: Definition, now: Micros, follows: str | None = None
) -> Experiment:
    """A new draft; Conflict where the key is taken.

    The seed is the key, as in GrowthBook: the same visitor then gets the same variant in every database.
    """
    taken = select(experiment.c.id).where(
        experiment.c.storefront_id == storefront_id, experiment.c.key == definition.key
    )
    if conn.execute(taken).first():
        raise Conflict("key_taken", worded("There is an experiment %(key)s already", key=repr(definition.key)))
    conn.execute(
        insert(experiment).values(
            storefront_id=storefront_id, key=definition.key, placement=definition.placement, state="draft",
            seed=definition.key, definition=to_json(definition), fingerprint=definition.fingerprint, version=1,
            created_at=now, follows=follows,
        )
    )  # fmt: skip
    return get_experiment(conn, storefront_id, definition.key)


def get_experiment(conn: Connection, storefront_id: StorefrontId, key: str) -> Experiment:
    """The experiment of that key; NotFound where the storefront has none."""
    query = _rows().where(experiment.c.storefront_id == storefront_id, experiment.c.key == key)
    row = conn.execute(query).first()
    if row is None:
        raise NotFound(f"There is no experiment {key!r}")
    return _experiment(row)


def holdback_of(conn: Connection, storefront_id: StorefrontId, key: str) -> Experiment | None:
    """The holdback that goes on measuring the winner of that experiment; None where it was shipped without one."""
    query = _rows().where(experiment.c.storefront_id == storefront_id, experiment.c.follows == key)
    row = conn.execute(query).first()
    return None if row is None else _experiment(row)


def experiments(
    conn: Connection, storefront_id: StorefrontId, known: Mapping[int, Experiment] | None = None
) -> list[Experiment]:
    """Every experiment of a storefront, newest first; definitions `known` in the same version are not read again."""
    query = _rows().where(experiment.c.storefront_id == storefront_id).order_by(experiment.c.id.desc())
    return [_experiment(row, known.get(row.id) if known else None) for row in conn.execute(query)]


def replace_definition(conn: Connection, before: Experiment, definition: Definition) -> Experiment:
    """A draft's next version; Conflict where somebody else saved one since `before` was read."""
    changed = conn.execute(
        update(experiment)
        .where(experiment.c.id == before.id, experiment.c.version == before.version)
        .values(
            definition=to_json(definition), fingerprint=definition.fingerprint, placement=definition.placement,
            version=before.version + 1,
        )
    )  # fmt: skip
    if changed.rowcount != 1:
        raise Conflict(
            "edited_meanwhile", worded("Somebody else saved this experiment meanwhile; look at their version first")
        )
    return get_experiment(conn, before.storefront_id, before.key)


def set_state(conn: Connection, before: Experiment, state: State, **values: object) -> Experiment:
    """The experiment in its new state; Conflict where its state changed since `before` was read."""
    changed = conn.execute(
        update(experiment)
        .where(experiment.c.id == before.id, experiment.c.state == before.state)
        .values(state=state, **values)
    )
    if changed.rowcount != 1:
        raise Conflict("changed_meanwhile", worded("Somebody else changed this experiment's state meanwhile"))
    return get_experiment(conn, before.storefront_id, before.key)


def _rows() -> Select[Any]:
    """Experiments with their definitions as text: one that was read before is known by it."""
    return select(*(cast(c, Text).label(c.name) if c.name == "definition" else c for c in experiment.columns))


@lru_cache(maxsize=2048)
def _parsed(text: str) -> Definition:
    return parse(msgspec.json.decode(text))


def _experiment(row: Row[tuple[object, ...]], known: Experiment | None = None) -> Experiment:
    return Experiment(
        id=ExperimentId(row.id),
        storefront_id=StorefrontId(row.storefront_id),
        state=row.state,
        seed=row.seed,
        definition=known.definition if known and known.version == row.version else _parsed(row.definition),
        fingerprint=row.fingerprint,
        version=row.version,
        created_at=row.created_at,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        decided_at=row.decided_at,
        decision=row.decision,
        follows=row.follows,
    )


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which thing, with what it was before and after."""

    at: Micros
    actor: str
    action: str
    subject: str
    before: object
    after: object


def write_audit(conn: Connection, storefront_id: StorefrontId, entry: AuditEntry) -> None:
    """Append to the trail."""
    conn.execute(
        insert(audit).values(
            storefront_id=storefront_id, at=entry.at, actor=entry.actor, action=entry.action, subject=entry.subject,
            before=entry.before, after=entry.after,
        )
    )  # fmt: skip


def search_audit(
    conn: Connection, storefront_id: StorefrontId, words: str = "", limit: int = 100, offset: int = 0
) -> list[AuditEntry]:
    """The trail of a storefront, newest first; with `words`, lines whose actor, action or subject contain each."""
    query = select(audit).where(audit.c.storefront_id == storefront_id)
    for word in words.split():
        query = query.where(
            or_(
                *(
                    column.icontains(word, autoescape=True)
                    for column in (audit.c.actor, audit.c.action, audit.c.subject)
                )
            )
        )
    return [
        AuditEntry(row.at, row.actor, row.action, row.subject, row.before, row.after)
        for row in conn.execute(query.order_by(audit.c.id.desc()).limit(limit).offset(offset))
    ]


def read_audit(conn: Connection, storefront_id: StorefrontId, subject: str) -> list[AuditEntry]:
    """The trail of one subject (`experiment:cart-offers`), newest first."""
    query = select(audit).where(audit.c.storefront_id == storefront_id, audit.c.subject == subject)
    return [
        AuditEntry(row.at, row.actor, row.action, row.subject, row.before, row.after)
        for row in conn.execute(query.order_by(audit.c.id.desc()))
    ]
