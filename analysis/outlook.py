"""What would change the verdict, in sentences with the numbers that would have to move."""

from collections.abc import Sequence

from analysis.decision import Finding, Verdict
from analysis.parts import Progress
from analysis.report import Comparison, MetricResult
from analysis.tables import signed, signed_percent


def outlook(
    verdict: Verdict, findings: Sequence[Finding], results: Sequence[MetricResult], progress: Progress | None
) -> tuple[str, ...]:
    """One sentence for each thing that stands between this verdict and the next one."""
    if verdict.decision == "fix_first":
        return ("Any verdict at all needs every check to pass; nothing else is looked at before that.",)
    said: list[str] = []
    known = {(r.metric, c.variant): (r, c) for r in results for c in r.comparisons}
    for f in findings:
        if f.variant == verdict.variant or verdict.decision != "ship":
            line = _line(f, verdict, *known[f.metric, f.variant])
            said += [line] if line else []
    if verdict.decision == "keep_running" and progress is not None and progress.days_left:
        said.append(
            f"If the spread stays as it is, a lift of {signed_percent(progress.target)} is found in about "
            f"{progress.days_left:,.0f} more days."
        )
    return tuple(dict.fromkeys(said))


def _line(f: Finding, verdict: Verdict, result: MetricResult, c: Comparison) -> str | None:
    if f.guarded is False and c.non_inferiority is not None:
        return (
            f"{f.variant}: {f.metric} must be shown to stay within {c.non_inferiority.margin:.1%} of control "
            f"(now {_interval(c)})."
        )
    if f.role == "primary" and f.movement == "flat" and c.difference.low is not None:
        return f"{f.variant}: the interval of {f.metric} must leave 0 out (now {_interval(c)})."
    if f.movement == "worse" and verdict.decision != "ship":
        return f"{f.variant}: {f.metric} must no longer be worse (now {_interval(c)})."
    if verdict.decision == "ship" and f.role == "primary":
        low = c.sequential.low if c.sequential else c.difference.low
        high = c.sequential.high if c.sequential else c.difference.high
        edge = low if result.direction == "increase" else high
        if edge is not None:
            return f"{f.variant}: it would no longer be shipped if {f.metric} lost its lead of {signed(edge)} over 0."
    return None


def _interval(c: Comparison) -> str:
    if c.lift.low is not None and c.lift.high is not None:
        return f"{signed_percent(c.lift.low)} to {signed_percent(c.lift.high)}"
    return f"{signed(c.difference.low)} to {signed(c.difference.high)}"
