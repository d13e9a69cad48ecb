"""An experiment before it starts: what the placement's past says of its traffic, its metrics and its duration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.plan import Plan, plan
from analysis.power import Baseline, Design
from analysis.report import Report
from experiments.definition import WHOLE, Definition
from experiments.errors import NotEstimable
from experiments.share import parse_share
from experiments.wording import worded

MOST_WEEKS = 8
"""Beyond this nobody plans: the shop would be another one."""
LONG_WEEKS = 4
"""A plan without an end that takes longer is too long."""
FEWEST_UNITS = 100
"""Of a past experiment's control, below which its numbers are no baseline."""
LEAST_SHARE = 0.0001

Answer = Literal["enough", "too_long", "cannot"]


@dataclass(frozen=True, slots=True)
class PastMetric:
    """What control units of a past experiment did: the value, and the deviation of one unit's contribution to it."""

    value: float
    standard_deviation: float
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class Past:
    """The control of one past experiment, as the baseline of the next."""

    experiment: str
    units: int
    metrics: Mapping[str, PastMetric]


@dataclass(frozen=True, slots=True)
class Duration:
    """Whether the plan's lift can be found in time, and which lift each week can find."""

    answer: Answer
    plan: Plan
    daily_units: float
    planned_weeks: int
    """Within which it should be found."""


def past_of(experiment: str, report: Report) -> Past | None:
    """The baselines that a report holds; None where its control is too small to say anything."""
    units = next((n for variant, n, _ in report.variants if variant == report.control), 0)
    if units < FEWEST_UNITS:
        return None
    found = {}
    for result in report.metrics:
        control = next((v for v in result.variants if v.variant == report.control), None)
        if control is None or control.value is None or not control.standard_error or control.units < FEWEST_UNITS:
            continue
        deviation = control.standard_error * control.units**0.5
        if result.type == "proportion" and 0 < control.value < 1:
            found[result.metric] = PastMetric(control.value, deviation, Baseline.of_proportion(control.value))
        elif result.type == "mean":
            found[result.metric] = PastMetric(control.value, deviation, Baseline.of_mean(control.value, deviation))
        elif result.type == "ratio":
            found[result.metric] = PastMetric(control.value, deviation, Baseline("ratio", control.value, deviation))
    return Past(experiment, units, found)


def arrivals(daily: Iterable[tuple[Mapping[int, int], float]], days: Sequence[int]) -> list[float]:
    """New eligible units on each day, from experiments' own counts and the share of the eligible that each took.

    Of several experiments that saw the same placement the one that saw most is nearest to all.
    """
    known = [(counts, max(share, LEAST_SHARE)) for counts, share in daily]
    return [max((counts.get(day, 0) / share for counts, share in known), default=0.0) for day in days]


def share_taken(definition: Definition, coverage: int) -> float:
    """The share of eligible units that enters: coverage, within the part of a layer."""
    part = (definition.layer.end - definition.layer.start) / WHOLE if definition.layer else 1.0
    return coverage / WHOLE * part


def design_of(definition: Definition) -> Design:
    """The design that the definition's plan of analysis asks for; control first."""
    control = definition.control
    others = [v.weight for v in definition.variants if v.key != control.key and v.weight]
    analysis = definition.analysis
    return Design(
        shares=tuple(weight / WHOLE for weight in (control.weight, *others)),
        alpha=round(1 - analysis.confidence, 12),
        correction="none" if analysis.correction == "none" else "dunnett",
        monitoring="sequential" if analysis.sequential else "fixed",
    )


def duration(definition: Definition, baseline: Baseline, eligible_a_day: float, holdout: int = 0) -> Duration:
    """When the definition's smallest lift worth finding would be found; `holdout` in hundredths of a percent.

    Raises NotEstimable where the plan names no lift, nobody arrives, or the metric's value is zero.
    """
    target = definition.analysis.target_mde
    if target is None:
        raise NotEstimable(worded("the plan names no smallest lift worth finding"))
    steps = definition.schedule.ramp
    coverage = steps[-1].coverage if steps else definition.coverage
    daily = eligible_a_day * share_taken(definition, coverage) * (1 - holdout / WHOLE)
    if not daily > 0:
        raise NotEstimable(worded("nobody would enter"))
    if not baseline.value:
        raise NotEstimable(worded("the metric was zero so far, and a lift of zero is zero"))
    effect = baseline.effect(float(parse_share(target, "target_mde")))
    found = plan(baseline, effect, design_of(definition), daily, MOST_WEEKS)
    weeks = _planned_weeks(definition)
    if found.weeks is None:
        return Duration("cannot", found, daily, weeks)
    return Duration("enough" if found.weeks <= weeks else "too_long", found, daily, weeks)


def _planned_weeks(definition: Definition) -> int:
    start, end = definition.schedule.start_at, definition.schedule.end_at
    return max(1, (end - start).days // 7) if start is not None and end is not None else LONG_WEEKS
