"""How far an experiment is: what it can see by now, and when it will see what it was made for."""

import math

from scipy.special import ndtri

from analysis.analysis_plan import AnalysisPlan
from analysis.ledger import Ledger
from analysis.parts import Progress
from analysis.plan import remaining_units
from analysis.power import Design
from analysis.report import MetricResult
from analysis.traffic import Traffic
from experiments.errors import NotEstimable
from experiments.wording import worded

POWER = 0.8


def progress(
    ledger: Ledger, primary: MetricResult, plan: AnalysisPlan, flow: Traffic, days: float, minimum_days: int,
    target: float | None, planned_end: str | None,
) -> Progress:  # fmt: skip
    """Where it stands; `days` since the first entry, `target` the lift that it was planned to find."""
    units = int(ledger.entered.sum())
    error, value = _worst(primary, plan.control)
    mde = precision = days_left = None
    left: int | None = None
    reason = None
    if error is None or not value:
        reason = worded("the primary metric has no standard error yet, or control's value is 0")
    else:
        reach = float(ndtri(1 - plan.alpha / 2) + ndtri(POWER)) * error
        mde = reach / abs(value)
        if target is not None:
            left, precision = _needed(error, units, target * abs(value), plan, ledger)
    if target is None:
        reason = reason or worded("the plan names no effect to find")
    elif left is not None:
        days_left = left / flow.entering if flow.entering else None
        reason = reason or (None if days_left is not None else worded("nobody enters any more"))
        if days_left is not None:
            days_left = max(days_left, minimum_days - days, 0.0)
    return Progress(
        primary.metric, days, int(days // 7), minimum_days, units, flow.entering, mde, target, precision, left,
        days_left, planned_end, reason,
    )  # fmt: skip


def _worst(result: MetricResult, control: str) -> tuple[float | None, float | None]:
    """The largest standard error of a difference, and control's value."""
    errors = [c.difference.standard_error for c in result.comparisons if c.difference.standard_error]
    value = next((v.value for v in result.variants if v.variant == control), None)
    return (max(errors) if errors else None), value


def _needed(
    error: float, units: int, effect: float, plan: AnalysisPlan, ledger: Ledger
) -> tuple[int | None, float | None]:
    """Units that are still to come, and the share of all that is in."""
    weights = plan.weights or dict.fromkeys(ledger.variants, 1.0)
    whole = sum(weights.values())
    shares = tuple(weights[v] / whole for v in ledger.variants if weights.get(v))
    if len(shares) < 2 or not effect:
        return None, None
    try:
        left = remaining_units(error, float(units), effect, Design(shares=shares, alpha=plan.alpha, power=POWER))
    except NotEstimable:
        return None, None
    if not math.isfinite(left):
        return None, 0.0
    return math.ceil(left), units / (units + left)
