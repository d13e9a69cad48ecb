"""Home: what runs, what needs me, traffic by placement, what is scheduled, and the programme as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import Connection

from experiments.identifiers import ExperimentId
from experiments.lifecycle import MEASURING
from experiments.moment import DAY, SECOND, Micros, day_number, micros
from experiments.reviews import standing as review_standing
from experiments.storage.alerts import Alert, alerts
from experiments.storage.database import reading
from experiments.storage.drafts import Draft, drafts
from experiments.storage.registry import Experiment
from experiments.storage.reviews import reviews_by_experiment
from experiments.storage.storefronts import Placement, placements
from experiments.storage.tallies import daily_units
from webapp.clock import now
from webapp.lab import the_lab
from webapp.reading import kept_report
from webapp.ui.alert_words import ALERTS
from webapp.ui.experiments import SHELVES, known_experiments
from webapp.ui.person import here, page
from webapp.ui.recalled import recalled
from webapp.ui.words import in_plain_words

blueprint = Blueprint("home", __name__, url_prefix="/s/<storefront>")

DAYS = 14
LIVE = SHELVES["live"]
MOST = 50
"""Experiments of a kind on this page; the list has the rest."""
MAY_LAG = 60 * SECOND
"""How old the standing of an experiment may be."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for somebody: how urgent, why, and about which experiment or draft."""

    tone: str
    words: str
    text: str
    experiment: Experiment | None = None
    draft: Draft | None = None
    address: str = "experiments.detail"
    """The experiment's page that is meant."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A placement: who is asked there in order, and how many units entered in the last days."""

    placement: Placement
    live: Sequence[Experiment]
    units: int


@dataclass(frozen=True, slots=True)
class Date:
    """Something that happens by itself: `start`, `ramp` with its coverage, or `end`."""

    at: Micros
    what: str
    experiment: Experiment
    coverage: int | None = None


@blueprint.get("/home")
@page()
def show() -> ResponseReturnValue:
    """The page to begin the day with."""
    at = now()
    today = day_number(at, here().zone)
    with reading(the_lab().engine) as conn:
        known = known_experiments(conn)
        live = [e for e in known if e.state in LIVE]
        counted = daily_units(conn, [e.id for e in live], today - DAYS, today + 1)
        slots, unfinished = placements(conn, here().id), drafts(conn, here().id)
        told = alerts(conn, here().id, waiting=True, limit=MOST)
        asked = [*_reviews(conn, [e for e in known if e.state == "draft"])]
    entered = {number: sum(days.values()) for number, days in counted.items()}
    return render_template(
        "home.html",
        at=at,
        day=DAY,
        live=live[:MOST],
        more=max(0, len(live) - MOST),
        entered=entered,
        needs=[*_told(known, told), *asked, *_needs(known, unfinished, entered, at, told)][:MOST],
        lanes=_lanes(slots, live, entered),
        dates=sorted(_dates(live, at), key=lambda d: d.at)[:MOST],
        totals=_totals(known, entered),
        holdout=here().policy.holdout,
    )


@blueprint.get("/experiments/<key>/standing")
@page()
def standing(key: str) -> ResponseReturnValue:
    """Whether a running experiment is well, and whether its rule has decided: in a line, for home."""
    report = kept_report(here(), key, lag=MAY_LAG).report
    failed = [check.check for check in report.checks if check.status == "fail"]
    verdict = report.verdict
    return render_template("_standing.html", key=key, failed=failed, decision=verdict.decision, variant=verdict.variant)


def _told(known: Sequence[Experiment], told: Sequence[Alert]) -> Iterator[Need]:
    """What the watch told and nobody has dealt with: the urgent first, then the newest."""
    by_id = {e.id: e for e in known}
    urgent = sorted(told, key=lambda alert: ALERTS[alert.kind].tone != "danger")
    for alert in urgent:
        words = ALERTS[alert.kind]
        # what made it pause stands beside it, with its facts
        facts = "" if alert.kind == "auto_paused" else in_plain_words(recalled(alert.detail))
        text = f"{words.meaning} {facts}".strip()
        yield Need(words.tone, str(words.label), text, by_id[alert.experiment_id])


def _needs(
    known: Sequence[Experiment], unfinished: Sequence[Draft], entered: Mapping[ExperimentId, int], at: Micros,
    told: Sequence[Alert],
) -> Iterator[Need]:  # fmt: skip
    me, missed = current_user.email, {alert.experiment_id for alert in told if alert.kind == "no_exposures"}
    for e in known:
        waited = e.state in MEASURING and e.started_at is not None and at - e.started_at > DAY
        if waited and not entered.get(e.id) and e.id not in missed:
            text = gettext(
                "No visitor has met it in the last %(days)s days. Does the shop ask for its placement?", days=DAYS
            )
            yield Need("danger", gettext("No data"), text, e)
    for e in known:
        if e.state == "stopped":
            yield Need(
                "warning", gettext("Decide"), gettext("It has ended: read the report, and write down what follows."), e
            )
    for draft in unfinished:
        if draft.saved_by == me:
            yield Need(
                "secondary",
                gettext("Unfinished"),
                gettext("You kept it as a draft that does not hold yet."),
                None,
                draft,
            )


def _reviews(conn: Connection, known: Sequence[Experiment]) -> Iterator[Need]:
    """What I am asked to look at, and what others want changed of what I asked them to."""
    me, rule = current_user.email, here().review
    right = rule.may_review(me, defines=current_user.may("editor"))
    steps = reviews_by_experiment(conn, [e.id for e in known])
    for e in known:
        made, named = steps.get(e.id, []), e.definition.about.reviewers
        stands = review_standing(made, e.definition)
        if stands == "requested" and (me in named or (right and not named)) and me != made[-1].by:
            text = gettext("%(who)s asks you to look at it before it starts.", who=made[-1].by)
            yield Need("info", gettext("Review"), text, e, address="reviews.show")
        elif stands == "none" and me in named:
            yield Need("info", gettext("Review"), gettext("You are asked to look at it before it starts."), e)
        elif stands == "changes_requested" and any(one.by == me for one in made if one.step == "requested"):
            text = gettext("%(who)s asked for changes before it starts.", who=made[-1].by)
            yield Need("warning", gettext("Change"), text, e, address="reviews.show")


def _lanes(slots: Sequence[Placement], live: Sequence[Experiment], entered: Mapping[ExperimentId, int]) -> list[Lane]:
    lanes = []
    for slot in slots:
        there = sorted((e for e in live if e.definition.placement == slot.key), key=lambda e: e.id)
        lanes.append(Lane(slot, there, sum(entered.get(e.id, 0) for e in there)))
    return lanes


def _dates(live: Sequence[Experiment], at: Micros) -> Iterator[Date]:
    for e in live:
        schedule = e.definition.schedule
        if e.state == "scheduled" and schedule.start_at is not None:
            yield Date(micros(schedule.start_at), "start", e)
        for step in schedule.ramp:
            if micros(step.at) > at:
                yield Date(micros(step.at), "ramp", e, step.coverage)
        if schedule.end_at is not None and micros(schedule.end_at) > at:
            yield Date(micros(schedule.end_at), "end", e)


def _totals(known: Sequence[Experiment], entered: Mapping[ExperimentId, int]) -> dict[str, int]:
    decided = [e for e in known if e.decision is not None]
    return {
        "running": sum(e.state in MEASURING for e in known),
        "ended": sum(e.stopped_at is not None for e in known),
        "shipped": sum(bool((e.decision or {}).get("variant")) for e in decided),
        "not_shipped": sum(not (e.decision or {}).get("variant") for e in decided),
        "entered": sum(entered.values()),
    }
