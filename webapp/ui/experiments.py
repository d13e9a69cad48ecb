"""The list of experiments, and an experiment's own page."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection

from experiments.definition import Definition
from experiments.lifecycle import State, possible
from experiments.moment import Micros
from experiments.service.reviewing import review_state
from experiments.service.snapshot import StorefrontView
from experiments.storage.alerts import Alert, alerts
from experiments.storage.database import reading
from experiments.storage.decisions import has_decision
from experiments.storage.drafts import draft_of, drafts
from experiments.storage.registry import AuditEntry, Experiment, experiments, get_experiment, read_audit
from experiments.storage.storefronts import placements
from experiments.storage.tallies import units_of
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.alert_words import ALERTS
from webapp.ui.person import here, page
from webapp.ui.previews import previews
from webapp.ui.review_words import STANDINGS
from webapp.ui.signed_links import preview_links
from webapp.ui.targeting_rows import in_words
from webapp.ui.versions import Difference, differences

blueprint = Blueprint("experiments", __name__, url_prefix="/s/<storefront>")

SHELVES: Mapping[str, tuple[State, ...]] = {
    "live": ("running", "closed", "paused", "scheduled"),
    "drafts": ("draft",),
    "ended": ("stopped", "decided"),
    "archived": ("archived",),
}
"""How the list is divided; without a choice everything but the archive is shown."""

# What can be done, in the order in which it is offered; editing has its own link.
OFFERED = (
    "review", "start", "schedule", "resume", "reopen", "ramp", "amend", "pause", "close", "stop", "decide",
    "unschedule", "archive", "duplicate",
)  # fmt: skip
PAGE = 50
"""Experiments on one page of the list."""


@dataclass(frozen=True, slots=True)
class Line:
    """One experiment of the list."""

    experiment: Experiment
    units: int
    has_report: bool


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every experiment of the storefront."""
    shelf, words = request.args.get("shelf", ""), request.args.get("q", "").strip().lower()
    live = tuple(s for name, states in SHELVES.items() if name != "archived" for s in states)
    wanted = SHELVES.get(shelf, live)
    with reading(the_lab().engine) as conn:
        known = known_experiments(conn)
        found = [e for e in known if e.state in wanted and words in _searched(e)]
        last = max(1, -(-len(found) // PAGE))
        number = min(max(request.args.get("page", 1, type=int), 1), last)
        shown = found[(number - 1) * PAGE : number * PAGE]
        counts = units_of(conn, [e.id for e in shown])
        slots = {p.key: p for p in placements(conn, here().id)}
        unfinished = drafts(conn, here().id) if shelf in {"", "drafts"} else []
    lines = [Line(e, units := sum(counts.get(e.id, {}).values()), units > 0) for e in shown]
    return render_template(
        "experiments.html",
        lines=lines,
        known=known,
        shelf=shelf,
        sizes={name: sum(e.state in states for e in known) for name, states in SHELVES.items()},
        any=bool(known or unfinished),
        q=words,
        placements=slots,
        unfinished=[draft for draft in unfinished if words in draft.title.lower()],
        page=number,
        last=last,
    )


@blueprint.get("/experiments")
@page()
def old_listing() -> ResponseReturnValue:
    """The list under the address that an experiment's own suggests."""
    return redirect(url_for("experiments.listing", storefront=here().key))


@blueprint.get("/experiments/<key>")
@page()
def detail(key: str) -> ResponseReturnValue:
    """What it is, what it shows, what can be done with it, and what was done."""
    at = now()
    with reading(the_lab().engine) as conn:
        found = get_experiment(conn, here().id, key)
        trail = read_audit(conn, here().id, f"experiment:{key}")
        told = alerts(conn, here().id, key)
        counts = units_of(conn, [found.id]).get(found.id, {})
        slots = {p.key: p for p in placements(conn, here().id)}
        others = [e for e in known_experiments(conn) if e.key != key]
        kept = draft_of(conn, here().id, key)
        has_snapshot = has_decision(conn, found.id)
        review = review_state(conn, here().review, found)
    view = the_view()
    definition = found.definition
    can = possible(found.state)
    return render_template(
        "experiment.html",
        experiment=found,
        definition=definition,
        previews=previews(definition, view.catalogue, view.resolver, at),
        placement=slots.get(definition.placement),
        targeting=in_words(definition.targeting),
        targeting_json=msgspec.json.format(msgspec.json.encode(definition.targeting), indent=2).decode(),
        counts=counts,
        can=can,
        actions=[action for action in OFFERED if action in can],
        trail=_timeline(trail, told),
        alert_words=ALERTS,
        neighbours=neighbours(found, others),
        draft=kept,
        has_snapshot=has_snapshot,
        review=review,
        review_standing=STANDINGS[review.standing],
        links=preview_links(found, at) if current_user.may("editor") else [],
        call=example_call(definition),
        address=url_for("signing_in.home", _external=True).rstrip("/"),
    )


def known_experiments(conn: Connection) -> list[Experiment]:
    """Every experiment of the storefront, newest first; only definitions that changed are read again."""
    return experiments(conn, here().id, {e.id: e for e in the_view().experiments.values()})


def _searched(experiment: Experiment) -> str:
    definition = experiment.definition
    words = (experiment.key, definition.name, definition.placement, definition.about.owner, *definition.about.tags)
    return " ".join(words).lower()


def _timeline(trail: list[AuditEntry], told: list[Alert]) -> list[tuple[AuditEntry | Alert, list[Difference]]]:
    """What people did and what the watch told, newest first."""
    lines: list[tuple[Micros, AuditEntry | Alert, list[Difference]]]
    lines = [(alert.raised_at, alert, []) for alert in told]
    lines += [(entry.at, entry, _changes(entry)) for entry in trail]
    return [(line, changes) for _, line, changes in sorted(lines, key=lambda one: one[0], reverse=True)]


def _changes(entry: AuditEntry) -> list[Difference]:
    """What a version changed; nothing for a first version, whose every value would be new."""
    if entry.action not in {"edit", "amend", "ramp"}:
        return []
    return differences(entry.before, entry.after)


def the_view() -> StorefrontView:
    """This storefront as assignment sees it now; one that was just added is asked for."""
    snapshots = the_lab().snapshots
    found = snapshots.current(now()).storefronts.get(here().id)
    return found if found is not None else snapshots.refresh(now()).storefronts[here().id]


def neighbours(experiment: Experiment, others: list[Experiment]) -> list[Experiment]:
    """Live experiments and shipped winners of the same placement that are asked before this one."""
    if experiment.follows is not None:  # a holdback is asked first, with the winner right behind it
        return []
    same = [e for e in others if e.definition.placement == experiment.definition.placement]
    winners = [e for e in same if e.winner is not None]
    older = [e for e in same if e.state in SHELVES["live"] and e.id < experiment.id]
    return [*winners, *sorted(older, key=lambda e: e.id)]


def example_call(definition: Definition) -> str:
    """The body of the call that a storefront makes for this placement."""
    body: dict[str, object] = {"visitor_id": "visitor-1", "placement": definition.placement}
    if definition.unit == "customer":
        body["customer_id"] = "customer-1"
    body["context"] = {"cart": [{"product_id": "YOUR-PRODUCT", "quantity": 1}]}
    if definition.targeting:
        body["attributes"] = dict.fromkeys(
            (key for key in sorted(definition.targeting) if not key.startswith("$")), "…"
        )
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
