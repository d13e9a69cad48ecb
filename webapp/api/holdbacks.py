"""The holdback of a decided experiment, over the management API: who is held back, and whether the effect lasts."""

from flask import Blueprint, Response

from experiments.errors import NotEstimable, NotFound
from experiments.moment import iso
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment, holdback_of
from webapp.api.management import authenticate, json_answer, the_storefront
from webapp.lab import the_lab
from webapp.reading import kept_report

blueprint = Blueprint("holdbacks", __name__, url_prefix="/api/v1")
blueprint.before_request(authenticate)


@blueprint.get("/experiments/<key>/holdback")
def read_holdback(key: str) -> Response:
    """Whether what was shipped lasts, at 7, 30, 60 and 90 days; `lasting` is null where it cannot be read."""
    with reading(the_lab().engine) as conn:
        get_experiment(conn, the_storefront().id, key)
        found = holdback_of(conn, the_storefront().id, key)
    if found is None:
        raise NotFound(f"{key!r} was shipped without a holdback, or not at all")
    try:
        report = kept_report(the_storefront(), found.key).report.to_dict()
    except NotEstimable:
        report = {}
    return json_answer(
        {
            "experiment": found.key,
            "follows": key,
            "share": found.definition.control.weight,
            "state": found.state,
            "since": iso(found.started_at or found.created_at),
            "lasting": report.get("lasting"),
        }
    )
