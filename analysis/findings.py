"""What a metric says of a variant, in a word and in a sentence."""

from analysis import multiplicity
from analysis.analysis_plan import AnalysisPlan
from analysis.decision import Finding, Movement
from analysis.report import Comparison, MetricResult
from analysis.tables import signed, signed_percent


def findings(result: MetricResult, plan: AnalysisPlan) -> list[Finding]:
    """One finding for each variant compared on the metric."""
    role = plan.deciding_role(result.metric)
    out = []
    for c, p in zip(result.comparisons, _deciding_p(result, plan), strict=True):
        movement = _movement(c, p, result.direction, plan)
        estimate = c.difference.estimate
        gain = None if estimate is None else (estimate if result.direction == "increase" else -estimate)
        guarded = c.non_inferiority.holds if c.non_inferiority else None
        out.append(Finding(result.metric, role, c.variant, movement, _sentence(result, c, p, movement), gain, guarded))
    return out


def _movement(c: Comparison, p: float | None, direction: str, plan: AnalysisPlan) -> Movement:
    if not c.estimable or c.difference.estimate is None or p is None:
        return "unknown"
    if p >= plan.alpha:
        return "flat"
    return "better" if (c.difference.estimate > 0) == (direction == "increase") else "worse"


def _deciding_p(result: MetricResult, plan: AnalysisPlan) -> tuple[float | None, ...]:
    """The p-value that decides on each variant: corrected over them whether it is read once or at any time."""
    if not plan.monitored:
        return tuple(c.deciding_p_value for c in result.comparisons)
    read = [c.sequential.p_value if c.sequential else None for c in result.comparisons]
    # always-valid p-values are p-values: Holm holds whatever their dependence
    alone = plan.correction == "none" or result.role == "guardrail"
    return multiplicity.adjust(read, "none" if alone else "holm")


def _sentence(result: MetricResult, c: Comparison, p: float | None, movement: Movement) -> str:
    where = f"{c.variant} on {result.metric}"
    if movement == "unknown" or c.difference.estimate is None:
        return f"{where}: not estimable, {c.reason}"
    if c.lift.estimate is not None and c.lift.low is not None and c.lift.high is not None:
        size = f"{signed_percent(c.lift.estimate)} ({signed_percent(c.lift.low)} to {signed_percent(c.lift.high)})"
    else:
        size = signed(c.difference.estimate)
    word = {"better": "better", "worse": "worse", "flat": "no change shown"}[movement]
    guard = ""
    if c.non_inferiority:
        kept = "stays" if c.non_inferiority.holds else "is not shown to stay"
        guard = f"; {kept} within its margin of {c.non_inferiority.margin:g}"
    return f"{where}: {size}, {word} (p = {p:.2g}){guard}"
