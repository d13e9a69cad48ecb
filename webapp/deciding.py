"""Deciding: the report as it was is kept beside the decision, so that nobody has to remember what it was made by."""

from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection

from analysis.experiment import experiment_report
from experiments.errors import NotEstimable
from experiments.moment import Micros, iso
from experiments.service import defining
from experiments.storage.decisions import DecisionSnapshot, keep_decision
from experiments.storage.registry import Experiment, get_experiment
from experiments.storage.storefronts import Storefront


def decide(
    conn: Connection, storefront: Storefront, key: str, variant: str | None, reason: str, actor: str, now: Micros
) -> Experiment:
    """Ship a variant to everyone, or none, and keep the report that it was decided by."""
    before = get_experiment(conn, storefront.id, key)
    decided = defining.decide(conn, storefront, key, variant, reason, actor, now)
    keep_snapshot(conn, storefront, before, now)
    return decided


def keep_snapshot(conn: Connection, storefront: Storefront, experiment: Experiment, at: Micros) -> None:
    """Keep the report as it was at that time, for good."""
    try:
        report = experiment_report(conn, storefront, experiment, at).to_dict()
    except NotEstimable as refusal:  # nobody ever entered: the case can be closed all the same
        report = {"reason": refusal.message}
    made = DecisionSnapshot(at, at, experiment.definition.fingerprint, version("offerlab"), report)
    keep_decision(conn, experiment.id, made)


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
