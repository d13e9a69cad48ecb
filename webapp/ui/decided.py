"""A decision: what was known when it was made, and beside it what is known now that returns have come in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue

from analysis.lasted import Lasting
from experiments.errors import NotEstimable
from experiments.lifecycle import possible
from experiments.storage.database import reading
from experiments.storage.decisions import read_decision
from experiments.storage.registry import Experiment, get_experiment, holdback_of
from webapp.deciding import decision_json
from webapp.errors import encode
from webapp.lab import the_lab
from webapp.reading import kept_report
from webapp.ui.person import here, page

blueprint = Blueprint("decided", __name__, url_prefix="/s/<storefront>/experiments/<key>/decision")

Interval = tuple[float | None, float | None, float | None]
"""An estimate with the two ends of its interval; None for what could not be estimated."""


@dataclass(frozen=True, slots=True)
class Line:
    """The lift of one metric in one variant, then and now."""

    metric: str
    variant: str
    then: Interval
    now: Interval


@blueprint.get("/")
@page()
def show(key: str) -> ResponseReturnValue:
    """Then and now."""
    with reading(the_lab().engine) as conn:
        experiment = get_experiment(conn, here().id, key)
        made = read_decision(conn, experiment.id)
        holdback = holdback_of(conn, here().id, key)
    held = kept_report(here(), key)
    lines = _lines(made.report, held.report.to_dict())
    verdict = made.report.get("verdict") or {}
    return render_template(
        "decided.html", experiment=experiment, made=made, lines=list(lines), verdict=verdict, read_at=held.at,
        holdback=holdback, lasting=_lasting(holdback), can=possible(holdback.state) if holdback else (),
    )  # fmt: skip


@blueprint.get("/decision.json")
@page()
def as_json(key: str) -> ResponseReturnValue:
    """The decision with its whole report, as the API gives it."""
    with reading(the_lab().engine) as conn:
        experiment = get_experiment(conn, here().id, key)
        made = read_decision(conn, experiment.id)
    name = {"Content-Disposition": f'attachment; filename="{key}-decision.json"'}
    return Response(encode(decision_json(experiment, made)), mimetype="application/json", headers=name)


def _lasting(holdback: Experiment | None) -> Lasting | None:
    """What the holdback says by now; None without one, or while nobody has entered it."""
    if holdback is None:
        return None
    try:
        return kept_report(here(), holdback.key).report.lasting
    except NotEstimable:
        return None


def _lines(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Line]:
    present = {(metric, variant): lift for metric, variant, lift in _lifts(now)}
    for metric, variant, lift in _lifts(then):
        yield Line(metric, variant, lift, present.get((metric, variant), (None, None, None)))


def _lifts(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Interval]]:
    for metric in report.get("metrics", ()):
        for comparison in metric["comparisons"]:
            lift = comparison["lift"]
            yield metric["metric"], comparison["variant"], (lift["estimate"], lift["low"], lift["high"])
