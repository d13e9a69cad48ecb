"""An experiment's report: its events read from the store, then the same pure analysis as any file's."""

from dataclasses import replace

from sqlalchemy import Connection

from analysis import balance, queries
from analysis.analysis_plan import AnalysisPlan, Role
from analysis.checks import Check
from analysis.decision import Verdict
from analysis.moments import Moments
from analysis.queries import pairs
from analysis.reading import analyze_sample
from analysis.report import Report
from analysis.sample import Population, Sample
from experiments.definition import Definition
from experiments.lifecycle import MEASURING
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import DAY, Micros, iso
from experiments.money import exponent
from experiments.share import parse_share
from experiments.storage.ineligibles import count_ineligible
from experiments.storage.registry import Experiment
from experiments.storage.storefronts import Storefront

HEADLINE = ("conversion", "orders_per_visitor", "revenue_per_visitor", "aov")
"""Metrics that every report shows, whatever the plan names."""
NEEDS_COST = frozenset({"contribution"})
NEEDS_REVENUE = frozenset({"revenue", "contribution", "net_revenue"})


def experiment_report(conn: Connection, storefront: Storefront, experiment: Experiment, as_of: Micros) -> Report:
    """The report on everything that happened until `as_of`."""
    definition = experiment.definition
    metrics = planned_metrics(definition)
    scope = queries.Scope(
        storefront_id=storefront.id,
        experiment_id=experiment.id,
        experiment=experiment.key,
        unit=definition.unit,
        window=definition.analysis.window_days * DAY,
        until=as_of,
        money_places=exponent(storefront.currency),
    )
    counts = queries.count(conn, scope, [variant.key for variant in definition.variants])
    columns = sorted({"converted"} | {column for metric in metrics for column in metric.columns})
    cells, maturity = queries.cells_and_maturity(conn, scope, columns, counts)
    sample = Sample(
        units=counts.units,
        populations={metric.key: _population(metric, cells, definition) for metric in metrics},
        checks=(*_checks(metrics, counts, cells), *_eligibility(conn, experiment, counts, as_of)),
    )
    report = analyze_sample(sample, analysis_plan(experiment, metrics, as_of))
    dates = {
        "currency": storefront.currency,
        "data_from": None if counts.first_at is None else iso(counts.first_at),
        "last_exposure": None if counts.last_at is None else iso(counts.last_at),
        "maturity": maturity.to_dict(),
    }
    verdict = _in_time(report.verdict, experiment, counts.first_at, as_of)
    return replace(report, verdict=verdict, extra={**report.extra, **dates})


def planned_metrics(definition: Definition) -> tuple[Metric, ...]:
    """The plan's metrics, primary first, then the headline ones that it does not name."""
    plan = definition.metrics
    keys = [plan.primary, *plan.secondary, *(g.metric for g in plan.guardrails), *HEADLINE]
    return tuple(BUILT_IN[key] for key in dict.fromkeys(keys))


def analysis_plan(experiment: Experiment, metrics: tuple[Metric, ...], as_of: Micros) -> AnalysisPlan:
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
        sequential=definition.analysis.sequential,
        correction=definition.analysis.correction,
        complete=experiment.state in {"stopped", "decided", "archived"},
        experiment=experiment.key,
        as_of=iso(as_of),
    )


def _in_time(verdict: Verdict, experiment: Experiment, first_at: Micros | None, as_of: Micros) -> Verdict:
    """The verdict, or none yet: before the minimum run time only a failed check is said."""
    least = experiment.definition.analysis.minimum_days
    if verdict.decision == "fix_first" or experiment.state not in MEASURING or first_at is None:
        return verdict
    days = (as_of - first_at) / DAY
    if days >= least:
        return verdict
    because = f"{days:.1f} of at least {least} days have passed: weekdays and weekends must both be in"
    return replace(verdict, decision="keep_running", variant=None, because=(because,))


def _population(metric: Metric, cells: dict[queries.Cell, Moments], definition: Definition) -> Population:
    """The units whose orders are known well enough for this metric, by variant, control first.

    A unit with an order of unknown amount is left out of the metrics of money. A unit with an order of unknown cost
    cannot be left out of contribution: buyers alone have costs, and without them profit would be a number about those
    who did not buy.
    """
    columns = set(metric.columns)
    found: dict[str, Moments] = {}
    buyers = unknown = 0
    for (variant, revenue_known, cost_known), moments in cells.items():
        if columns & NEEDS_COST:
            ordering = int(moments.n if not cost_known else moments.restrict(["converted"]).total[0])
            buyers, unknown = buyers + ordering, unknown + (0 if cost_known else int(moments.n))
        if columns & NEEDS_REVENUE and not revenue_known:
            continue
        found[variant] = found[variant] + moments if variant in found else moments
    names = next(iter(cells.values())).names if cells else metric.columns
    nothing = Moments.from_aggregates(0, dict.fromkeys(names, 0), dict.fromkeys(pairs(names), 0))
    order = [definition.control.key, *(v.key for v in definition.variants if v.key != definition.control.key)]
    refused = None
    if unknown:
        refused = f"the cost of an order is not known for {unknown:,} of {buyers:,} buyers; a missing cost is not zero"
    return Population({v: found.get(v, nothing) for v in order}, refused=refused)


def _eligibility(conn: Connection, experiment: Experiment, counts: queries.Counts, as_of: Micros) -> list[Check]:
    """Whether variants differ in who was let in, where anybody was not."""
    refused = count_ineligible(conn, experiment.id, as_of)
    if not refused:
        return []
    asked = dict(counts.units)
    reasons: dict[str, int] = {}
    for (variant, reason), units in refused.items():
        if variant in asked:
            asked[variant] += units
            reasons[reason] = reasons.get(reason, 0) + units
    found = balance.eligibility(counts.units, asked)
    why = ", ".join(f"{reason} {units:,}" for reason, units in sorted(reasons.items(), key=lambda r: -r[1]))
    return [replace(found, detail=f"{found.detail}; units refused: {why}")]


def _checks(metrics: tuple[Metric, ...], counts: queries.Counts, cells: dict[queries.Cell, Moments]) -> list[Check]:
    units = counts.units
    found = [balance.crossovers(counts.crossovers, units)]
    if any(NEEDS_REVENUE & set(metric.columns) for metric in metrics):
        missing = dict.fromkeys(units, 0)
        for (variant, revenue_known, _), moments in cells.items():
            missing[variant] = missing.get(variant, 0) + (0 if revenue_known else int(moments.n))
        found.append(balance.missing_data(missing, units, "revenue"))
    if counts.strays:
        detail = f"{counts.strays:,} units were exposed to variants that the definition does not have"
        found.append(Check("variants", "fail", None, None, detail))
    return found
