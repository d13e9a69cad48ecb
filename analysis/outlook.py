"""What would change the verdict, in sentences with the numbers that would have to move."""

from collections.abc import Mapping, Sequence

from analysis.decision import Finding, Unmet, Verdict, deciding, unmet
from analysis.parts import Progress
from analysis.report import Comparison, MetricResult
from analysis.tables import signed, signed_percent
from experiments.rules import DecisionRule

Known = Mapping[tuple[str, str], tuple[MetricResult, Comparison]]


def outlook(
    verdict: Verdict, asked: DecisionRule, findings: Sequence[Finding], results: Sequence[MetricResult],
    progress: Progress | None,
) -> tuple[str, ...]:  # fmt: skip
    """What stands between this verdict and the next one: for each variant all that the rule still misses."""
    if verdict.decision == "fix_first":
        return ("Any verdict at all needs every check to pass; nothing else is looked at before that.",)
    known: Known = {(r.metric, c.variant): (r, c) for r in results for c in r.comparisons}
    if verdict.decision == "ship":
        return tuple(_to_lose(verdict, asked, findings, known))
    said = []
    for variant in dict.fromkeys(f.variant for f in deciding(asked, findings)):
        missing = unmet(asked, [f for f in findings if f.variant == variant])
        conditions = [_needed(one, asked, *known[one.metric, variant]) for one in missing]
        conditions += _of_time(verdict, asked, progress)
        if conditions:
            said.append(f"It would become ship {variant} if {'; and '.join(conditions)}.")
    if verdict.decision == "keep_running" and progress is not None and progress.days_left:
        said.append(
            f"If the spread stays as it is, a lift of {signed_percent(progress.target)} is found in about "
            f"{progress.days_left:,.0f} more days."
        )
    return tuple(dict.fromkeys(said))


def _of_time(verdict: Verdict, asked: DecisionRule, progress: Progress | None) -> list[str]:
    """What the calendar and the precision still ask, whatever the metrics say."""
    said = []
    if progress is not None and verdict.ground == "days":
        said.append(f"{progress.minimum_days} days had passed (now {progress.days:.1f})")
    there = None if progress is None else progress.precision
    if asked.precision is not None and (there or 0.0) < asked.precision:
        now = "not known" if there is None else f"{there:.0%}"
        said.append(f"{asked.precision:.0%} of the units that the planned lift needs were in (now {now})")
    return said


def _needed(missing: Unmet, asked: DecisionRule, result: MetricResult, c: Comparison) -> str:
    """The condition that a clause states, with how it stands."""
    if missing.ground == "harm":
        return f"{result.metric} were not shown to be worse (now {_interval(c)})"
    if missing.ground == "guardrails":
        margin = f" {c.non_inferiority.margin:.1%} of control" if c.non_inferiority else " its margin"
        return f"{result.metric} were shown to stay within{margin} (now {_interval(c)})"
    if missing.ground == "unknown":
        return f"{result.metric} could be estimated (now: {c.reason})"
    side = "above" if result.direction == "increase" else "below"
    lift = asked.lift or 0.0
    edge = signed_percent(lift if result.direction == "increase" else -lift) if lift else "0"
    said = f"the interval of {result.metric} lay {side} {edge} (now {_interval(c)})"
    if asked.loss is not None and c.expected_loss is not None:
        said += f", or its expected loss were at most {asked.loss:g} (now {c.expected_loss:.3g})"
    return said


def _to_lose(verdict: Verdict, asked: DecisionRule, findings: Sequence[Finding], known: Known) -> list[str]:
    """What would take the ship back."""
    said = []
    for f in deciding(asked, findings):
        if f.variant != verdict.variant:
            continue
        result, c = known[f.metric, f.variant]
        low = c.sequential.low if c.sequential else c.difference.low
        high = c.sequential.high if c.sequential else c.difference.high
        edge = low if result.direction == "increase" else high
        if verdict.ground == "proof" and not asked.lift and edge is not None:
            line = f"{f.variant}: it would no longer be shipped if {f.metric} lost its lead of {signed(edge)} over 0."
        elif verdict.ground == "loss" and c.expected_loss is not None and asked.loss is not None:
            line = (
                f"{f.variant}: it would no longer be shipped if the expected loss of {f.metric}, now "
                f"{c.expected_loss:.3g}, rose above {asked.loss:g}."
            )
        elif verdict.ground == "no_harm":
            line = f"{f.variant}: it would no longer be shipped if {f.metric} were shown to be worse."
        else:
            line = (
                f"{f.variant}: it would no longer be shipped if {f.metric} were not shown to be better by more than "
                f"{signed_percent(asked.lift)} (now {_interval(c)})."
            )
        said.append(line)
    return said


def _interval(c: Comparison) -> str:
    """The interval that decides, as a lift where there is one; of what cannot be estimated that it cannot."""
    if not c.estimable and c.band is None:
        return "not known"
    looked = c.sequential.lift if c.sequential else None
    bounds = looked if looked is not None else c.lift
    if bounds.low is not None and bounds.high is not None:
        return f"{signed_percent(bounds.low)} to {signed_percent(bounds.high)}"
    if c.band is not None:
        return f"{signed(c.band.zero_margin.low)} to {signed(c.band.category_margin.high)}"
    return f"{signed(c.difference.low)} to {signed(c.difference.high)}"
