"""After a group-sequential test has stopped: estimate and interval that allow for the looks that were taken.

What crosses a boundary early is larger than the truth more often than not. Ordering outcomes stage by stage gives each
effect a tail probability; the effect that puts half on either side is the median-unbiased estimate, and the ones that
leave alpha / 2 are the ends of an interval that covers exactly (Jennison & Turnbull 1999, s. 8.4 and 8.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from analysis.group_sequential import at_least
from experiments.errors import Invalid, NotEstimable

_FARTHEST = 37.0  # standard errors from the estimate


@dataclass(frozen=True, slots=True)
class Stopped:
    """The effect after stopping: too high as often as too low, its interval, and the p-value of no effect."""

    estimate: float
    low: float
    high: float
    p_value: float


def stopped(
    estimate: float, standard_error: float, fractions: Sequence[float], bounds: Sequence[float], alpha: float = 0.05
) -> Stopped:
    """What a test says that stopped at the last of `fractions`, having stayed inside `bounds` at those before it.

    Whether it stopped at a boundary or at the planned end makes no difference to the ordering. Raises NotEstimable.
    """
    if len(bounds) < len(fractions) - 1:
        raise Invalid.at("bounds", "one for each look before the last")
    if not (np.isfinite(estimate) and np.isfinite(standard_error)):
        raise NotEstimable("the effect has no finite estimate and standard error")
    if standard_error <= 0:
        raise NotEstimable("zero variance: no interval can be given")
    before, z, root = list(bounds)[: len(fractions) - 1], estimate / standard_error, float(np.sqrt(fractions[-1]))

    def effect(share: float) -> float:
        """The effect, in standard errors, under which an outcome as high as this one has the probability `share`."""

        def gap(size: float) -> float:
            return at_least(fractions, before, z, size / root) - share

        low, high = z - 3.0, z + 3.0
        while gap(low) > 0 and low > z - _FARTHEST:
            low -= 3.0
        while gap(high) < 0 and high < z + _FARTHEST:
            high += 3.0
        if gap(low) > 0 or gap(high) < 0:
            raise NotEstimable("the effect is too far from every boundary to be placed")
        return float(brentq(gap, low, high, xtol=1e-10)) * standard_error

    upper = at_least(fractions, before, z, 0.0)
    return Stopped(effect(0.5), effect(alpha / 2), effect(1 - alpha / 2), min(1.0, 2 * min(upper, 1 - upper)))
