"""A comparison's own test at any level: its p-value, and the interval that holds what the test does not reject."""

import math

import msgspec
from scipy.special import stdtrit

from analysis.fieller import Interval
from analysis.proportions import Counts, difference_interval


class MeanTest(msgspec.Struct, frozen=True, tag="mean"):
    """Welch's t of a difference of means or ratios."""

    estimate: float
    standard_error: float
    degrees_of_freedom: float
    p_value: float

    def interval(self, alpha: float) -> Interval:
        """The interval at confidence 1 - alpha."""
        reach = float(stdtrit(self.degrees_of_freedom, 1 - alpha / 2)) * self.standard_error
        return Interval(self.estimate - reach, self.estimate + reach)


class CountTest(msgspec.Struct, frozen=True, tag="count"):
    """The score or mid-p test of two proportions, with the interval of Miettinen & Nurminen."""

    counts: Counts
    p_value: float

    @property
    def estimate(self) -> float:
        """The difference of the proportions."""
        return self.counts.difference

    def interval(self, alpha: float) -> Interval:
        """The interval at confidence 1 - alpha."""
        return difference_interval(self.counts, alpha)


Test = MeanTest | CountTest


def agreeing(found: Interval, estimate: float, rejected: bool) -> Interval:
    """The interval with its near end at 0 where it would gainsay the test of no effect.

    The set of effects that are not rejected, when those on the far side of 0 are tested as 0 itself is: exact tests,
    and score tests with another divisor, differ from their intervals by so much. An open end is the next double.
    """
    low, high = found.low, found.high
    holds = (low is None or low <= 0) and (high is None or high >= 0)
    if rejected and holds:
        if estimate > 0:
            return Interval(math.nextafter(0.0, 1.0), high, found.reason)
        return Interval(low, math.nextafter(0.0, -1.0), found.reason)
    if not rejected and not holds:
        return Interval(0.0 if low is not None and low > 0 else low, 0.0 if high is not None and high < 0 else high)
    return found


def one_side(estimate: float, reason: str) -> Interval:
    """All effects of the estimate's sign."""
    if estimate > 0:
        return Interval(math.nextafter(0.0, 1.0), None, reason)
    return Interval(None, math.nextafter(0.0, -1.0), reason)
