"""Does the effect change while the test runs: novelty that wears off, a lesson that is learned, one odd day?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from analysis.checks import Check
from experiments.errors import Invalid
from experiments.wording import figure, worded

# two such tests are read for every metric: at 0.05 one of them would cry wolf daily
NOTABLE = 0.01
FEWEST_DAYS = 4


def novelty(metric: str, days: Sequence[float], effects: Sequence[float], standard_errors: Sequence[float]) -> Check:
    """The slope of the effect over days since exposure, by weighted least squares with known errors.

    `effects` are those of separate units or days (independent). Warns below p = 0.01 (Sadeghi et al. 2021).
    """
    day, effect, weight = _usable(days, effects, standard_errors)
    name = f"novelty_{metric}"
    if len(day) < FEWEST_DAYS or np.ptp(day) == 0:
        return Check(name, "unknown", None, None, worded("fewer than %(days)s days with an estimate", days=FEWEST_DAYS))
    centred = day - weight @ day / weight.sum()
    information = float(weight @ centred**2)
    slope = float(weight @ (centred * effect)) / information
    z = slope * float(np.sqrt(information))
    p_value = float(2 * ndtr(-abs(z)))
    detail = worded(
        "the effect on %(metric)s changes by %(slope)s a day over %(days)s days",
        metric=metric,
        slope=figure(f"{slope:+.3g}"),
        days=len(day),
    )
    return Check(name, "warn" if p_value < NOTABLE else "pass", p_value, z, detail)


def day_effects(metric: str, effects: Sequence[float], standard_errors: Sequence[float]) -> Check:
    """Whether the effect is the same every day: Cochran's Q, df = days - 1. Warns below p = 0.01."""
    _, effect, weight = _usable(range(len(effects)), effects, standard_errors)
    name = f"day_effects_{metric}"
    if len(effect) < FEWEST_DAYS:
        return Check(name, "unknown", None, None, worded("fewer than %(days)s days with an estimate", days=FEWEST_DAYS))
    centre = float(weight @ effect / weight.sum())
    parts = weight * (effect - centre) ** 2
    statistic = float(parts.sum())
    p_value = float(chdtrc(len(effect) - 1, statistic))
    detail = worded(
        "daily effects on %(metric)s around %(centre)s, the oddest %(oddest)s",
        metric=metric,
        centre=figure(f"{centre:.3g}"),
        oddest=figure(f"{effect[int(np.argmax(parts))]:.3g}"),
    )
    return Check(name, "warn" if p_value < NOTABLE else "pass", p_value, statistic, detail)


def _usable(
    days: Sequence[float] | range, effects: Sequence[float], standard_errors: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Days whose estimate has an error above zero, with their precisions."""
    if not len(days) == len(effects) == len(standard_errors):
        raise Invalid.at("effects", "one effect and one standard error for each day")
    day, effect, error = (np.asarray(given, dtype=float) for given in (days, effects, standard_errors))
    real = np.isfinite(effect) & np.isfinite(error) & (error > 0)
    return day[real], effect[real], 1 / error[real] ** 2
