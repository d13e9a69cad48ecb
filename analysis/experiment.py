"""An experiment's report: its events read once from the store, then the same pure analysis as any file's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy import Connection

from analysis import queries
from analysis.analysis_plan import AnalysisPlan, Role
from analysis.compose import Facts, compose
from analysis.effect import Effect
from analysis.everybody_read import read_all_visitors
from analysis.journal import read_ledger, return_days
from analysis.lasted import Shipped
from analysis.ledger import Ledger
from analysis.ledger_sample import sample_of
from analysis.monitoring import units_by_the_end
from analysis.neighbours_read import read_neighbours
from analysis.parts import Entry, Method
from analysis.price_changes import price_changes
from analysis.reading import analyze_sample
from analysis.report import Report
from analysis.traits_read import read_traits
from experiments.alerts import ACTOR, SAID
from experiments.definition import WHOLE, Definition
from experiments.errors import NotFound
from experiments.metrics import Metric
from experiments.moment import DAY, Micros, day_number, iso, micros
from experiments.money import exponent
from experiments.saved_metrics import event_names, own_metrics
from experiments.share import parse_share
from experiments.storage.alerts import alerts
from experiments.storage.decisions import read_decision
from experiments.storage.registry import Experiment, experiments, get_experiment, read_audit
from experiments.storage.storefronts import Storefront

HEADLINE = ("conversion", "orders_per_visitor", "revenue_per_visitor", "aov", "contribution_per_visitor")
"""Metrics that every report shows, whatever the plan names."""


def experiment_report(
    conn: Connection, storefront: Storefront, experiment: Experiment, as_of: Micros, only: str | None = None,
    metrics: Sequence[Metric] | None = None,
) -> Report:  # fmt: skip
    """The report on everything that happened until `as_of`; `only` (`segment:level`) looks at one level of a segment.

    `metrics` are those to read, the plan's and the headline ones unless said otherwise.
    """
    scope = scope_of(storefront, experiment, as_of)
    definition = experiment.definition
    order = [definition.control.key, *(v.key for v in definition.variants if v.key != definition.control.key)]
    counts = queries.count(conn, scope, order)
    ledger = read_ledger(conn, scope, counts, day_number(as_of, storefront.zone))
    facts = facts_of(conn, storefront, experiment, scope, counts, ledger, metrics)
    found = compose(ledger, facts, only)
    if only:
        return found
    since = as_of if counts.first_at is None else counts.first_at
    changes = price_changes(conn, storefront.id, storefront.currency, definition, since, as_of)
    everybody = read_all_visitors(conn, scope, order, facts.plan)
    return replace(found, all_visitors=everybody, price_changes=changes)


def plain_report(conn: Connection, storefront: Storefront, experiment: Experiment, as_of: Micros) -> Report:
    """The plan's metrics and the checks on them alone, as a forecast needs them: no other experiment is looked at."""
    scope = scope_of(storefront, experiment, as_of)
    definition = experiment.definition
    plan = analysis_plan(experiment, planned_metrics(definition), as_of, storefront.currency)
    order = [definition.control.key, *(v.key for v in definition.variants if v.key != definition.control.key)]
    counts = queries.count(conn, scope, order)
    ledger = read_ledger(conn, scope, counts, day_number(as_of, storefront.zone))
    return analyze_sample(sample_of(ledger, plan.metrics), plan)


def scope_of(storefront: Storefront, experiment: Experiment, as_of: Micros) -> queries.Scope:
    """Which events belong to the report."""
    return queries.Scope(
        storefront_id=storefront.id,
        experiment_id=experiment.id,
        experiment=experiment.key,
        unit=experiment.definition.unit,
        window=experiment.definition.analysis.window_days * DAY,
        until=as_of,
        money_places=exponent(storefront.currency),
        names=event_names(own_metrics(experiment.definition.saved_metrics).values()),
    )


def facts_of(
    conn: Connection, storefront: Storefront, experiment: Experiment, scope: queries.Scope, counts: queries.Counts,
    ledger: Ledger, metrics: Sequence[Metric] | None = None, *, alone: bool = False,
) -> Facts:  # fmt: skip
    """What the report needs to know of the experiment besides its events; `alone` leaves other experiments out."""
    definition, as_of = experiment.definition, scope.until
    planned, end = definition.analysis.target_mde, definition.schedule.end_at
    reach = _reach(definition, as_of)
    shares = {v.key: v.weight / WHOLE * reach for v in definition.variants}
    plan = analysis_plan(experiment, tuple(metrics or planned_metrics(definition)), as_of, storefront.currency)
    return Facts(
        plan=_tuned(plan, definition, counts),
        method=_method(experiment), state=experiment.state, currency=storefront.currency, as_of=as_of,
        offers={v.key: v.offer for v in definition.variants}, first_at=counts.first_at, last_at=counts.last_at,
        minimum_days=definition.analysis.minimum_days, return_days=return_days(conn, scope),
        target=None if planned is None else float(parse_share(planned, "target_mde")),
        planned_end=None if end is None else iso(micros(end)), reach=reach, shares=shares,
        crossovers=counts.crossovers, strays=counts.strays,
        neighbours=() if alone else read_neighbours(conn, scope, ledger, experiments(conn, storefront.id)),
        timeline=_timeline(conn, storefront, experiment, as_of),
        shipped=None if experiment.follows is None else _shipped(conn, storefront, experiment, experiment.follows),
        traits=() if alone else read_traits(conn, scope, counts, ledger, definition.analysis.segments),
    )  # fmt: skip


def _shipped(conn: Connection, storefront: Storefront, holdback: Experiment, follows: str) -> Shipped:
    """What a holdback follows, by the report that it was decided by; without lifts where none was kept."""
    decided = get_experiment(conn, storefront.id, follows)
    variant = str((decided.decision or {}).get("variant"))
    day = day_number(holdback.started_at or holdback.created_at, storefront.zone)
    try:
        metrics = read_decision(conn, decided.id).report.get("metrics", ())
    except NotFound:
        return Shipped(variant, day)
    lifts = {
        metric["metric"]: Effect(c["lift"]["estimate"], c["lift"]["low"], c["lift"]["high"])
        for metric in metrics
        for c in metric["comparisons"]
        if c["variant"] == variant
    }
    return Shipped(variant, day, lifts)


def planned_metrics(definition: Definition) -> tuple[Metric, ...]:
    """The plan's metrics, primary first, then the headline ones that it does not name."""
    plan = definition.metrics
    keys = [plan.primary, *plan.secondary, *(g.metric for g in plan.guardrails), *HEADLINE]
    keys += [definition.rule.metric] if definition.rule.metric else []
    known = definition.known_metrics
    return tuple(known[key] for key in dict.fromkeys(keys))


def analysis_plan(experiment: Experiment, metrics: tuple[Metric, ...], as_of: Micros, currency: str) -> AnalysisPlan:
    """How this experiment said that it would be read."""
    definition = experiment.definition
    plan = definition.metrics
    roles: dict[str, Role] = {plan.primary: "primary"}
    roles |= dict.fromkeys(plan.secondary, "secondary")
    roles |= {guardrail.metric: "guardrail" for guardrail in plan.guardrails}
    margins = {g.metric: float(parse_share(g.margin, "margin")) for g in plan.guardrails}
    return AnalysisPlan(
        metrics=metrics,
        control=definition.control.key,
        roles=roles,
        margins={metric: margin for metric, margin in margins.items() if 0 < margin < 1},
        weights={variant.key: float(variant.weight) for variant in definition.variants},
        confidence=definition.analysis.confidence,
        sequential=definition.analysis.method,
        planned_units=definition.analysis.planned_units,
        target_lift=_target_lift(definition),
        looks=looks if isinstance(looks := definition.analysis.looks, int) else tuple(looks),
        spending=definition.analysis.spending,
        correction=definition.analysis.correction,
        rule=definition.rule,
        minimum_days=definition.analysis.minimum_days,
        segments=tuple(definition.analysis.segments),
        complete=experiment.state in {"stopped", "decided", "archived"},
        experiment=experiment.key,
        as_of=iso(as_of),
        currency=currency,
    )


def _tuned(plan: AnalysisPlan, definition: Definition, counts: queries.Counts) -> AnalysisPlan:
    """The plan, tuned to the units that will have arrived by its end where nobody said how many or what lift."""
    said = plan.planned_units is not None or plan.target_lift is not None
    if said or counts.first_at is None or counts.last_at is None:
        return plan
    end = definition.schedule.end_at
    least = max(definition.analysis.minimum_days, 7)  # weekdays and weekends
    days = least if end is None else max((micros(end) - counts.first_at) / DAY, least)
    pair = 2 * sum(counts.units.values()) / max(len(counts.units), 2)
    return replace(plan, planned_units=units_by_the_end(pair, (counts.last_at - counts.first_at) / DAY, days))


def _target_lift(definition: Definition) -> float | None:
    """The lift that the experiment is to find, which also tells when it will have been planned to end."""
    target = definition.analysis.target_mde
    return None if target is None else float(parse_share(target, "target_mde"))


def _reach(definition: Definition, as_of: Micros) -> float:
    """The share of all eligible units that may enter now: coverage as it has grown, and the layer's part."""
    coverage = definition.coverage
    for step in definition.schedule.ramp:
        if micros(step.at) <= as_of:
            coverage = step.coverage
    layer = 1.0 if definition.layer is None else (definition.layer.end - definition.layer.start) / WHOLE
    return coverage / WHOLE * layer


def _method(experiment: Experiment) -> Method:
    definition = experiment.definition
    try:
        code = version("offerlab")
    except PackageNotFoundError:
        code = "unknown"
    return Method(
        definition.unit, definition.analysis.window_days, definition.analysis.confidence,
        definition.analysis.sequential, definition.analysis.correction, None, (), experiment.version,
        definition.fingerprint, experiment.seed, code,
    )  # fmt: skip


def _timeline(conn: Connection, storefront: Storefront, experiment: Experiment, as_of: Micros) -> tuple[Entry, ...]:
    """What was done to it until then, and what its schedule did, oldest first."""
    entries = [
        (e.at, Entry(iso(e.at), e.actor, e.action, _detail(e.before, e.after)))
        for e in read_audit(conn, storefront.id, f"experiment:{experiment.key}")
        if e.at <= as_of
    ]
    entries += [
        (at, Entry(iso(at), "schedule", "ramp", f"coverage {step.coverage / 100:g}%"))
        for step in experiment.definition.schedule.ramp
        if (at := micros(step.at)) <= as_of
    ]
    entries += [
        (a.raised_at, Entry(iso(a.raised_at), ACTOR, "alert", f"{SAID[a.kind]} {a.detail}".strip()))
        for a in alerts(conn, storefront.id, experiment.key)
        if a.raised_at <= as_of
    ]
    return tuple(entry for _, entry in sorted(entries, key=lambda e: e[0]))


def _detail(before: object, after: object) -> str:
    """What changed, by the names of the fields; the reason where one was given."""
    old: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    new: Mapping[str, Any] = after if isinstance(after, Mapping) else {}
    decision = new.get("decision")
    if isinstance(decision, Mapping) and decision.get("reason"):
        return str(decision["reason"])
    if new.get("reason"):
        return str(new["reason"])
    if "state" in new and old.get("state") != new["state"]:
        return f"{old.get('state') or 'nothing'} to {new['state']}"
    changed = sorted(key for key in new if old and old.get(key) != new[key])
    return ", ".join(changed)
