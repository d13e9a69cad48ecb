"""Unfinished drafts: what was typed, errors and all, until it holds and becomes an experiment's definition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select, update

from experiments.errors import Conflict, NotFound
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import draft
from experiments.wording import worded

Typed = Mapping[str, Sequence[str]]
"""A form's fields by name, each with what stood in it, in order."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed, by whom and when; `experiment` is the key of the one whose next version it is, or None."""

    id: int
    experiment: str | None
    title: str
    form: Typed
    version: int
    saved_by: str
    saved_at: Micros


def add_draft(
    conn: Connection, storefront_id: StorefrontId, experiment: str | None, title: str, form: Typed, by: str, now: Micros
) -> Draft:
    """A new draft; Conflict where somebody else began one of the same experiment."""
    if experiment is not None and draft_of(conn, storefront_id, experiment) is not None:
        raise Conflict("edited_meanwhile", worded("Somebody else began to change this experiment meanwhile"))
    new = insert(draft).values(
        storefront_id=storefront_id, experiment=experiment, title=title, form=dict(form), version=1, saved_by=by,
        saved_at=now,
    )  # fmt: skip
    number = conn.execute(new.returning(draft.c.id)).scalar_one()
    return get_draft(conn, storefront_id, number)


def get_draft(conn: Connection, storefront_id: StorefrontId, number: int) -> Draft:
    """The draft of that number; NotFound where the storefront has none."""
    row = conn.execute(select(draft).where(draft.c.storefront_id == storefront_id, draft.c.id == number)).first()
    if row is None:
        raise NotFound(f"There is no draft {number}: it was finished or discarded")
    return _draft(row)


def draft_of(conn: Connection, storefront_id: StorefrontId, experiment: str) -> Draft | None:
    """The unfinished changes of an experiment, or None."""
    query = select(draft).where(draft.c.storefront_id == storefront_id, draft.c.experiment == experiment)
    row = conn.execute(query).first()
    return _draft(row) if row is not None else None


def drafts(conn: Connection, storefront_id: StorefrontId) -> list[Draft]:
    """Every unfinished draft of a storefront, the latest first."""
    query = select(draft).where(draft.c.storefront_id == storefront_id).order_by(draft.c.saved_at.desc(), draft.c.id)
    return [_draft(row) for row in conn.execute(query)]


def replace_draft(conn: Connection, before: Draft, title: str, form: Typed, by: str, now: Micros) -> Draft:
    """The draft as it stands now; Conflict where somebody else saved it since `before` was read."""
    changed = conn.execute(
        update(draft)
        .where(draft.c.id == before.id, draft.c.version == before.version)
        .values(title=title, form=dict(form), version=before.version + 1, saved_by=by, saved_at=now)
    )
    if changed.rowcount != 1:
        raise Conflict("edited_meanwhile", worded("Somebody else saved this draft meanwhile"))
    return Draft(before.id, before.experiment, title, form, before.version + 1, by, now)


def delete_draft(conn: Connection, storefront_id: StorefrontId, number: int) -> None:
    """Gone, if it was there."""
    conn.execute(delete(draft).where(draft.c.storefront_id == storefront_id, draft.c.id == number))


def _draft(row: Row[tuple[object, ...]]) -> Draft:
    return Draft(row.id, row.experiment, row.title, row.form, row.version, row.saved_by, row.saved_at)
