"""Metrics: what each of them measures, from what, and who uses it."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from experiments.definition import Definition
from experiments.metrics import BUILT_IN, COLUMNS
from experiments.storage.database import reading
from experiments.storage.registry import experiments
from webapp.lab import the_lab
from webapp.ui.person import here, page

blueprint = Blueprint("metric_list", __name__, url_prefix="/s/<storefront>/settings/metrics")


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every metric that an experiment may name."""
    with reading(the_lab().engine) as conn:
        known = experiments(conn, here().id)
    users = {key: [e for e in known if key in _named(e.definition)] for key in BUILT_IN}
    return render_template("settings/metrics.html", metrics=BUILT_IN.values(), columns=COLUMNS, users=users)


def _named(definition: Definition) -> set[str]:
    plan = definition.metrics
    return {plan.primary, *plan.secondary, *(guardrail.metric for guardrail in plan.guardrails)}
