"""An experiment's report: its events read from the store, then the same pure analysis as any file's."""

from dataclasses import replace

from sqlalchemy import Connection

from analysis import balance, queries
from analysis.analysis_plan import AnalysisPlan, Role
from analysis.checks import Check
from analysis.moments import Moments
from analysis.queries import pairs
from analysis.reading import analyze_sample
from analysis.report import Report
from analysis.sample import Population, Sample
from experiments.definition import Definition
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import DAY, Micros, iso
from experiments.money import exponent
from experiments.share import parse_share
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
    columns = sorted({column for metric in metrics for column in metric.columns})
    cells = queries.cells(conn, scope, columns, counts)
    sample = Sample(
        units=counts.units,
        populations={metric.key: Population(_population(metric, cells, definition)) for metric in metrics},
        checks=tuple(_checks(metrics, counts, cells)),
    )
    report = analyze_sample(sample, analysis_plan(experiment, metrics, as_of))
    dates = {
        "currency": storefront.currency,
        "data_from": None if counts.first_at is None else iso(counts.first_at),
        "last_exposure": None if counts.last_at is None else iso(counts.last_at),
    }
    return replace(report, extra={**report.extra, **dates})


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


def _population(metric: Metric, cells: dict[queries.Cell, Moments], definition: Definition) -> dict[str, Moments]:
    """The Moments of the units whose orders are known well enough for this metric, by variant, control first."""
    columns = set(metric.columns)
    found: dict[str, Moments] = {}
    for (variant, revenue_known, cost_known), moments in cells.items():
        if (columns & NEEDS_REVENUE and not revenue_known) or (columns & NEEDS_COST and not cost_known):
            continue
        found[variant] = found[variant] + moments if variant in found else moments
    nothing = Moments.from_aggregates(0, dict.fromkeys(metric.columns, 0), dict.fromkeys(pairs(metric.columns), 0))
    order = [definition.control.key, *(v.key for v in definition.variants if v.key != definition.control.key)]
    return {variant: found.get(variant, nothing).restrict(metric.columns) for variant in order}


def _checks(metrics: tuple[Metric, ...], counts: queries.Counts, cells: dict[queries.Cell, Moments]) -> list[Check]:
    units = counts.units
    found = [balance.crossovers(counts.crossovers, units)]
    for name, needed, place in (("revenue", NEEDS_REVENUE, 1), ("cost", NEEDS_COST, 2)):
        if any(needed & set(metric.columns) for metric in metrics):
            missing = dict.fromkeys(units, 0)
            for cell, moments in cells.items():
                missing[cell[0]] = missing.get(cell[0], 0) + (0 if cell[place] else int(moments.n))
            found.append(balance.missing_data(missing, units, name))
    if counts.strays:
        detail = f"{counts.strays:,} units were exposed to variants that the definition does not have"
        found.append(Check("variants", "fail", None, None, detail))
    return found
