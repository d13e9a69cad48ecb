"""Learnings, as rows: of every decided experiment the gist of the report that was kept of it, in one query."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import decision, experiment, storefront


@dataclass(frozen=True, slots=True)
class Learning:
    """A decided experiment: where, what was decided, and the gist of what it was decided by."""

    experiment_id: int
    storefront: str
    storefront_name: str
    key: str
    decided_at: Micros
    decision: dict[str, Any]
    gist: dict[str, Any]

    @property
    def said(self) -> str:
        """What was learnt in words; where nobody wrote that down, why it was decided so."""
        return str(self.decision.get("learning") or self.decision.get("reason") or "")


def read_learnings(conn: Connection, storefronts: Collection[StorefrontId] | None = None) -> list[Learning]:
    """Every decided experiment of these storefronts, or of all, the latest first; holdbacks go with what they follow.

    Decisions that were kept before there were gists are left out.
    """
    query = (
        select(
            experiment.c.id, storefront.c.key.label("storefront"), storefront.c.name, experiment.c.key,
            decision.c.decided_at, experiment.c.decision, decision.c.gist,
        )
        .select_from(decision.join(experiment).join(storefront))
        .where(decision.c.gist.is_not(None), experiment.c.decision.is_not(None), experiment.c.follows.is_(None))
        .order_by(decision.c.decided_at.desc(), experiment.c.id.desc())
    )  # fmt: skip
    if storefronts is not None:
        query = query.where(experiment.c.storefront_id.in_(storefronts))
    return [Learning(*row) for row in conn.execute(query) if row.gist]
