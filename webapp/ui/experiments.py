"""The list of experiments, and an experiment's own page."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from experiments.definition import Definition
from experiments.lifecycle import State, allowed
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading
from experiments.storage.registry import Experiment, experiments, get_experiment, read_audit
from experiments.storage.storefronts import placements
from experiments.storage.tallies import unit_counts
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.person import here, page
from webapp.ui.previews import previews
from webapp.ui.targeting_rows import in_words

blueprint = Blueprint("experiments", __name__, url_prefix="/s/<storefront>")

SHELVES: Mapping[str, tuple[State, ...]] = {
    "live": ("running", "closed", "paused", "scheduled"),
    "drafts": ("draft",),
    "ended": ("stopped", "decided"),
    "archived": ("archived",),
}
"""How the list is divided; without a choice everything but the archive is shown."""

# What can be done, in the order in which it is offered; editing has its own link.
OFFERED = ("start", "resume", "reopen", "pause", "close", "stop", "decide", "unschedule", "archive")


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
    with reading(the_lab().engine) as conn:
        known = experiments(conn, here().id)
        counts = unit_counts(conn, here().id)
        slots = {p.key: p for p in placements(conn, here().id)}
    shelf, words = request.args.get("shelf", ""), request.args.get("q", "").strip().lower()
    wanted = SHELVES.get(shelf) or tuple(s for name, states in SHELVES.items() if name != "archived" for s in states)
    lines = [
        Line(e, units := sum(counts.get(e.id, {}).values()), units > 0)
        for e in known
        if e.state in wanted and words in f"{e.key} {e.definition.name} {e.definition.placement}".lower()
    ]
    sizes = {name: sum(e.state in states for e in known) for name, states in SHELVES.items()}
    return render_template(
        "experiments.html", lines=lines, shelf=shelf, sizes=sizes, any=bool(known), q=words, placements=slots
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
    lab = the_lab()
    with reading(lab.engine) as conn:
        found = get_experiment(conn, here().id, key)
        trail = read_audit(conn, here().id, f"experiment:{key}")
        counts = unit_counts(conn, here().id).get(found.id, {})
        slots = {p.key: p for p in placements(conn, here().id)}
        others = [e for e in experiments(conn, here().id) if e.key != key]
    view = the_view()
    definition = found.definition
    can = allowed(found.state)
    return render_template(
        "experiment.html",
        experiment=found,
        definition=definition,
        previews=previews(definition, view.catalogue, view.resolver, now()),
        placement=slots.get(definition.placement),
        targeting=in_words(definition.targeting),
        targeting_json=msgspec.json.format(msgspec.json.encode(definition.targeting), indent=2).decode(),
        counts=counts,
        can=can,
        actions=[action for action in OFFERED if action in can],
        trail=trail,
        neighbours=neighbours(found, others),
        call=example_call(definition),
        address=url_for("signing_in.home", _external=True).rstrip("/"),
    )


def the_view() -> StorefrontView:
    """This storefront as assignment sees it now."""
    return the_lab().snapshots.current(now()).storefronts[here().id]


def neighbours(experiment: Experiment, others: list[Experiment]) -> list[Experiment]:
    """Live experiments and shipped winners of the same placement that are asked before this one."""
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
