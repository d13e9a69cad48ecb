"""What would change the verdict, in sentences with the numbers that would have to move."""

from collections.abc import Mapping, Sequence

from analysis.analysis_plan import AnalysisPlan
from analysis.decision import Finding, Unmet, Verdict, deciding, unmet
from analysis.parts import Progress
from analysis.report import Comparison, MetricResult
from analysis.tables import amount, coded, range_of, ranged, signed, signed_percent
from experiments.wording import Listed, figure, worded

Known = Mapping[tuple[str, str], tuple[MetricResult, Comparison]]


def outlook(
    verdict: Verdict, plan: AnalysisPlan, findings: Sequence[Finding], results: Sequence[MetricResult],
    progress: Progress | None,
) -> tuple[str, ...]:  # fmt: skip
    """What stands between this verdict and the next one: for each variant all that the rule still misses."""
    asked = plan.rule
    if verdict.decision == "fix_first":
        return (worded("Any verdict at all needs every check to pass; nothing else is looked at before that."),)
    known: Known = {(r.metric, c.variant): (r, c) for r in results for c in r.comparisons}
    if verdict.decision == "ship":
        return tuple(_to_lose(verdict, plan, findings, known))
    said: list[str] = []
    for variant in dict.fromkeys(f.variant for f in deciding(asked, findings)):
        missing = unmet(asked, [f for f in findings if f.variant == variant])
        conditions = [_needed(one, plan, *known[one.metric, variant]) for one in missing]
        conditions += _of_time(verdict, plan, progress)
        if conditions:
            joined = Listed(conditions, worded("; and "))
            said.append(
                worded("It would become ship %(variant)s if %(conditions)s.", variant=variant, conditions=joined)
            )
    if verdict.decision == "keep_running" and progress is not None and progress.days_left:
        said.append(
            worded(
                "If the spread stays as it is, a lift of %(lift)s is found in about %(days)s more days.",
                lift=figure(signed_percent(progress.target)),
                days=figure(f"{progress.days_left:,.0f}"),
            )
        )
    return tuple(dict.fromkeys(said))


def _of_time(verdict: Verdict, plan: AnalysisPlan, progress: Progress | None) -> list[str]:
    """What the calendar and the precision still ask, whatever the metrics say."""
    said: list[str] = []
    asked = plan.rule
    if progress is not None and verdict.ground == "days":
        now = figure(f"{progress.days:.1f}")
        said.append(worded("%(days)s days had passed (now %(now)s)", days=progress.minimum_days, now=now))
    there = None if progress is None else progress.precision
    if asked.precision is not None and (there or 0.0) < asked.precision:
        said.append(
            worded(
                "%(share)s of the units that the planned lift needs were in (now %(now)s)",
                share=figure(f"{asked.precision:.0%}"),
                now=worded("not known") if there is None else figure(f"{there:.0%}"),
            )
        )
    return said


def _needed(missing: Unmet, plan: AnalysisPlan, result: MetricResult, c: Comparison) -> str:
    """The condition that a clause states, with how it stands."""
    asked, currency = plan.rule, plan.currency_of(result.metric)
    facts = {"metric": result.metric, "now": _interval(c, currency)}
    if missing.ground == "harm":
        return worded("%(metric)s were not shown to be worse (now %(now)s)", **facts)
    if missing.ground == "guardrails":
        if c.non_inferiority is None:
            return worded("%(metric)s were shown to stay within its margin (now %(now)s)", **facts)
        margin = figure(f"{c.non_inferiority.margin:.1%}")
        return worded(
            "%(metric)s were shown to stay within %(margin)s of control (now %(now)s)", margin=margin, **facts
        )
    if missing.ground == "unknown":
        reason = "None" if c.reason is None else c.reason
        return worded("%(metric)s could be estimated (now: %(reason)s)", metric=result.metric, reason=reason)
    above, lift = result.direction == "increase", asked.lift or 0.0
    edge = figure(signed_percent(lift if above else -lift) if lift else "0")
    said: str = (
        worded("the interval of %(metric)s lay above %(edge)s (now %(now)s)", edge=edge, **facts) if above
        else worded("the interval of %(metric)s lay below %(edge)s (now %(now)s)", edge=edge, **facts)
    )  # fmt: skip
    if asked.max_loss is not None and c.expected_loss is not None:
        most = figure(coded(asked.max_loss, currency))
        or_loss = worded(
            "or its expected loss were at most %(most)s (now %(now)s)",
            most=most, now=_loss(c.expected_loss, currency),
        )  # fmt: skip
        said = Listed([said, or_loss])
    return said


def _to_lose(verdict: Verdict, plan: AnalysisPlan, findings: Sequence[Finding], known: Known) -> list[str]:
    """What would take the ship back."""
    said: list[str] = []
    asked = plan.rule
    for f in deciding(asked, findings):
        if f.variant != verdict.variant:
            continue
        facts = {"variant": f.variant, "metric": f.metric}
        result, c = known[f.metric, f.variant]
        currency = plan.currency_of(f.metric)
        low = c.sequential.low if c.sequential else c.difference.low
        high = c.sequential.high if c.sequential else c.difference.high
        edge = low if result.direction == "increase" else high
        if verdict.ground == "proof" and not asked.lift and edge is not None:
            line = worded(
                "%(variant)s: it would no longer be shipped if %(metric)s lost its lead of %(lead)s over 0.",
                lead=figure(coded(signed(edge, currency), currency)), **facts,
            )  # fmt: skip
        elif verdict.ground == "loss" and c.expected_loss is not None and asked.max_loss is not None:
            most = figure(coded(asked.max_loss, currency))
            line = worded(
                "%(variant)s: it would no longer be shipped if the expected loss of %(metric)s, now %(now)s, rose "
                "above %(most)s.", now=_loss(c.expected_loss, currency), most=most, **facts,
            )  # fmt: skip
        elif verdict.ground == "no_harm":
            line = worded("%(variant)s: it would no longer be shipped if %(metric)s were shown to be worse.", **facts)
        else:
            line = worded(
                "%(variant)s: it would no longer be shipped if %(metric)s were not shown to be better by more than "
                "%(lift)s (now %(now)s).", lift=figure(signed_percent(asked.lift)), now=_interval(c, currency), **facts,
            )  # fmt: skip
        said.append(line)
    return said


def _loss(loss: float, currency: str | None) -> str:
    return figure(f"{loss:.3g}" if currency is None else coded(amount(loss, currency), currency))


def _interval(c: Comparison, currency: str | None) -> str:
    """The interval that decides, as a lift where there is one; of what cannot be estimated that it cannot."""
    if not c.estimable and c.band is None:
        return worded("not known")
    looked = c.sequential.lift if c.sequential else None
    bounds = looked if looked is not None else c.lift
    if bounds.low is not None and bounds.high is not None:
        return ranged(signed_percent(bounds.low), signed_percent(bounds.high))
    if c.band is not None:
        return range_of(c.band.zero_margin.low, c.band.category_margin.high, currency)
    return range_of(c.difference.low, c.difference.high, currency)
