"""An experiment's report: the page, its numbers as JSON and CSV, and the short form for the list."""

import csv
import io
from dataclasses import dataclass

from flask import Blueprint, Response, current_app, render_template
from flask.typing import ResponseReturnValue

from analysis.experiment import analysis_plan, experiment_report, planned_metrics
from analysis.findings import findings
from analysis.report import Report
from experiments.errors import NotEstimable
from experiments.lifecycle import MEASURING, allowed
from experiments.moment import DAY, SECOND, Micros
from experiments.storage.database import reading
from experiments.storage.registry import Experiment, get_experiment
from webapp.clock import now
from webapp.errors import encode
from webapp.lab import the_lab
from webapp.ui import readings
from webapp.ui.person import here, page

blueprint = Blueprint("reports", __name__, url_prefix="/s/<storefront>/experiments/<key>")

LIST_MAY_LAG = 60 * SECOND
"""How old a report may be whose result the list shows."""


@dataclass(frozen=True, slots=True)
class Read:
    """A report with its experiment, and when it was read."""

    experiment: Experiment
    report: Report
    at: Micros

    @property
    def early_until(self) -> Micros | None:
        """Until when the plan says that nobody should conclude anything; None once that is past."""
        begun = self.experiment.started_at
        if begun is None or self.experiment.state not in MEASURING:
            return None
        ripe = Micros(begun + self.experiment.definition.analysis.minimum_days * DAY)
        return ripe if ripe > self.at else None


@blueprint.get("/report")
@page()
def show(key: str) -> ResponseReturnValue:
    """The report."""
    with reading(the_lab().engine) as conn:
        experiment = get_experiment(conn, here().id, key)
    if experiment.started_at is None:
        return render_template("report_empty.html", experiment=experiment)
    read = _read(key)
    report, currency = read.report, here().currency
    plan = analysis_plan(read.experiment, planned_metrics(read.experiment.definition), read.at)
    said = [finding for result in report.metrics for finding in findings(result, plan)]
    metrics, rows = readings.headline(report, currency)
    return render_template(
        "report.html",
        experiment=read.experiment,
        definition=read.experiment.definition,
        report=report,
        read_at=read.at,
        early_until=read.early_until,
        headline_metrics=metrics,
        headline=rows,
        sections=readings.sections(report, said, currency),
        because=readings.reasons(report, read.experiment.definition.metrics.primary),
        units=sum(units for _, units, _ in report.variants),
        can=allowed(read.experiment.state),
    )


@blueprint.get("/report.json")
@page()
def as_json(key: str) -> ResponseReturnValue:
    """Every number at full precision, in the contract's JSON."""
    name = {"Content-Disposition": f'attachment; filename="{key}.json"'}
    return Response(encode(_read(key).report.to_dict()), mimetype="application/json", headers=name)


@blueprint.get("/report.csv")
@page()
def as_csv(key: str) -> ResponseReturnValue:
    """Every number at full precision, a line for each metric and variant."""
    out = io.StringIO()
    csv.writer(out).writerows(readings.table(_read(key).report))
    name = {"Content-Disposition": f'attachment; filename="{key}.csv"'}
    return Response(out.getvalue(), mimetype="text/csv", headers=name)


@blueprint.get("/effect")
@page()
def effect(key: str) -> ResponseReturnValue:
    """The primary metric's effects in a line each, for the list; at most a minute old."""
    kept: dict[tuple[int, str], Read] = current_app.extensions.setdefault("offerlab_readings", {})
    held = kept.get((here().id, key))
    if held is None or now() - held.at > LIST_MAY_LAG:
        held = _read(key)
        kept[here().id, key] = held
    primary = held.experiment.definition.metrics.primary
    return render_template("_effect.html", effects=readings.primary_effects(held.report), metric=primary)


def _read(key: str) -> Read:
    with reading(the_lab().engine) as conn:
        experiment = get_experiment(conn, here().id, key)
        if experiment.started_at is None:
            raise NotEstimable("It has not started: there is nothing to read yet")
        at = now()
        return Read(experiment, experiment_report(conn, here(), experiment, at), at)
