"""The audit trail: every change, who made it, what was before and after; searched, and as a CSV file."""

import csv
import io
import json

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from experiments.moment import iso
from experiments.storage.database import reading
from experiments.storage.registry import AuditEntry, search_audit
from webapp.lab import the_lab
from webapp.ui.person import here, page
from webapp.ui.versions import Difference, differences

blueprint = Blueprint("trail", __name__, url_prefix="/s/<storefront>/settings/changes")

PAGE = 50
MOST = 100_000
"""Lines of the CSV file."""
COLUMNS = ("at", "actor", "action", "subject", "before", "after")


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """The newest changes first."""
    words, number = request.args.get("q", "").strip(), max(request.args.get("page", 1, type=int), 1)
    with reading(the_lab().engine) as conn:
        found = search_audit(conn, here().id, words, PAGE + 1, (number - 1) * PAGE)
    entries = [(entry, _changed(entry)) for entry in found[:PAGE]]
    return render_template("settings/trail.html", entries=entries, q=words, number=number, more=len(found) > PAGE)


@blueprint.get("/changes.csv")
@page()
def download() -> ResponseReturnValue:
    """What the search finds, as CSV."""
    with reading(the_lab().engine) as conn:
        found = search_audit(conn, here().id, request.args.get("q", "").strip(), MOST, 0)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for entry in found:
        rows.writerow([iso(entry.at), *map(_plain, (entry.actor, entry.action, entry.subject)), *_states(entry)])
    named = {"Content-Disposition": f'attachment; filename="{here().key}-changes.csv"'}
    return Response(text.getvalue(), 200, {"Content-Type": "text/csv; charset=utf-8"} | named)


def _changed(entry: AuditEntry) -> list[Difference]:
    before, after = entry.before, entry.after
    return differences(before, after) if isinstance(before, dict) and isinstance(after, dict) else []


def _states(entry: AuditEntry) -> list[str]:
    return [
        "" if state is None else json.dumps(state, ensure_ascii=False, sort_keys=True)
        for state in (entry.before, entry.after)
    ]


def _plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
