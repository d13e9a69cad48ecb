"""A shared report: read only, for whoever has its address, without an account, a session or a cookie."""

from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response, g, make_response, render_template, url_for

from analysis.stored import stored_report
from experiments.errors import NotEstimable, NotFound
from experiments.moment import Micros
from experiments.sharing import ReportLink
from experiments.storage.database import reading, writing
from experiments.storage.decisions import read_decision
from experiments.storage.registry import get_experiment
from experiments.storage.reportlinks import is_news, link_with_key, note_seen
from experiments.storage.storefronts import Storefront, all_storefronts
from experiments.storage.users import Role
from webapp import shared_links
from webapp.clock import now
from webapp.lab import the_lab
from webapp.reading import Read, kept_report
from webapp.ui.reports import LIST_MAY_LAG, contents

SHARED = "/shared/"
blueprint = Blueprint("shared", __name__, url_prefix=SHARED.rstrip("/"))

HEADERS = {
    "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow", "Cache-Control": "private, no-store"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a link: they may read this, and nothing else."""

    is_authenticated: bool = False
    email: str = ""

    def may(self, _role: Role) -> bool:
        """Nothing."""
        return False


@blueprint.get("/<token>")
def show(token: str) -> Response:
    """The report of the link, at most a minute old; one page for every link that opens nothing, whatever the reason."""
    at = now()
    try:
        link, storefront, key = _opened(token, at)
        read = _read(link, storefront, key)
    except (NotFound, NotEstimable):
        answer = make_response(render_template("shared_gone.html", here=None, current_user=Reader()), 404)
    else:
        g.storefront = storefront
        address = partial(url_for, "shared.show", token=token)
        answer = make_response(render_template(
            "shared.html", **contents(read, address), here=storefront, shared=link.shows, current_user=Reader()
        ))  # fmt: skip
        if is_news(link, at):
            with writing(the_lab().engine) as conn:
                note_seen(conn, link, at)
    answer.headers.update(HEADERS)
    return answer


def _opened(token: str, at: Micros) -> tuple[ReportLink, Storefront, str]:
    number = shared_links.number_in(token)
    with reading(the_lab().engine) as conn:
        link, storefront_id, key = link_with_key(conn, number)
        storefront = next(s for s in all_storefronts(conn) if s.id == storefront_id)
    if link.state(at) != "good":
        raise NotFound("The link opens nothing any more")
    return link, storefront, key


def _read(link: ReportLink, storefront: Storefront, key: str) -> Read:
    if link.shows == "live":
        return kept_report(storefront, key, lag=LIST_MAY_LAG)
    with reading(the_lab().engine) as conn:
        experiment = get_experiment(conn, storefront.id, key)
        made = read_decision(conn, experiment.id)
    return Read(experiment, stored_report(made.report), made.data_until, ())
