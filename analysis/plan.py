"""Will this experiment answer its question, and when? Weeks from the units that newly arrive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.power import Baseline, Design, mde, power, sample_size
from experiments.errors import Invalid, NotEstimable

DAYS = 7


@dataclass(frozen=True, slots=True)
class Week:
    """What the end of one week can show: units so far, the effect found with the design's power, power for the goal.

    The smallest effect is None where no effect at all could be found yet.
    """

    week: int
    units: int
    mde: float | None
    mde_lift: float | None
    power: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Units and whole weeks until an effect can be found; `weeks` and `days` are None when it cannot in time.

    `units_per_variant` stands in the order of the design's shares, control first.
    """

    baseline: Baseline
    design: Design
    effect: float
    lift: float | None
    units: int
    units_per_variant: tuple[int, ...]
    days: int | None
    weeks: int | None
    reason: str | None
    by_week: tuple[Week, ...]

    @property
    def detectable(self) -> bool:
        """Whether the effect can be found within the weeks asked about."""
        return self.weeks is not None


def plan(
    baseline: Baseline,
    effect: float,
    design: Design,
    daily_units: float | Sequence[float],
    max_weeks: int = 8,
) -> Plan:
    """Sample size, duration and what each week can show for an effect (a difference, `baseline.effect(lift)`).

    `daily_units` are new units a day (not visits): one number, or the shop's own history of first exposures by day,
    which goes on at the mean of its last seven days. Weeks are whole, since weekdays differ.
    """
    if not 1 <= max_weeks <= 104:
        raise Invalid.at("max_weeks", f"{max_weeks} is not between 1 and 104")
    arrived = _arrivals(daily_units, max_weeks * DAYS)
    needed = sample_size(baseline, effect, design)
    per_variant = tuple(_whole(needed * share) for share in design.shares)
    units = max(_whole(needed), sum(per_variant))
    reached = np.flatnonzero(arrived >= units)
    days = int(reached[0]) + 1 if len(reached) else None
    reason = None
    if days is None:
        reason = f"cannot be detected in {max_weeks} weeks: {units:,} units are needed, {int(arrived[-1]):,} arrive"
    return Plan(
        baseline,
        design,
        effect,
        baseline.lift(effect),
        units,
        per_variant,
        days,
        None if days is None else -(-days // DAYS),
        reason,
        tuple(_week(w, float(arrived[w * DAYS - 1]), baseline, effect, design) for w in range(1, max_weeks + 1)),
    )


def remaining_units(standard_error: float, units: float, effect: float, design: Design) -> float:
    """How many more units a running test needs to find an effect, from the standard error it has reached.

    Standard errors fall with the root of units; 0 when there are enough. Compare GrowthBook's mid-experiment power.
    """
    if not (standard_error > 0 and units > 0):
        raise NotEstimable("zero variance, or no units yet")
    deviation = standard_error * float(np.sqrt(units)) / float(np.sqrt(1 / design.shares[0] + 1 / design.smallest))
    return max(0.0, sample_size(Baseline.of_mean(0.0, deviation), effect, design) - units)


def _arrivals(daily_units: float | Sequence[float], days: int) -> np.ndarray:
    """Units that have arrived by the end of each day."""
    daily = np.atleast_1d(np.asarray(daily_units, dtype=float))
    if not len(daily) or not np.all(np.isfinite(daily) & (daily >= 0)) or not daily.sum() > 0:
        raise Invalid.at("daily_units", "new units a day must be numbers from 0 up, not all zero")
    coming = np.full(max(0, days - len(daily)), daily[-DAYS:].mean())
    return np.asarray(np.floor(np.cumsum(np.concatenate([daily, coming]))[:days] * (1 + 1e-12)))


def _week(week: int, units: float, baseline: Baseline, effect: float, design: Design) -> Week:
    if units < 1:
        return Week(week, 0, None, None, design.alpha)
    try:
        smallest = mde(baseline, units, design, fall=effect < 0)
    except NotEstimable:
        smallest = None
    lift = None if smallest is None else baseline.lift(smallest)
    return Week(week, int(units), smallest, lift, power(baseline, effect, units, design))


def _whole(units: float) -> int:
    """Rounded up, forgiving what is rounding of the last digits."""
    return int(np.ceil(units * (1 - 1e-12)))
