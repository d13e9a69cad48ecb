"""Two proportions under beta priors: exact posterior of their difference, without simulation.

P(B > A) and the expected losses are the integrals that Evan Miller's sums evaluate for whole-number parameters
(Formulas for Bayesian A/B testing, 2014). Here they are quadratures on the logit scale, where a beta density is smooth
and log-concave for any parameters above 0; every integrand is positive, so nothing cancels at a billion units.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaincc, expit, logit

from analysis.bayes import Direction, Posterior
from experiments.errors import Invalid, NotEstimable

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BetaPrior:
    """What is believed of each proportion before the data; (1, 1) is uniform, (0.5, 0.5) Jeffreys'."""

    a: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("a", self.a), ("b", self.b)):
            if not 0 < value < np.inf:
                raise Invalid.at(f"prior.{name}", f"{value} is not above 0")


def beta_binomial(
    x_c: float,
    n_c: float,
    x_t: float,
    n_t: float,
    prior: BetaPrior | None = None,
    *,
    direction: Direction = "increase",
    confidence: float = 0.95,
) -> Posterior:
    """Posterior of the difference of two proportions after x of n in control and treatment; prior uniform when None."""
    stated = prior or BetaPrior()
    control = _Beta.after(x_c, n_c, stated)
    treatment = _Beta.after(x_t, n_t, stated)
    wins, lost, gained = _chances(control, treatment, direction)
    tail = (1 - confidence) / 2
    return Posterior(
        chance_to_win=wins,
        expected_loss=lost,
        mean=treatment.mean - control.mean,
        standard_deviation=float(np.hypot(treatment.deviation, control.deviation)),
        low=_quantile(tail, control, treatment),
        high=_quantile(1 - tail, control, treatment),
        expected_loss_of_control=gained,
    )


def win_and_loss(
    x_c: float, n_c: float, x_t: float, n_t: float, direction: Direction = "increase"
) -> tuple[float, float]:
    """Chance to win and expected loss of the treatment, uniform priors; without the interval, which takes longest."""
    prior = BetaPrior()
    better, worse = _Beta.after(x_t, n_t, prior), _Beta.after(x_c, n_c, prior)
    if direction == "decrease":
        better, worse = worse, better
    # only what is asked for, and of the two chances the small one, which is the accurate one
    if better.mean < worse.mean:
        wins = _integral(lambda y: better.log_density(y) + worse.log_below(y), better, worse) / better.mass
    else:
        wins = 1 - _integral(lambda y: worse.log_density(y) + better.log_below(y), better, worse) / worse.mass
    return wins, _integral(lambda y: better.log_below(y) + worse.log_above(y) + _log_slope(y), better, worse)


def _chances(control: "_Beta", treatment: "_Beta", direction: Direction) -> tuple[float, float, float]:
    """Chance to win, expected loss of the treatment and of control."""
    wins = _integral(lambda y: treatment.log_density(y) + control.log_below(y), treatment, control) / treatment.mass
    loses = _integral(lambda y: control.log_density(y) + treatment.log_below(y), treatment, control) / control.mass
    # E[max(A - B, 0)] = integral of P(B < x) P(A > x) dx; dx = x (1 - x) dy
    lost = _integral(lambda y: treatment.log_below(y) + control.log_above(y) + _log_slope(y), treatment, control)
    gained = _integral(lambda y: control.log_below(y) + treatment.log_above(y) + _log_slope(y), treatment, control)
    # each is accurate where it is small: the larger follows from the smaller
    wins = wins if wins < loses else 1 - loses
    if direction == "decrease":
        wins, lost, gained = (loses if loses < 0.5 else 1 - wins), gained, lost
    return wins, lost, gained


@dataclass(frozen=True, slots=True)
class _Beta:
    """One proportion's posterior; its logit is y, its unnormalised density there x^a (1 - x)^b."""

    a: float
    b: float

    @classmethod
    def after(cls, x: float, n: float, prior: BetaPrior) -> "_Beta":
        if not (np.isfinite(n) and 0 <= x <= n):
            raise NotEstimable(f"{x} of {n} is not a count of successes")
        return cls(x + prior.a, n - x + prior.b)

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    @property
    def deviation(self) -> float:
        total = self.a + self.b
        return float(np.sqrt(self.a / total * (self.b / total) / (total + 1)))

    @property
    def mode(self) -> float:
        return float(np.log(self.a) - np.log(self.b))

    @property
    def width(self) -> float:
        """Standard deviation of y, near enough: 1 / sqrt of the curvature at the mode."""
        return float(np.sqrt(1 / self.a + 1 / self.b))

    @property
    def mass(self) -> float:
        return _integral(self.log_density, self, self)

    def log_density(self, y: Array) -> Array:
        """Relative to the mode, so that a billion units lose no digits: a log(x / m) + b log((1 - x) / (1 - m))."""
        step = y - self.mode
        hit, miss = self.a / (self.a + self.b), self.b / (self.a + self.b)
        return -self.a * _log_blend(hit, miss, -step) - self.b * _log_blend(miss, hit, step)

    def log_below(self, y: Array) -> Array:
        return _log(betainc(self.a, self.b, expit(y)))

    def log_above(self, y: Array) -> Array:
        return _log(betaincc(self.a, self.b, expit(y)))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_NEGLIGIBLE = 50.0  # e^-50 of the peak


def _integral(log_function: Callable[[Array], Array], one: _Beta, other: _Beta, kink: float | None = None) -> float:
    """The integral over y of exp(log_function), log-concave, smooth but for a kink; its peak is near the two modes."""
    far = 40 * (one.width + other.width)
    start, end = min(one.mode, other.mode) - far, max(one.mode, other.mode) + far
    for _ in range(12):  # zoom until what matters fills the grid
        grid = np.linspace(start, end, 121)
        seen = log_function(grid)
        worth = np.flatnonzero(seen > seen.max() - _NEGLIGIBLE)
        start, end = grid[max(worth[0] - 1, 0)], grid[min(worth[-1] + 1, 120)]
        if worth[-1] - worth[0] > 60:
            break
    edges = np.linspace(start, end, 41)
    if kink is not None and start < kink < end:
        edges = np.unique(np.append(edges, kink))
    half = np.diff(edges)[:, None] / 2
    points = (edges[:-1, None] + half + half * _NODES).ravel()
    return float(np.sum(np.exp(log_function(points)).reshape(half.size, -1) * _WEIGHTS * half))


def _quantile(share: float, control: _Beta, treatment: _Beta) -> float:
    """The d with P(treatment - control < d) = share."""
    mass = control.mass

    def short(d: float) -> float:
        def log_joint(y: Array) -> Array:
            x = np.clip(expit(y) + d, 0.0, 1.0)
            return np.asarray(control.log_density(y) + _log(betainc(treatment.a, treatment.b, x)))

        # where control + d leaves 0 to 1, the treatment's distribution turns flat
        turn = -d if d < 0 else 1 - d
        kink = float(logit(turn)) if 0 < turn < 1 else None
        return _integral(log_joint, control, control, kink) / mass - share

    return float(brentq(short, -1.0, 1.0, xtol=1e-15, rtol=1e-10))


def _log_blend(kept: float, moved: float, step: Array) -> Array:
    """The log of kept + moved e^step, two shares of 1: digits kept near 0, no overflow far out."""
    near = np.log1p(moved * np.expm1(np.clip(step, -1, 1)))
    return np.where(np.abs(step) < 1, near, np.logaddexp(np.log(kept), np.log(moved) + step))


def _log_slope(y: Array) -> Array:
    return -np.logaddexp(0, y) - np.logaddexp(0, -y)


def _log(probability: Array) -> Array:
    return np.log(np.maximum(probability, np.finfo(float).tiny))
