"""Alerts, as rows: at most one that is not cleared for each condition of an experiment, by the database's own word."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from experiments.alerts import NEEDS_SOMEBODY, AlertKind, Condition
from experiments.identifiers import ExperimentId, StorefrontId
from experiments.lifecycle import MEASURING
from experiments.moment import Micros
from experiments.storage.tables import alert, experiment, watched


@dataclass(frozen=True, slots=True)
class Alert:
    """What was told of an experiment: when, when it was over, and when it made the experiment pause."""

    id: int
    experiment_id: ExperimentId
    experiment: str
    kind: AlertKind
    about: str
    detail: str
    raised_at: Micros
    cleared_at: Micros | None
    acted_at: Micros | None
    needs_somebody: bool


def raise_alert(
    conn: Connection, storefront_id: StorefrontId, experiment_id: ExperimentId, found: Condition, now: Micros
) -> Alert | None:
    """The alert on a condition; None where there is one already, or another process raises it at this moment."""
    insert_into = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    values = {
        "storefront_id": storefront_id, "experiment_id": experiment_id, "kind": found.kind, "about": found.about,
        "detail": found.detail, "raised_at": now,
    }  # fmt: skip
    made = insert_into(alert).values(values).on_conflict_do_nothing().returning(alert.c.id)
    number = conn.execute(made).scalar_one_or_none()
    if number is None:
        return None
    return _alert(conn.execute(_select().where(alert.c.id == number)).one())


def clear_alert(conn: Connection, alert_id: int, now: Micros) -> None:
    """It is over: the same may be told again when it comes again."""
    conn.execute(update(alert).where(alert.c.id == alert_id, alert.c.cleared_at.is_(None)).values(cleared_at=now))


def mark_acted(conn: Connection, alert_ids: Collection[int], now: Micros) -> None:
    """Note that these made the experiment pause."""
    conn.execute(update(alert).where(alert.c.id.in_(alert_ids)).values(acted_at=now))


def open_alerts(conn: Connection, experiment_ids: Collection[ExperimentId]) -> Mapping[ExperimentId, list[Alert]]:
    """Alerts of these experiments that are not cleared; those without any are absent."""
    found: dict[ExperimentId, list[Alert]] = {}
    if experiment_ids:
        mine = (alert.c.experiment_id.in_(experiment_ids), alert.c.cleared_at.is_(None))
        for row in conn.execute(_select().where(*mine).order_by(alert.c.id)):
            found.setdefault(ExperimentId(row.experiment_id), []).append(_alert(row))
    return found


def alerts(
    conn: Connection, storefront_id: StorefrontId, key: str | None = None, *, waiting: bool = False, limit: int = 100,
    before: int | None = None,
) -> list[Alert]:  # fmt: skip
    """A storefront's alerts, newest first, from before the one with that id: of one experiment, or what still waits."""
    query = _select().where(alert.c.storefront_id == storefront_id)
    if key is not None:
        query = query.where(experiment.c.key == key)
    if waiting:
        query = query.where(
            alert.c.cleared_at.is_(None), alert.c.kind.in_(NEEDS_SOMEBODY), experiment.c.state.in_(MEASURING)
        )
    if before is not None:
        query = query.where(alert.c.id < before)
    return [_alert(row) for row in conn.execute(query.order_by(alert.c.id.desc()).limit(limit))]


def _select() -> Select[Any]:
    joined = alert.join(experiment, experiment.c.id == alert.c.experiment_id)
    return select(alert, experiment.c.key, experiment.c.state).select_from(joined)


def _alert(row: Row[Any]) -> Alert:
    needs = row.cleared_at is None and row.kind in NEEDS_SOMEBODY and row.state in MEASURING
    return Alert(
        row.id, ExperimentId(row.experiment_id), row.key, row.kind, row.about, row.detail, row.raised_at,
        row.cleared_at, row.acted_at, needs,
    )  # fmt: skip


def looks(conn: Connection, experiment_ids: Collection[ExperimentId]) -> Mapping[ExperimentId, tuple[Micros, str]]:
    """When each of these experiments was last looked at, and by which data; those that never were are absent."""
    if not experiment_ids:
        return {}
    query = select(watched).where(watched.c.experiment_id.in_(experiment_ids))
    return {ExperimentId(row.experiment_id): (Micros(row.at), row.mark) for row in conn.execute(query)}


def note_look(conn: Connection, experiment_id: ExperimentId, at: Micros, mark: str) -> None:
    """It was looked at."""
    changed = update(watched).where(watched.c.experiment_id == experiment_id).values(at=at, mark=mark)
    if conn.execute(changed).rowcount == 0:
        conn.execute(insert(watched).values(experiment_id=experiment_id, at=at, mark=mark))
