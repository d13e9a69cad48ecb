"""Where a guardrail stands: the one reading that the page shows, the watch warns by and nobody contradicts."""

from typing import Literal

from analysis.analysis_plan import AnalysisPlan
from analysis.findings import findings
from analysis.report import Comparison, MetricResult

Zone = Literal["safe", "unproven", "breached"]


def zone(result: MetricResult, c: Comparison) -> Zone | None:
    """Safe within its margin, not yet proven, or shown to be worse than the margin allows; None without a margin.

    A breach is read from the always-valid interval of the lift where the plan has one, else from the one at its end.
    """
    guard = c.non_inferiority
    if guard is None:
        return None
    if c.sequential is None:
        low, high = c.lift.low, c.lift.high
    else:
        low, high = (None, None) if c.sequential.lift is None else (c.sequential.lift.low, c.sequential.lift.high)
    near = high if result.direction == "increase" else low
    harm = None if near is None else -near if result.direction == "increase" else near
    if harm is not None and harm > guard.margin:
        return "breached"
    return "safe" if guard.holds else "unproven"


def breaches(result: MetricResult, plan: AnalysisPlan) -> list[Comparison]:
    """The variants in which a guardrail is breached by a reading that may be looked at at any time.

    Beyond its margin; or, where it has none, worse than control by the test that the verdict reads.
    """
    if plan.role(result.metric) != "guardrail":
        return []
    worse = {f.variant for f in findings(result, plan) if f.movement == "worse"}
    return [
        c for c in result.comparisons
        if c.sequential is not None and c.band is None
        and (zone(result, c) == "breached" or (c.non_inferiority is None and c.variant in worse))
    ]  # fmt: skip
