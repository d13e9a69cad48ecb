"""Keeping drafts that are not finished: whatever was typed is kept, and nothing of it can start."""

from sqlalchemy import Connection

from experiments.errors import Conflict, NotFound
from experiments.moment import Micros
from experiments.storage.drafts import Draft, Typed, add_draft, delete_draft, draft_of, get_draft, replace_draft
from experiments.storage.registry import AuditEntry, write_audit
from experiments.storage.storefronts import Storefront
from experiments.wording import worded


def begin(
    conn: Connection, storefront: Storefront, experiment: str | None, title: str, form: Typed, actor: str, now: Micros
) -> Draft:
    """A first keeping of what was typed: of a new experiment, or as the next version of a draft's."""
    made = add_draft(conn, storefront.id, experiment, title, form, actor, now)
    _audit(conn, storefront, made, "begin", actor, now)
    return made


def keep(
    conn: Connection,
    storefront: Storefront,
    number: int,
    version: int,
    title: str,
    form: Typed,
    actor: str,
    now: Micros,
) -> Draft:
    """What was typed since; Conflict where somebody else kept something else meanwhile, NotFound where it is gone."""
    before = get_draft(conn, storefront.id, number)
    if before.version != version:
        raise Conflict("edited_meanwhile", worded("%(who)s saved this draft meanwhile", who=before.saved_by))
    if before.form == form:
        return before
    return replace_draft(conn, before, title, form, actor, now)


def discard(conn: Connection, storefront: Storefront, number: int, actor: str, now: Micros) -> None:
    """The draft is let go of; what the experiment was before it stays."""
    before = get_draft(conn, storefront.id, number)
    delete_draft(conn, storefront.id, number)
    _audit(conn, storefront, before, "discard", actor, now)


def finish(conn: Connection, storefront: Storefront, number: int) -> None:
    """The draft became a definition, which has its own line in the trail."""
    delete_draft(conn, storefront.id, number)


def unfinished(conn: Connection, storefront: Storefront, number: int | None, experiment: str | None) -> Draft | None:
    """The draft of that number, else that of the experiment; None where there is none any more."""
    if number is not None:
        try:
            return get_draft(conn, storefront.id, number)
        except NotFound:
            return None
    return draft_of(conn, storefront.id, experiment) if experiment is not None else None


def _audit(conn: Connection, storefront: Storefront, draft: Draft, action: str, actor: str, now: Micros) -> None:
    subject = f"experiment:{draft.experiment}" if draft.experiment else f"draft:{draft.id}"
    then = {"draft": draft.id, "title": draft.title}
    write_audit(conn, storefront.id, AuditEntry(now, actor, f"{action} draft", subject, None, then))
