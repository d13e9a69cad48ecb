"""Is a variant better than control by more than a lift, or worse by less than a margin? Tests of a shifted control."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis import lift, monitoring, multiplicity, proportions
from analysis.analysis_plan import AnalysisPlan
from analysis.effect import finite
from experiments.metrics import Metric

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """A guardrail's question: is the variant no worse than control by the margin or more?"""

    margin: float
    relative: bool
    p_value: float | None
    holds: bool

    def to_dict(self) -> Json:
        """As JSON."""
        return {
            "margin": self.margin, "relative": self.relative, "p_value": finite(self.p_value), "holds": self.holds
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exceeds:
    """The rule's question: is the variant better than control by more than this lift, below 0 for worse by less?

    The p-value is two-sided, by the method of the plan, and not corrected over the variants.
    """

    lift: float
    p_value: float | None

    def to_dict(self) -> Json:
        """As JSON."""
        return {"lift": self.lift, "p_value": finite(self.p_value)}


def guard(
    metric: Metric, estimates: lift.Estimates, plan: AnalysisPlan, counts: proportions.Counts | None,
    skewness: float | None = None,
) -> NonInferiority:  # fmt: skip
    """Whether a guardrail holds, one-sided at alpha.

    Where the rule asks for no proof of the metric that decides, the guardrails alone carry it: they are then read by
    the method that allows looking early, as that metric would be.
    """
    margin = plan.margins[metric.key]
    if plan.monitored and plan.rule.lift is None:
        p = _monitored(metric, estimates, -margin, plan, skewness)
    else:
        p = _once(metric, estimates, -margin, counts, plan.alpha)
    if p is None or math.isnan(p):
        return NonInferiority(margin, True, None, False)
    return NonInferiority(margin, True, p, p < plan.alpha)


def exceeds(
    metric: Metric, estimates: lift.Estimates, plan: AnalysisPlan, counts: proportions.Counts | None,
    skewness: float | None = None,
) -> Exceeds | None:  # fmt: skip
    """The test of the lift that the rule asks of the metric it decides by; None where it asks for no other than 0."""
    asked = plan.rule.lift
    if not asked or not plan.decides(metric.key):
        return None
    if not float(estimates.values[0]) > 0:
        return Exceeds(asked, None)  # a share of nothing, or of a loss, is no lift
    if plan.monitored:
        return Exceeds(asked, _monitored(metric, estimates, asked, plan, skewness))
    p = _once(metric, estimates, asked, counts, plan.alpha)
    return Exceeds(asked, None if p is None or math.isnan(p) else min(1.0, 2 * p))


def corrected(p_values: Sequence[float | None], plan: AnalysisPlan) -> tuple[float | None, ...]:
    """The p-values of these tests over the variants: by Holm, which holds whatever their dependence."""
    return multiplicity.adjust(p_values, "none" if plan.correction == "none" else "holm")


def _once(
    metric: Metric, estimates: lift.Estimates, asked: float, counts: proportions.Counts | None, alpha: float
) -> float | None:
    """One-sided, for a single look: `lift.non_inferiority` with the margin that is the lift's negative."""
    if counts is not None and counts.low:
        return proportions.relative_p_value(counts, -asked, metric.direction)
    return float(lift.non_inferiority(estimates, 1, -asked, direction=metric.direction, alpha=alpha).p_value)


def _monitored(
    metric: Metric, estimates: lift.Estimates, asked: float, plan: AnalysisPlan, skewness: float | None
) -> float | None:
    """The distance to the shifted control, read by the plan's method; 1 on the wrong side of it."""
    shifted = lift.non_inferiority(estimates, 1, -asked, direction=metric.direction, alpha=plan.alpha)
    distance, error = float(shifted.estimate), float(shifted.standard_error)
    if not error > 0:
        return None
    if (distance > 0) != (metric.direction == "increase"):
        return 1.0
    control, treatment = map(float, estimates.units)
    seen = monitoring.Observed(
        distance, error, float(estimates.values[0]), float(estimates.own[0]) * control, control, treatment, skewness
    )
    return monitoring.read(plan.monitoring, seen, plan.alpha).p_value
