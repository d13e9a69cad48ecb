"""Deciding: the report as it was is kept beside the decision, so that nobody has to remember what it was made by."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection, Engine

from analysis.experiment import experiment_report
from analysis.gist import gist_of, named_products
from experiments.errors import FieldError, Invalid, NotEstimable
from experiments.lifecycle import after
from experiments.moment import Micros, iso
from experiments.service import defining, holding
from experiments.storage.database import reading
from experiments.storage.decisions import DecisionSnapshot, keep_decision, keep_gist, read_decision, without_gist
from experiments.storage.products import read_products
from experiments.storage.registry import Experiment, get_experiment
from experiments.storage.storefronts import Storefront, all_storefronts, placements

LONGEST = 4000
"""Characters of what was learnt."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What stays of an experiment beside its decision: what was learnt by it, and which test should be next."""

    learning: str = ""
    next_test: str = ""

    def __post_init__(self) -> None:
        long = [name for name in ("learning", "next_test") if len(getattr(self, name)) > LONGEST]
        if long:
            raise Invalid([FieldError(name, f"has more than {LONGEST} characters") for name in long])

    def as_json(self) -> dict[str, str]:
        """What was said of the two, as it is kept with the decision."""
        said = {"learning": self.learning.strip(), "next_test": self.next_test.strip()}
        return {name: text for name, text in said.items() if text}


def snapshot(engine: Engine, storefront: Storefront, key: str, now: Micros) -> DecisionSnapshot:
    """The report to decide by; Conflict where there is nothing to decide.

    It is read before the decision is written, so that events never wait for a report.
    """
    with reading(engine) as conn:
        experiment = get_experiment(conn, storefront.id, key)
        after(experiment.state, "decide")
        return snapshot_of(conn, storefront, experiment, now)


def snapshot_of(conn: Connection, storefront: Storefront, experiment: Experiment, at: Micros) -> DecisionSnapshot:
    """The report as it was at that time."""
    try:
        report = experiment_report(conn, storefront, experiment, at).to_dict()
    except NotEstimable as refusal:  # nobody ever entered: the case can be closed all the same
        report = {"reason": refusal.message}
    gist = _gist(conn, storefront, experiment, report)
    return DecisionSnapshot(at, at, experiment.definition.fingerprint, version("offerlab"), report, gist)


def _gist(conn: Connection, storefront: Storefront, experiment: Experiment, report: dict[str, Any]) -> dict[str, Any]:
    """What the library of learnings keeps of a report, by the catalogue and the placements of now."""
    definition = experiment.definition
    named = read_products(conn, storefront.id, named_products(definition, report))
    places = {p.key: p.touchpoint for p in placements(conn, storefront.id)}
    products = {p.product_id: p for p in named}
    return gist_of(definition, report, places.get(definition.placement), products, storefront.currency)


def keep_gists(conn: Connection) -> int:
    """Give the decisions that were kept before there were gists theirs; how many there were."""
    known = {storefront.id: storefront for storefront in all_storefronts(conn)}
    bare = without_gist(conn)
    for storefront_id, key in bare:
        experiment = get_experiment(conn, storefront_id, key)
        made = read_decision(conn, experiment.id)
        keep_gist(conn, experiment.id, _gist(conn, known[storefront_id], experiment, made.report))
    return len(bare)


def decide(
    conn: Connection, storefront: Storefront, key: str, variant: str | None, reason: str, actor: str,
    made: DecisionSnapshot, holdback: int | None = None, learned: Learned = Learned(),
) -> Experiment:  # fmt: skip
    """Ship a variant to everyone, or none, and keep the report that it was decided by.

    With a `holdback`, in hundredths of a percent, so many visitors go on seeing control, to measure whether it lasts.
    """
    if holdback is None:
        decided = defining.decide(conn, storefront, key, variant, reason, actor, made.decided_at, learned.as_json())
    elif variant is None:
        raise Invalid.at("holdback", "needs a variant to be shipped: there is nothing to hold back")
    else:
        decided = holding.ship(
            conn, storefront, key, variant, holdback, reason, actor, made.decided_at, learned.as_json()
        )
    keep_decision(conn, decided.id, made)
    return decided


def decision_json(experiment: Experiment, made: DecisionSnapshot) -> dict[str, Any]:
    """The decision with the report that it was made by, as the API writes it."""
    return {
        "experiment": experiment.key,
        "decision": experiment.decision,
        "decided_at": iso(made.decided_at),
        "data_until": iso(made.data_until),
        "fingerprint": made.fingerprint,
        "code_version": made.code_version,
        "report": made.report,
    }
