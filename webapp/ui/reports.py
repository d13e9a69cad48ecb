"""An experiment's report: the page, its numbers as JSON and CSV, and the short form for the list."""

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from analysis.experiment import analysis_plan, planned_metrics
from analysis.findings import findings
from analysis.part_tables import part_tables
from experiments.errors import NotEstimable, NotFound
from experiments.lifecycle import allowed
from experiments.moment import SECOND
from experiments.storage.database import reading
from experiments.storage.decisions import has_decision
from experiments.storage.registry import get_experiment
from experiments.storage.reportlinks import links_of
from webapp.clock import now
from webapp.errors import encode
from webapp.lab import the_lab
from webapp.reading import Read, kept_report
from webapp.ui import readings, report_pictures
from webapp.ui.person import here, page
from webapp.ui.report_words import SCALES, WORDS, Say, Scale

blueprint = Blueprint("reports", __name__, url_prefix="/s/<storefront>/experiments/<key>")

LIST_MAY_LAG = 60 * SECOND
"""How old a report may be whose result the list shows."""


@blueprint.get("/report")
@page()
def show(key: str) -> ResponseReturnValue:
    """The report; `scale` says how changes are written, `segment` looks at one level of a segment alone."""
    with reading(the_lab().engine) as conn:
        experiment = get_experiment(conn, here().id, key)
    if experiment.started_at is None:
        return render_template("report_empty.html", experiment=experiment)
    read = _read(key, request.args.get("segment"))
    with reading(the_lab().engine) as conn:
        links = links_of(conn, experiment.id) if current_user.may("editor") else []
        kept = has_decision(conn, experiment.id)
    address = partial(url_for, "reports.show", storefront=here().key, key=key, segment=read.report.only)
    return render_template("report.html", **contents(read, address), links=links, kept=kept, link_at=now(), errors={})


def contents(read: Read, address: Callable[..., str]) -> dict[str, Any]:
    """What the report's page shows, in the storefront that it is read in; `address` is the page's own."""
    report, currency = read.report, here().currency
    plan = analysis_plan(read.experiment, planned_metrics(read.experiment.definition), read.at, currency)
    said = [finding for result in report.metrics for finding in findings(result, plan)]
    metrics, rows = readings.headline(report, currency)
    scale: Scale = next((s for s in SCALES if s == request.args.get("scale")), "relative")
    units_a_day = next((w.units_a_day for w in report.worth), 0.0)
    say = Say(report, currency, scale, units_a_day)
    return {
        "experiment": read.experiment,
        "definition": read.experiment.definition,
        "report": report,
        "read_at": read.at,
        "early_until": read.early_until,
        "headline_metrics": metrics,
        "headline": rows,
        "sections": readings.sections(report, said, say),
        "because": readings.reasons(report, read.experiment.definition.metrics.primary),
        "units": sum(units for _, units, _ in report.variants),
        "can": allowed(read.experiment.state),
        "say": say,
        "pictures": report_pictures.kept_pictures(read, say),
        "tables": part_tables(report),
        "address": address,
        **WORDS,
    }


@blueprint.get("/report.json")
@page()
def as_json(key: str) -> ResponseReturnValue:
    """Every number at full precision, in the contract's JSON."""
    name = {"Content-Disposition": f'attachment; filename="{key}.json"'}
    found = _read(key, request.args.get("segment")).report
    return Response(encode(found.to_dict()), mimetype="application/json", headers=name)


@blueprint.get("/report.csv")
@page()
def as_csv(key: str) -> ResponseReturnValue:
    """Every number at full precision: a line for each metric and variant, or the other table that `table` names."""
    report, asked = _read(key, request.args.get("segment")).report, request.args.get("table")
    others: dict[str, list[list[object]]] = {
        table.name: [list(table.head), *(list[object](row) for row in table.rows)] for table in part_tables(report)
    }
    if asked is not None and asked not in others:
        raise NotFound(f"There is no table {asked!r}; there are {', '.join(others)}")
    out = io.StringIO()
    csv.writer(out).writerows(readings.table(report) if asked is None else others[asked])
    name = {"Content-Disposition": f'attachment; filename="{key}{f"-{asked}" if asked else ""}.csv"'}
    return Response(out.getvalue(), mimetype="text/csv", headers=name)


@blueprint.get("/effect")
@page()
def effect(key: str) -> ResponseReturnValue:
    """The primary metric's effects in a line each, for the list; at most a minute old."""
    held = _read(key, lag=LIST_MAY_LAG)
    primary = held.experiment.definition.metrics.primary
    return render_template("_effect.html", effects=readings.primary_effects(held.report), metric=primary)


def _read(key: str, only: str | None = None, lag: int = 0) -> Read:
    with reading(the_lab().engine) as conn:
        if get_experiment(conn, here().id, key).started_at is None:
            raise NotEstimable("It has not started: there is nothing to read yet")
    return kept_report(here(), key, only, lag)
