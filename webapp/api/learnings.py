"""What was learned, over the management API: decided experiments of the storefront, searched, and what they come to."""

from typing import Any

from flask import Blueprint, Response, request

from experiments.moment import iso
from experiments.shape import convert
from experiments.storage.database import reading
from experiments.storage.learnings import read_learnings
from webapp.api.management import authenticate, json_answer, the_storefront
from webapp.lab import the_lab
from webapp.learned import Entry, Search, library, summary_json

blueprint = Blueprint("learning_list", __name__, url_prefix="/api/v1")
blueprint.before_request(authenticate)


@blueprint.get("/learnings")
def list_learnings() -> Response:
    """Decided experiments, the latest first, by the reports that were kept of them; and what each kind comes to.

    Effects that were decided by are too large more often than not: `shrunken` draws each to the common effect of its
    kind. A `prior` is a hint; nothing is read by it unasked.
    """
    search = convert({name: value for name, value in request.args.items() if value}, Search)
    with reading(the_lab().engine) as conn:
        found = library(read_learnings(conn, [the_storefront().id]), search)
    return json_answer(
        {
            "learnings": [entry_json(entry) for entry in found.entries],
            "summaries": [summary_json(summary) for summary in found.summaries],
        }
    )


def entry_json(entry: Entry) -> dict[str, Any]:
    """One decided experiment."""
    learning, gist = entry.learning, entry.gist
    return {
        "storefront": learning.storefront,
        "experiment": learning.key,
        "name": gist["name"],
        "hypothesis": gist["hypothesis"],
        "placement": gist["placement"],
        "touchpoint": gist["touchpoint"],
        "categories": gist["categories"],
        "metric": gist["metric"],
        "direction": gist["direction"],
        "units": gist["units"],
        "decided_at": iso(learning.decided_at),
        "decision": learning.decision.get("decision"),
        "variant": learning.decision.get("variant"),
        "learning": learning.said,
        "reason": learning.decision.get("reason") or "",
        "next_test": learning.decision.get("next_test") or "",
        "effects": [
            {
                "variant": line.variant,
                "offer": line.offer,
                "depth": line.depth,
                "lift": {"estimate": line.estimate, "low": line.low, "high": line.high},
                "shrunken": line.shrunken,
                "shipped": line.shipped,
            }
            for line in entry.lines
        ],
    }
