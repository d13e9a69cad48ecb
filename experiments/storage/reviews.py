"""The steps of reviews, as rows: written once, never changed, but that a person who is erased is taken out of them."""

from collections.abc import Collection

from sqlalchemy import Connection, Row, insert, select

from experiments.definition import Definition, to_json
from experiments.identifiers import ExperimentId, StorefrontId
from experiments.reviews import Review
from experiments.shape import convert
from experiments.storage.registry import Experiment
from experiments.storage.tables import audit
from experiments.storage.tables import review as rows


def add_review(conn: Connection, of: Experiment, made: Review) -> None:
    """One more step."""
    conn.execute(
        insert(rows).values(
            storefront_id=of.storefront_id, experiment_id=of.id, at=made.at, by=made.by, step=made.step,
            message=made.message, version=made.version, fingerprint=made.fingerprint,
            definition=to_json(made.definition),
        )
    )  # fmt: skip


def reviews_of(conn: Connection, experiment_id: ExperimentId) -> list[Review]:
    """The steps of one experiment's review, from the first."""
    query = select(rows).where(rows.c.experiment_id == experiment_id).order_by(rows.c.id)
    return [_review(row) for row in conn.execute(query)]


def reviews_by_experiment(
    conn: Connection, experiment_ids: Collection[ExperimentId]
) -> dict[ExperimentId, list[Review]]:
    """The steps of several."""
    found: dict[ExperimentId, list[Review]] = {}
    query = select(rows).where(rows.c.experiment_id.in_(sorted(experiment_ids))).order_by(rows.c.id)
    for row in conn.execute(query):
        found.setdefault(ExperimentId(row.experiment_id), []).append(_review(row))
    return found


def authors(conn: Connection, storefront_id: StorefrontId, key: str) -> set[str]:
    """Everybody who wrote a version of it."""
    wrote = (audit.c.subject == f"experiment:{key}", audit.c.action.in_(["create", "edit"]))
    query = select(audit.c.actor).where(audit.c.storefront_id == storefront_id, *wrote).distinct()
    return set(conn.scalars(query))


def _review(row: Row[tuple[object, ...]]) -> Review:
    return Review(
        at=row.at,
        by=row.by,
        step=row.step,
        message=row.message,
        version=row.version,
        fingerprint=row.fingerprint,
        definition=convert(row.definition, Definition),
    )
