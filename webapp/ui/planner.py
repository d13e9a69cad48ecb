"""The planner: how long a test would take, and what each week could find; every question has its own address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from analysis.forecast import Past
from analysis.learnings import Summary, planned_win
from analysis.plan import Plan, plan
from analysis.power import Baseline, Design, Monitoring, equal_shares
from experiments.errors import FieldError, Invalid, NotEstimable
from experiments.metrics import BUILT_IN
from experiments.share import parse_share
from experiments.storage.database import reading
from experiments.storage.registry import experiments
from experiments.storage.storefronts import placements
from webapp.clock import now
from webapp.lab import the_lab
from webapp.learned import similar_tests
from webapp.ui.forecasts import Forecast, forecast
from webapp.ui.form_errors import place
from webapp.ui.learnings import prior_said, said, win_said
from webapp.ui.person import here, page
from webapp.ui.told import told

blueprint = Blueprint("planner", __name__, url_prefix="/s/<storefront>/planner")

MONITORING: Mapping[str, Monitoring] = {"sequential": "sequential", "fixed": "fixed"}
USUAL = {
    "metric": "conversion", "mde": "5%", "variants": "2", "confidence": "95%", "power": "80%", "weeks": "8",
    "monitoring": "sequential", "covariates": "0%",
}  # fmt: skip
ASKED = (*USUAL, "placement", "offer", "baseline", "deviation", "daily")
"""What the address of a question may say."""
MOST_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, read; a baseline or a number of visitors that was not typed is the placement's own."""

    baseline: Baseline
    lift: float
    design: Design
    daily: float
    weeks: int

    def answer(self) -> Plan:
        """The plan; NotEstimable where the lift cannot be asked of this baseline."""
        return plan(self.baseline, self.baseline.effect(self.lift), self.design, self.daily, self.weeks)


@blueprint.get("/")
@page()
def show() -> ResponseReturnValue:
    """The question that the address asks, and its answer."""
    typed = USUAL | {name: value.strip() for name, value in request.args.items() if value.strip()}
    with reading(the_lab().engine) as conn:
        slots = placements(conn, here().id)
        typed.setdefault("placement", slots[0].key if slots else "")
        known = forecast(conn, here(), typed["placement"], None, experiments(conn, here().id), None, now())
        touchpoint = next((slot.touchpoint for slot in slots if slot.key == typed["placement"]), None)
        like = similar_tests(conn, typed["metric"], typed.get("offer"), touchpoint)
    shown = {"slots": slots, "form": typed, "known": known, "metrics": BUILT_IN, "like": like, "said": said}
    shown |= {"prior_said": prior_said, "win_said": win_said, "take": _taking(typed, like)}
    try:
        question = _read(typed, known)
        found = question.answer()
    except Invalid as refusal:
        return render_template("planner.html", **shown, errors=place(refusal.errors, {})), 422 if request.args else 200
    except NotEstimable as refusal:
        return render_template("planner.html", **shown, errors={"mde": [told(refusal.message)]}), 422
    widest = max((week.mde_lift for week in found.by_week if week.mde_lift is not None), default=None, key=abs)
    win = planned_win(like, question.design, question.lift)
    return render_template("planner.html", **shown, errors={}, question=question, found=found, widest=widest, win=win)


def _taking(typed: Mapping[str, str], like: Summary) -> tuple[float, str] | None:
    """The lift that earlier tests advise to plan for, and the question that takes it; None where they advise none."""
    metric = BUILT_IN.get(typed["metric"])
    if like.mde is None or metric is None:
        return None
    lift = -like.mde if metric.direction == "decrease" else like.mde
    asked: dict[str, Any] = {name: typed[name] for name in ASKED if name in typed} | {"mde": f"{100 * lift:.2g}%"}
    return lift, url_for("planner.show", storefront=here().key, **asked)


def _read(typed: Mapping[str, str], known: Forecast) -> Question:
    errors: list[FieldError] = []

    def number(name: str, least: float, most: float) -> float:
        try:
            value = float(parse_share(typed[name], name)) if typed[name].endswith("%") else float(typed[name])
        except (Invalid, ValueError):
            value = float("nan")
        if not least <= value <= most:
            errors.append(FieldError(name, gettext("must be %(least)g to %(most)g", least=least, most=most)))
            return most
        return value

    metric = BUILT_IN.get(typed["metric"])
    if metric is None:
        raise Invalid.at("metric", gettext("is not a metric"))
    lift, variants = number("mde", -1, 10), int(number("variants", 2, 20))
    confidence, power = number("confidence", 0.5, 0.999), number("power", 0.5, 0.99)
    weeks, kept = int(number("weeks", 1, MOST_WEEKS)), 1 - number("covariates", 0, 0.95)
    daily = number("daily", 0.01, 1e9) if "daily" in typed else known.eligible_a_day
    if daily is None:
        errors.append(FieldError("daily", gettext("is needed: nobody was counted at this placement yet")))
    if lift == 0:
        errors.append(FieldError("mde", gettext("must be other than 0")))
    try:
        baseline = _baseline(typed, metric.type, known.past, kept)
    except Invalid as refusal:
        raise Invalid([*errors, *refusal.errors]) from None
    if errors:
        raise Invalid(errors)
    monitoring = MONITORING.get(typed["monitoring"], "sequential")
    design = Design(shares=equal_shares(variants), alpha=1 - confidence, power=power, monitoring=monitoring)
    return Question(baseline, lift, design, daily or 0.0, weeks)


def _baseline(typed: Mapping[str, str], kind: str, past: Past | None, kept: float) -> Baseline:
    held = past.metrics.get(typed["metric"]) if past is not None else None
    if "baseline" not in typed:
        if held is None:
            raise Invalid.at("baseline", gettext("is needed: no experiment has measured this at this placement yet"))
        own = held.baseline
        return Baseline(own.metric, own.value, own.standard_deviation, kept)
    try:
        value = float(parse_share(typed["baseline"], "baseline"))
    except Invalid:
        value = _plain(typed["baseline"], "baseline")
    if kind == "proportion":
        return Baseline.of_proportion(value, kept)
    if "deviation" in typed:
        return Baseline("ratio" if kind == "ratio" else "mean", value, _plain(typed["deviation"], "deviation"), kept)
    if held is None:
        raise Invalid.at("deviation", gettext("is needed: how much the value differs between visitors"))
    spread = held.baseline.standard_deviation * abs(value / held.baseline.value)  # it grows with the value
    return Baseline(held.baseline.metric, value, spread, kept)


def _plain(text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid.at(field, gettext("is not a number")) from None
