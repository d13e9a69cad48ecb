"""Two proportions: the score test, its intervals, and exact methods where counts are low."""

from dataclasses import dataclass
from math import acos, cos, log, pi, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr, ndtri

from analysis.fieller import Interval
from experiments.errors import Invalid
from experiments.metrics import Direction

FEWEST_EVENTS = 10
FEWEST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Events x among n units, in control and treatment."""

    x_c: int
    n_c: int
    x_t: int
    n_t: int

    def __post_init__(self) -> None:
        if not (0 <= self.x_c <= self.n_c and 0 <= self.x_t <= self.n_t and self.n_c > 0 and self.n_t > 0):
            raise Invalid.at("counts", f"{self.x_c}/{self.n_c} and {self.x_t}/{self.n_t} are not events among units")

    @property
    def low(self) -> bool:
        """Whether the normal approximation is not to be trusted (Fagerland, Lydersen & Laake 2015)."""
        events = self.x_c + self.x_t
        rarer = min(events, self.n_c + self.n_t - events)
        expected = rarer * min(self.n_c, self.n_t) / (self.n_c + self.n_t)
        fewest = min(self.x_c, self.x_t, self.n_c - self.x_c, self.n_t - self.x_t)
        return expected < FEWEST_EXPECTED or fewest < FEWEST_EVENTS

    @property
    def difference(self) -> float:
        """p_t - p_c, rounded once."""
        return (self.x_t * self.n_c - self.x_c * self.n_t) / (self.n_c * self.n_t)

    @property
    def none_or_all(self) -> bool:
        """Whether every unit of both variants did the same."""
        return self.x_c + self.x_t in {0, self.n_c + self.n_t}


def score_z(counts: Counts) -> float:
    """The pooled z of the two-proportion test, 0 where every unit did the same."""
    if counts.none_or_all:
        return 0.0
    pooled = (counts.x_c + counts.x_t) / (counts.n_c + counts.n_t)
    return counts.difference / sqrt(pooled * (1 - pooled) * (1 / counts.n_c + 1 / counts.n_t))


def score_p_value(counts: Counts) -> float:
    """Two-sided p-value of the pooled z."""
    return float(2 * ndtr(-abs(score_z(counts))))


def mid_p_value(counts: Counts) -> float:
    """Fisher's exact test with mid-p: tables less likely than this one, half of those as likely (Lancaster 1961)."""
    if counts.none_or_all:
        return 1.0
    events = counts.x_c + counts.x_t
    first, last = max(0, events - counts.n_c), min(events, counts.n_t)
    x = np.arange(first, last + 1)
    log_p = _log_choose(counts.n_t, x) + _log_choose(counts.n_c, events - x)
    log_p -= log_p.max()
    p = np.exp(log_p)
    here = p[counts.x_t - first]
    as_likely = np.isclose(p, here, rtol=1e-7, atol=0.0)
    return float(min(1.0, (p[(p < here) & ~as_likely].sum() + p[as_likely].sum() / 2) / p.sum()))


def non_inferiority_p_value(counts: Counts, margin: float) -> float:
    """One-sided p-value that p_t - p_c > margin, by the score of Miettinen and Nurminen (1985)."""
    return float(ndtr(-_difference_score(counts, margin)))


def relative_p_value(counts: Counts, margin: float, direction: Direction = "increase") -> float:
    """One-sided p-value that p_t is no worse than p_c by the share `margin` or more, by the score of their ratio."""
    if counts.none_or_all or (counts.x_c == 0 and direction == "increase"):
        return 1.0  # nothing to lose a share of, or nothing that varies
    if direction == "increase":
        return float(ndtr(-_ratio_score(counts, log(1 - margin))))
    return float(ndtr(_ratio_score(counts, log(1 + margin))))


def difference_interval(counts: Counts, alpha: float) -> Interval:
    """Miettinen & Nurminen's (1985) interval of p_t - p_c; Newcombe's where every unit did the same."""
    if counts.none_or_all:
        return newcombe(counts, alpha)
    swapped = Counts(counts.x_t, counts.n_t, counts.x_c, counts.n_c)
    critical = float(ndtri(1 - alpha / 2))
    return Interval(_lowest_difference(counts, critical), -_lowest_difference(swapped, critical))


def newcombe(counts: Counts, alpha: float) -> Interval:
    """Newcombe's (1998, method 10) hybrid score interval of p_t - p_c."""
    low_c, high_c = wilson(counts.x_c, counts.n_c, alpha)
    low_t, high_t = wilson(counts.x_t, counts.n_t, alpha)
    p_c, p_t = counts.x_c / counts.n_c, counts.x_t / counts.n_t
    below = sqrt((p_t - low_t) ** 2 + (high_c - p_c) ** 2)
    above = sqrt((high_t - p_t) ** 2 + (p_c - low_c) ** 2)
    return Interval(counts.difference - below, counts.difference + above)


def wilson(x: int, n: int, alpha: float) -> tuple[float, float]:
    """Wilson's (1927) score interval of one proportion."""
    square = float(ndtri(1 - alpha / 2)) ** 2
    middle = (x + square / 2) / (n + square)
    reach = sqrt(square) / (n + square) * sqrt(x * (n - x) / n + square / 4)
    return (0.0 if x == 0 else middle - reach, 1.0 if x == n else middle + reach)


def lift_interval(counts: Counts, alpha: float) -> Interval:
    """The score interval of p_t / p_c - 1 (Miettinen & Nurminen 1985): right where counts are low, zeros included."""
    if counts.x_c == 0 and counts.x_t == 0:
        return Interval(None, None, "no unit converted in either variant")
    critical = float(ndtri(1 - alpha / 2))
    if counts.x_c == 0:
        low = _ratio_root(counts, critical, -60.0, 60.0)
        return Interval(low, None, "no unit of the control converted, so the lift has no upper bound")
    if counts.x_t == 0:
        return Interval(-1.0, _ratio_root(counts, -critical, -60.0, 60.0))
    at = log(counts.x_t * counts.n_c / (counts.x_c * counts.n_t))
    return Interval(_ratio_root(counts, critical, at - 60, at), _ratio_root(counts, -critical, at, at + 60))


def _lowest_difference(counts: Counts, critical: float) -> float:
    def excess(delta: float) -> float:
        return _difference_score(counts, delta) - critical

    first = -1 + 1e-15
    if counts.difference <= first or excess(first) <= 0:
        return -1.0
    return float(brentq(excess, first, counts.difference, xtol=1e-16, rtol=1e-14))


def _ratio_root(counts: Counts, critical: float, low: float, high: float) -> float:
    found = brentq(lambda log_ratio: _ratio_score(counts, log_ratio) - critical, low, high, xtol=1e-15, rtol=1e-14)
    return float(np.expm1(found))


def _ratio_score(counts: Counts, log_ratio: float) -> float:
    """The score of p_t = ratio * p_c at the constrained maximum likelihood, the root of a quadratic."""
    ratio = float(np.exp(log_ratio))
    n_c, n_t, x_c, x_t = counts.n_c, counts.n_t, counts.x_c, counts.x_t
    n = n_c + n_t
    a, b, c = n * ratio, -(n_t * ratio + x_t + n_c + x_c * ratio), x_c + x_t
    p_c = 2 * c / (-b + sqrt(max(b * b - 4 * a * c, 0.0)))
    p_t = min(ratio * p_c, 1.0)
    variance = (p_t * (1 - p_t) / n_t + ratio**2 * p_c * (1 - p_c) / n_c) * n / (n - 1)
    effect = x_t / n_t - ratio * x_c / n_c
    if variance <= 0:
        # where all converted, the root of the quadratic is 1 but for rounding, and so is the variance 0
        return 0.0 if abs(effect) < 1e-9 else float(np.copysign(np.inf, effect))
    return effect / sqrt(variance)


def _difference_score(counts: Counts, delta: float) -> float:
    """The score of p_t - p_c = delta at the constrained maximum likelihood (Miettinen & Nurminen 1985, appendix)."""
    n_c, n_t = counts.n_c, counts.n_t
    n = n_c + n_t
    p_c = _constrained(counts, delta)
    p_t = min(max(p_c + delta, 0.0), 1.0)
    variance = (p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c) * n / (n - 1)
    effect = counts.difference - delta
    if variance <= 0:
        return 0.0 if abs(effect) < 1e-12 else float(np.copysign(np.inf, effect))
    return effect / sqrt(variance)


def _constrained(counts: Counts, delta: float) -> float:
    """p_c that maximises the likelihood under p_t = p_c + delta: the closed root of a cubic."""
    n_c, n_t, x_c, x_t = counts.n_c, counts.n_t, counts.x_c, counts.x_t
    l3 = float(n_c + n_t)
    l2 = (n_t + 2 * n_c) * delta - l3 - (x_c + x_t)
    l1 = (n_c * delta - l3 - 2 * x_c) * delta + x_c + x_t
    l0 = x_c * delta * (1 - delta)
    q = l2**3 / (27 * l3**3) - l1 * l2 / (6 * l3**2) + l0 / (2 * l3)
    p = np.copysign(sqrt(max(l2**2 / (9 * l3**2) - l1 / (3 * l3), 0.0)), q)
    angle = (pi + acos(min(1.0, max(-1.0, q / p**3)))) / 3 if p else pi / 2
    return float(min(max(2 * p * cos(angle) - l2 / (3 * l3), 0.0, -delta), 1.0, 1.0 - delta))


def _log_choose(n: int, x: np.ndarray) -> np.ndarray:
    return np.asarray(gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1))
