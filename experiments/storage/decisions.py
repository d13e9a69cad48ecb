"""Decision snapshots: the report as it was when somebody decided by it; written once, never changed."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from experiments.errors import NotFound
from experiments.identifiers import ExperimentId, StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import decision, experiment


@dataclass(frozen=True, slots=True)
class DecisionSnapshot:
    """What was known at the decision: the report's JSON, of events until `data_until`, by which definition and code.

    `gist` is what the library of learnings needs of it.
    """

    decided_at: Micros
    data_until: Micros
    fingerprint: str
    code_version: str
    report: dict[str, Any]
    gist: dict[str, Any] | None = None


def keep_decision(conn: Connection, experiment_id: ExperimentId, made: DecisionSnapshot) -> None:
    """Keep it for good; the database refuses a second one of the same experiment."""
    conn.execute(
        insert(decision).values(
            experiment_id=experiment_id, decided_at=made.decided_at, data_until=made.data_until,
            fingerprint=made.fingerprint, code_version=made.code_version, report=made.report, gist=made.gist,
        )
    )  # fmt: skip


def has_decision(conn: Connection, experiment_id: ExperimentId) -> bool:
    """Whether there is a snapshot."""
    return (
        conn.execute(select(decision.c.experiment_id).where(decision.c.experiment_id == experiment_id)).first()
        is not None
    )


def read_decision(conn: Connection, experiment_id: ExperimentId) -> DecisionSnapshot:
    """The snapshot of an experiment's decision; NotFound where nothing is decided, or was before they were kept."""
    row = conn.execute(select(decision).where(decision.c.experiment_id == experiment_id)).first()
    if row is None:
        raise NotFound("There is no decision with its report here")
    return DecisionSnapshot(row.decided_at, row.data_until, row.fingerprint, row.code_version, row.report, row.gist)


def without_gist(conn: Connection) -> list[tuple[StorefrontId, str]]:
    """The storefront and key of each experiment whose decision was kept before there were gists."""
    query = select(experiment.c.storefront_id, experiment.c.key).join(decision).where(decision.c.gist.is_(None))
    return [(StorefrontId(row.storefront_id), row.key) for row in conn.execute(query)]


def keep_gist(conn: Connection, experiment_id: ExperimentId, gist: dict[str, Any]) -> None:
    """Give a decision its gist; what was decided by does not change."""
    conn.execute(update(decision).where(decision.c.experiment_id == experiment_id).values(gist=gist))
