"""Two proportions under beta priors: exact posterior of their difference, without simulation.

P(B > A) and the expected losses are the integrals that Evan Miller's sums evaluate for whole-number parameters
(Formulas for Bayesian A/B testing, 2014). Here they are trapezoid sums on the logit scale, stretched by a sinh about
the pooled proportion: the integrands are analytic, positive and fall off at least exponentially, so that a hundred
points give 12 digits (Trefethen & Weideman 2014) for any parameters above 0, and nothing cancels at a billion units.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import asinh, lgamma, log, pi

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaincc, expit, logit, ndtri

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
    wins, lost, gained = _wins_and_losses(control, treatment, direction)
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
    wins, lost, _ = _wins_and_losses(_Beta.after(x_c, n_c, prior), _Beta.after(x_t, n_t, prior), direction)
    return wins, lost


def _wins_and_losses(control: "_Beta", treatment: "_Beta", direction: Direction) -> tuple[float, float, float]:
    """Chance to win, expected loss of the treatment and of control: integrals where small, the others from those."""
    better, worse = (treatment, control) if direction == "increase" else (control, treatment)
    if better.mean > worse.mean:
        loses, lost = _upset(worse, better)
        return 1 - loses, lost, lost + better.mean - worse.mean
    wins, gained = _upset(better, worse)
    return wins, gained + worse.mean - better.mean, gained


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
        return log(self.a) - log(self.b)

    @property
    def width(self) -> float:
        """Standard deviation of y, near enough: 1 / sqrt of the curvature at the mode."""
        return float(np.sqrt(1 / self.a + 1 / self.b))

    @property
    def reach(self) -> float:
        """How far from the mode the density is below e^-50 of its peak: a normal with exponential tails."""
        return 10 * self.width + 50 / min(self.a, self.b)

    def density(self, y: Array) -> Array:
        """The density of y; by its distance from the mode, so that a billion units lose no digits."""
        step = y - self.mode
        hit, miss = self.a / (self.a + self.b), self.b / (self.a + self.b)
        relative = -self.a * _log_blend(hit, miss, -step) - self.b * _log_blend(miss, hit, step)
        # the density at the mode by Stirling's formula, in which the large logarithms have cancelled already
        rest = _stirling_rest(self.a + self.b) - _stirling_rest(self.a) - _stirling_rest(self.b)
        return np.asarray(np.exp(relative + rest) / (self.width * np.sqrt(2 * pi)))

    def below(self, y: Array) -> Array:
        return _by_side(y, lambda x: betainc(self.a, self.b, x), lambda x: betaincc(self.b, self.a, x))

    def above(self, y: Array) -> Array:
        return _by_side(y, lambda x: betaincc(self.a, self.b, x), lambda x: betainc(self.b, self.a, x))

    @property
    def mirrored(self) -> "_Beta":
        """Of the share that did not."""
        return _Beta(self.b, self.a)


def _by_side(y: Array, of_share: Callable[[Array], Array], of_rest: Callable[[Array], Array]) -> Array:
    """A function of x = expit(y) where that is small, of 1 - x elsewhere: near 1 a double has lost what 1 - x is."""
    out, small = np.empty_like(y), y < 0
    out[small], out[~small] = of_share(expit(y[small])), of_rest(expit(-y[~small]))
    return out


_STEP = 0.09  # of the trapezoid, on the stretched scale
_NEGLIGIBLE = 1e-20  # of the peak


def _upset(lower: _Beta, upper: _Beta) -> tuple[float, float]:
    """P(lower > upper), and the integral of P(upper < x) P(lower > x) dx = E[max(lower - upper, 0)]."""
    # the product of both densities is that of the pooled counts: about there, and as narrow, is what matters
    pooled = _Beta(lower.a + upper.a, lower.b + upper.b)
    furthest = abs(upper.mode - lower.mode) + lower.reach + upper.reach
    ends = asinh(furthest / pooled.width)

    def at(t: Array) -> tuple[Array, Array]:
        y = pooled.mode + pooled.width * np.sinh(t)
        # the narrower one's density: over it the other one's distribution is smooth
        below, above = upper.below(y), lower.above(y)
        chance = lower.density(y) * below if lower.width < upper.width else upper.density(y) * above
        return (chance * np.cosh(t), below * above * expit(y) * expit(-y) * np.cosh(t))

    coarse = np.linspace(-ends, ends, 49)
    seen = [values > values.max() * _NEGLIGIBLE for values in at(coarse)]
    worth = np.flatnonzero(seen[0] | seen[1])
    if not len(worth):
        return 0.0, 0.0
    # a prior of far less than one unit has its mass far from the pooled proportion, where the points lie apart
    step = _STEP * min(1.0, (3 * min(lower.a, lower.b, upper.a, upper.b)) ** 0.5)
    t = np.arange(coarse[max(worth[0] - 1, 0)], coarse[min(worth[-1] + 1, 48)] + step, step)
    chance, regret = at(t)
    scale = step * pooled.width
    return float(chance.sum()) * scale, float(regret.sum()) * scale


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_PANELS = 16


def _quantile(share: float, control: _Beta, treatment: _Beta) -> float:
    """The d with P(treatment - control < d) = share, integrated over the narrower one of the two."""
    if control.mean + treatment.mean > 1:  # as above: small shares keep their digits
        control, treatment = treatment.mirrored, control.mirrored
    over, other, sign = control, treatment, 1.0
    if control.deviation > treatment.deviation:
        over, other, sign = treatment, control, -1.0
    start, end = over.mode - over.reach, over.mode + over.reach

    def short(d: float) -> float:
        # where over + d leaves 0 to 1 the other's distribution turns flat
        turn = 1 - sign * d if sign * d > 0 else -sign * d
        edges = np.linspace(start, end, _PANELS + 1)
        kink = float(logit(turn)) if 0 < turn < 1 else start
        if start < kink < end:
            edges = np.sort(np.append(edges, kink))
        half = np.diff(edges)[:, None] / 2
        y = (edges[:-1, None] + half + half * _NODES).ravel()
        x = np.clip(expit(y) + sign * d, 0.0, 1.0)
        tail = betainc(other.a, other.b, x) if sign > 0 else betaincc(other.a, other.b, x)
        found = over.density(y) * tail
        return float(np.sum(found.reshape(half.size, -1) * _WEIGHTS * half)) - share

    deviation = float(np.hypot(control.deviation, treatment.deviation))
    guess = treatment.mean - control.mean + float(ndtri(share)) * deviation
    low = high = min(max(guess, -1.0), 1.0)
    reach = deviation / 4
    while low > -1 and short(low) > 0:
        low, high, reach = max(low - reach, -1.0), low, reach * 2
    while high < 1 and short(high) < 0:
        low, high, reach = high, min(high + reach, 1.0), reach * 2
    return float(brentq(short, low, high, xtol=1e-15, rtol=1e-10))


def _stirling_rest(z: float) -> float:
    """What Stirling's formula leaves of log Gamma(z): 1 / (12 z) - 1 / (360 z^3) + ... (Abramowitz & Stegun 6.1.40)."""
    if z < 12:
        return lgamma(z) - (z - 0.5) * log(z) + z - log(2 * pi) / 2
    w = 1 / (z * z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w / 1188)))) / z


def _log_blend(kept: float, moved: float, step: Array) -> Array:
    """The log of kept + moved e^step, two shares of 1: digits kept near 0, no overflow far out."""
    near = np.log1p(moved * np.expm1(np.clip(step, -1, 1)))
    return np.where(np.abs(step) < 1, near, np.logaddexp(np.log(kept), np.log(moved) + step))
