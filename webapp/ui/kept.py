"""What the define page keeps while it is being filled in: the request's fields as they are, under their draft."""

from flask import request
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from experiments.errors import Conflict
from experiments.service import drafting
from experiments.storage.drafts import Draft, Typed
from experiments.storage.registry import Experiment
from webapp.clock import now
from webapp.ui.definition_form import DefinitionForm
from webapp.ui.person import actor, here

_OF_THE_PAGE = ("csrf_token", "do", "draft", "draft_version")


def held(conn: Connection, before: Experiment | None) -> Draft | None:
    """The draft that the request's page belongs to; None where none was kept, or it is gone."""
    number = request.form.get("draft", type=int)
    return drafting.unfinished(conn, here(), number, None if before is None else before.key)


def keep(conn: Connection, form: DefinitionForm, before: Experiment | None, *, overwrite: bool) -> Draft:
    """Keep the request's fields; Conflict where somebody else kept others since this page was shown."""
    draft, title = held(conn, before), title_of(form)
    if draft is None:
        return drafting.begin(conn, here(), None if before is None else before.key, title, typed(), actor(), now())
    version = draft.version if overwrite else _version()
    return drafting.keep(conn, here(), draft.id, version, title, typed(), actor(), now())


def finish_kept(conn: Connection, before: Experiment | None, *, overwrite: bool) -> None:
    """The draft is about to become a definition; Conflict where somebody else kept other texts meanwhile."""
    draft = held(conn, before)
    if draft is None:
        if request.form.get("draft") and not overwrite:
            raise Conflict("edited_meanwhile", "Somebody else finished or discarded this draft meanwhile")
        return
    if not overwrite and _version() != draft.version:
        raise Conflict("edited_meanwhile", f"{draft.saved_by} saved this draft meanwhile")
    drafting.finish(conn, here(), draft.id)


def discard_kept(conn: Connection, before: Experiment | None) -> None:
    """Let go of what was not finished, if anything was kept."""
    draft = held(conn, before)
    if draft is not None:
        drafting.discard(conn, here(), draft.id, actor(), now())


def form_of(draft: Draft) -> DefinitionForm:
    """The form as it was typed."""
    return DefinitionForm.read(MultiDict([(name, value) for name, values in draft.form.items() for value in values]))


def title_of(form: DefinitionForm) -> str:
    """What lists call the draft."""
    return form.name.strip()[:200] or form.key.strip()[:200]


def typed() -> Typed:
    """The request's fields, without those that belong to the page rather than to the draft."""
    fields = request.form.to_dict(flat=False)
    return {name: values for name, values in fields.items() if name not in _OF_THE_PAGE}


def _version() -> int:
    return request.form.get("draft_version", type=int) or 0
