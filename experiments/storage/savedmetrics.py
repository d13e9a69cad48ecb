"""A storefront's own metrics, as rows: one for each version."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Row, func, insert, select
from sqlalchemy.exc import IntegrityError

from experiments.errors import Conflict, NotFound
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.saved_metrics import SavedMetric
from experiments.storage.tables import saved_metric


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """One version of a metric, who saved it and when."""

    key: str
    saved: SavedMetric
    saved_by: str
    saved_at: Micros


def saved_metrics(conn: Connection, storefront_id: StorefrontId) -> dict[str, StoredMetric]:
    """The last version of each metric of a storefront, by key."""
    m = saved_metric.c
    last = select(m.key, func.max(m.version).label("version")).where(m.storefront_id == storefront_id)
    newest = last.group_by(m.key).subquery()
    same = (newest.c.key == m.key) & (newest.c.version == m.version)
    query = select(saved_metric).join(newest, same).where(m.storefront_id == storefront_id).order_by(m.key)
    return {row.key: _stored(row) for row in conn.execute(query)}


def metric_versions(conn: Connection, storefront_id: StorefrontId, key: str) -> Sequence[StoredMetric]:
    """Every version of one metric, the newest first; NotFound where there is none."""
    m = saved_metric.c
    query = select(saved_metric).where(m.storefront_id == storefront_id, m.key == key).order_by(m.version.desc())
    found = [_stored(row) for row in conn.execute(query)]
    if not found:
        raise NotFound(f"There is no metric {key!r} of this storefront's own")
    return found


def add_metric_version(
    conn: Connection, storefront_id: StorefrontId, key: str, saved: SavedMetric, actor: str, now: Micros
) -> StoredMetric:
    """A version; Conflict where somebody else wrote it first."""
    values = {"key": key, "version": saved.version, "definition": msgspec.to_builtins(saved)}
    row = insert(saved_metric).values(storefront_id=storefront_id, **values, saved_by=actor, saved_at=now)
    try:
        with conn.begin_nested():
            conn.execute(row)
    except IntegrityError:
        raise Conflict("edited_meanwhile", f"Version {saved.version} of {key!r} is there already") from None
    return StoredMetric(key, saved, actor, now)


def _stored(row: Row[tuple[object, ...]]) -> StoredMetric:
    return StoredMetric(row.key, msgspec.convert(row.definition, SavedMetric), row.saved_by, row.saved_at)
