"""What a report and the arrivals by day say that somebody should be told: pure, and safe to ask every few minutes."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.analysis_plan import AnalysisPlan
from analysis.checks import ALARM, MATTERS
from analysis.guardrails import breaches
from analysis.ledger import Ints
from analysis.report import MetricResult, Report
from analysis.sequential_srm import mixed_srm
from analysis.tables import signed_percent
from experiments.alerts import Condition, unmatched

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
    shares = ", ".join(
        f"{v} {n / total:.2%} (planned {weights.get(v, 0.0) / whole:.2%})"
        for v, n in zip(variants, units, strict=True)
    )  # fmt: skip
    return Condition("sample_ratio_mismatch", detail=f"{shares}; always-valid p = {found.p_value:.2g}.")


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
    said = f"{signed_percent(low)} to {signed_percent(high)}" if low is not None and high is not None else "worse"
    return f"{variant} on {result.metric}: {said} at any time; {margin * 100:g}% was allowed."


def _reached(report: Report, plan: AnalysisPlan) -> Condition | None:
    """The rule has decided by a reading that may be looked at early, or the planned precision is there."""
    verdict, progress = report.verdict, report.progress
    if verdict.decision == "fix_first" or progress is None or progress.days < progress.minimum_days:
        return None
    if plan.monitored and verdict.decision != "keep_running":
        what = f"ship {verdict.variant}" if verdict.variant else "do not ship"
        return Condition("target_reached", detail=f"The rule that was fixed before the start says: {what}.")
    if progress.precision is not None and progress.precision >= 1:
        return Condition("target_reached", detail=f"{progress.units:,} visitors are in: as many as were planned for.")
    return None
