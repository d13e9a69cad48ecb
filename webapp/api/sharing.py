"""Links to reports over the management API: for readers without an account."""

from typing import Any

from flask import Blueprint, Response, request

from experiments.moment import Micros, iso
from experiments.service import sharing
from experiments.shape import decode
from experiments.sharing import LinkInput, ReportLink
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment
from experiments.storage.reportlinks import links_of
from webapp import shared_links
from webapp.api.management import authenticate, json_answer, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("report_links", __name__, url_prefix="/api/v1")
blueprint.before_request(authenticate)


def link_json(link: ReportLink, at: Micros) -> dict[str, Any]:
    """A link; one that opens nothing any more has no address."""
    state = link.state(at)
    return {
        "id": link.id,
        "shows": link.shows,
        "state": state,
        "address": shared_links.address(link) if state == "good" else None,
        "made_by": link.made_by,
        "made_at": iso(link.made_at),
        "expires_at": None if link.expires_at is None else iso(link.expires_at),
        "seen_at": None if link.seen_at is None else iso(link.seen_at),
        "revoked_at": None if link.revoked_at is None else iso(link.revoked_at),
    }


@blueprint.get("/experiments/<key>/links")
def list_links(key: str) -> Response:
    """Who may read the report without an account, newest first."""
    with reading(the_lab().engine) as conn:
        found = links_of(conn, get_experiment(conn, the_storefront().id, key).id)
    return json_answer({"links": [link_json(link, now()) for link in found]})


@blueprint.post("/experiments/<key>/links")
def make_link(key: str) -> Response:
    """An address by which anybody reads the report: as it is then, or as it was at the decision."""
    given = decode(request.get_data() or b"{}", LinkInput)
    with writing(the_lab().engine) as conn:
        made = sharing.share(conn, the_storefront(), key, given, the_caller().actor, now())
    return json_answer(link_json(made, now()), 201)


@blueprint.delete("/experiments/<key>/links/<int:number>")
def revoke_link(key: str, number: int) -> Response:
    """The link, which opens nothing from now on."""
    with writing(the_lab().engine) as conn:
        gone = sharing.unshare(conn, the_storefront(), key, number, the_caller().actor, now())
    return json_answer(link_json(gone, now()))
