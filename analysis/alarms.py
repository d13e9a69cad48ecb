"""What a report and the arrivals by day say that somebody should be told: pure, and safe to ask every few minutes."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.analysis_plan import AnalysisPlan
from analysis.checks import ALARM, MATTERS
from analysis.guardrails import breaches
from analysis.ledger import Ints
from analysis.report import MetricResult, Report
from analysis.sequential_srm import mixed_srm
from analysis.tables import ranged, signed_percent
from experiments.alerts import Condition, unmatched
from experiments.wording import Listed, Term, figure, worded

ORDERS = "orders_per_visitor"
"""The metric of every experiment's report whose numerator counts orders."""


def alarms(report: Report, plan: AnalysisPlan, entered: Ints) -> list[Condition]:
    """Every condition that holds; `entered` are new units (days, variants), in the report's order of variants."""
    variants = [variant for variant, _, _ in report.variants]
    found = [mismatch(variants, plan.weights or {}, entered), _unmatched(report), *_breached(report, plan)]
    return [condition for condition in [*found, _reached(report, plan)] if condition is not None]


def mismatch(variants: Sequence[str], weights: Mapping[str, float], entered: Ints) -> Condition | None:
    """Sample ratio mismatch by the sequential test, day by day; of a size that matters, as in the check of a report."""
    units = entered.sum(axis=0)
    if not units.sum():
        return None
    batches = [dict(zip(variants, map(int, day), strict=True)) for day in entered if day.sum()]
    found = mixed_srm(batches, dict(weights))
    total, whole = float(units.sum()), sum(weights.values())
    off = max(abs(n / total - weights.get(v, 0.0) / whole) for v, n in zip(variants, units, strict=True))
    if found.p_value is None or found.p_value >= ALARM or off < MATTERS:
        return None
    shares = Listed([
        worded(
            "%(variant)s %(share)s (planned %(planned)s)",
            variant=v, share=figure(f"{n / total:.2%}"), planned=figure(f"{weights.get(v, 0.0) / whole:.2%}"),
        )
        for v, n in zip(variants, units, strict=True)
    ])  # fmt: skip
    p_value = figure(f"{found.p_value:.2g}")
    said = worded("%(shares)s; always-valid p = %(p)s.", shares=shares, p=p_value)
    return Condition("sample_ratio_mismatch", detail=said)


def _unmatched(report: Report) -> Condition | None:
    orders = next((r for r in report.metrics if r.metric == ORDERS), None)
    if orders is None or report.progress is None:
        return None
    return unmatched(
        sum(v.units for v in orders.variants), sum(v.numerator or 0.0 for v in orders.variants), report.progress.days
    )


def _breached(report: Report, plan: AnalysisPlan) -> Iterator[Condition]:
    for result in report.metrics:
        for c in breaches(result, plan):
            yield Condition("guardrail_breached", f"{result.metric}/{c.variant}", _harm(result, plan, c.variant))


def _harm(result: MetricResult, plan: AnalysisPlan, variant: str) -> str:
    lift = result.comparison(variant).sequential
    low, high = (lift.lift.low, lift.lift.high) if lift is not None and lift.lift is not None else (None, None)
    margin = plan.margins.get(result.metric, 0.0)
    known = low is not None and high is not None
    return worded(
        "%(variant)s on %(metric)s: %(change)s at any time; %(margin)s was allowed.",
        variant=variant, metric=result.metric, margin=figure(f"{margin * 100:g}%"),
        change=ranged(signed_percent(low), signed_percent(high)) if known else Term("movement", "worse"),
    )  # fmt: skip


def _reached(report: Report, plan: AnalysisPlan) -> Condition | None:
    """The rule has decided by a reading that may be looked at early, or the planned precision is there."""
    verdict, progress = report.verdict, report.progress
    if verdict.decision == "fix_first" or progress is None or progress.days < progress.minimum_days:
        return None
    if plan.monitored and verdict.decision != "keep_running":
        said = (
            worded("The rule that was fixed before the start says: ship %(variant)s.", variant=verdict.variant)
            if verdict.variant
            else worded("The rule that was fixed before the start says: do not ship.")
        )
        return Condition("target_reached", detail=said)
    if progress.precision is not None and progress.precision >= 1:
        units = figure(f"{progress.units:,}")
        said = worded("%(units)s visitors are in: as many as were planned for.", units=units)
        return Condition("target_reached", detail=said)
    return None
