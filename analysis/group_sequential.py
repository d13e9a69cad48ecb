"""Looks planned in advance: alpha is spent look by look, and all of it by the planned end.

Boundaries are those of Lan & DeMets 1983 for a symmetric two-sided test, by the recursion of Armitage, McPherson &
Rowe 1969 (Jennison & Turnbull 1999, ch. 19): the density of the score among runs that have not stopped is carried from
look to look on Gauss-Legendre nodes. Information is units over planned units. The first look at or past the plan is
the last: it spends what is left at the information it really has, and no later look can reject.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from experiments.errors import Invalid, NotEstimable
from experiments.looks import Spending

Array = NDArray[np.float64]

_FARTHEST = 38.0  # beyond this z a double holds no probability
_LOST = 12.0  # nor any run that matters beyond so many deviations of its mean
_MOST_NODES = 2000


@dataclass(frozen=True, slots=True)
class Repeated:
    """One look of a group-sequential test: its boundary, the repeated interval and p-value, whether it may stop.

    `boundary` is None where nothing is left to spend; the interval is then unbounded (None) and cannot reject.
    """

    boundary: float | None
    low: float | None
    high: float | None
    p_value: float
    rejects: bool


def spent(fraction: Array, alpha: float, spending: Spending = "power", rho: float = 2.0) -> Array:
    """Two-sided alpha spent by an information fraction, all of it from 1 on.

    power: alpha t^rho (Kim & DeMets 1987). obrien_fleming: 4 - 4 Phi(z_{alpha/4} / sqrt t), two one-sided alpha / 2
    (Lan & DeMets 1983, gsDesign's sfLDOF). pocock: alpha log(1 + (e - 1) t) (ibid.).
    """
    if spending not in get_args(Spending):
        raise Invalid.at("spending", f"{spending!r} is not one of {', '.join(get_args(Spending))}")
    if not 0 < alpha <= 1:
        raise Invalid.at("alpha", f"{alpha} is not between 0 and 1")
    if not rho > 0:
        raise Invalid.at("rho", f"{rho} is not above 0")
    t = np.minimum(np.asarray(fraction, dtype=float), 1.0)
    if spending == "power":
        return np.asarray(alpha * t**rho)
    if spending == "pocock":
        return np.asarray(alpha * np.log1p(np.expm1(1.0) * t))
    return np.asarray(np.where(t < 1, 4 * ndtr(ndtri(alpha / 4) / np.sqrt(t)), alpha))


def boundaries(
    fractions: Sequence[float],
    alpha: float = 0.05,
    spending: Spending = "power",
    rho: float = 2.0,
    times: Sequence[float] | None = None,
) -> Array:
    """The |z| that rejects at each look; infinite where no alpha is left or what is left is below any double.

    `times` are the fractions of the plan that the spending goes by, where those are not the looks' information.
    """
    looks = _increasing(fractions)
    clock = looks if times is None else _increasing(times)
    if len(clock) != len(looks):
        raise Invalid.at("times", "one for each look")
    budget = np.diff(spent(clock, alpha, spending, rho), prepend=0.0)
    return _walk(looks, budget=budget)[0]


def crossing(fractions: Sequence[float], bounds: Sequence[float], drift: float = 0.0) -> Array:
    """P(the first crossing of +-bounds happens at each look) when z at information 1 has mean `drift`.

    Their sum is the type-I error at drift 0 and the power at the drift of the effect looked for.
    """
    looks = _increasing(fractions)
    return _walk(looks, bounds=np.asarray(bounds, dtype=float), drift=drift)[1]


def at_least(fractions: Sequence[float], bounds: Sequence[float], z: float, drift: float) -> float:
    """P(an outcome as high as z at the last of these looks, or higher) when z at information 1 has mean `drift`.

    By the stage-wise ordering (Fairbanks & Madsen 1982; Jennison & Turnbull 1999, s. 8.4): to cross the upper boundary
    is higher than to go on, and the earlier the higher. `bounds` are those of the looks before the last.
    """
    looks = _increasing(fractions)
    return float(_walk(looks, bounds=np.append(np.asarray(bounds, dtype=float), z), drift=drift)[2].sum())


def repeated(
    estimate: float,
    standard_error: float,
    fractions: Sequence[float],
    alpha: float = 0.05,
    *,
    spending: Spending = "power",
    rho: float = 2.0,
) -> Repeated:
    """The reading at the last of the looks taken so far: repeated interval and p-value.

    Jennison & Turnbull 1989 (JRSS B 51): estimate +- boundary * standard_error covers at all looks together; the
    p-value is the smallest alpha whose boundary z reaches, so it agrees with the interval.
    """
    if not (np.isfinite(estimate) and np.isfinite(standard_error)):
        raise NotEstimable("the effect has no finite estimate and standard error")
    if standard_error <= 0:
        raise NotEstimable("zero variance: no interval can be given")
    boundary = float(boundaries(fractions, alpha, spending, rho)[-1])
    z = abs(estimate) / standard_error
    if np.isinf(boundary):
        return Repeated(None, None, None, 1.0, rejects=False)
    half = boundary * standard_error
    p_value = _repeated_p_value(z, fractions, spending, rho)
    return Repeated(boundary, estimate - half, estimate + half, p_value, rejects=z >= boundary)


@lru_cache(maxsize=64)
def repeated_p_values(
    fractions: tuple[float, ...], alpha: float, spending: Spending, rho: float, times: tuple[float, ...] | None = None
) -> PchipInterpolator:
    """Log p of the last look as a function of z^2: the inverse of its boundary, through the one at alpha exactly.

    A report asks for one p-value a comparison, and solving for each takes a third of a second. Off by less than 1% of
    p; it reaches down to 1e-100.
    """
    levels = np.unique(np.concatenate([np.linspace(-230, -30, 30), np.linspace(-30, 0, 61)[1:], [np.log(alpha)]]))
    found = [float(boundaries(fractions, float(np.exp(level)), spending, rho, times)[-1]) for level in levels]
    bounds, first = np.unique(found, return_index=True)
    finite = np.isfinite(bounds)
    return PchipInterpolator(bounds[finite] ** 2, levels[first][finite])


def final_look(fractions: Sequence[float]) -> int | None:
    """The index of the look that decides: the first at or past the plan; None while the plan is not reached."""
    return next((index for index, fraction in enumerate(fractions) if fraction >= 1), None)


def inflation(fractions: Sequence[float], bounds: Sequence[float], alpha: float = 0.05, power: float = 0.8) -> float:
    """How many times the units of a fixed test these looks need at most, for the same power."""
    if not alpha < power < 1:
        raise Invalid.at("power", f"{power} is not between alpha and 1")
    fixed = float(ndtri(power) - ndtri(alpha / 2))
    needed = brentq(lambda drift: float(crossing(fractions, bounds, drift).sum()) - power, 0.0, 4 * fixed + 20)
    return float(needed / fixed) ** 2


def _repeated_p_value(z: float, fractions: Sequence[float], spending: Spending, rho: float) -> float:
    def misses(log_alpha: float) -> float:
        bound = float(boundaries(fractions, float(np.exp(log_alpha)), spending, rho)[-1])
        return min(bound, 1e3) - z

    smallest = -700.0
    if misses(0.0) > 0:
        return 1.0
    if misses(smallest) <= 0:
        return 0.0
    return float(np.exp(brentq(misses, smallest, 0.0, xtol=1e-9)))


def _increasing(fractions: Sequence[float]) -> Array:
    looks = np.asarray(fractions, dtype=float)
    if looks.ndim != 1 or not len(looks):
        raise Invalid.at("fractions", "no looks")
    if not (np.all(np.isfinite(looks)) and looks[0] > 0 and np.all(np.diff(looks) > 0)):
        raise Invalid.at("fractions", "information must be above 0 and grow from look to look")
    return looks


def _walk(
    looks: Array, *, budget: Array | None = None, bounds: Array | None = None, drift: float = 0.0
) -> tuple[Array, Array, Array]:
    """Carry the sub-density of the score from look to look; give the bounds, what leaves, and what of it leaves above.

    The score has mean drift * t and variance t. With a budget the bounds are solved for, else they are given.
    """
    found, leaving, above = np.full(len(looks), np.inf), np.zeros(len(looks)), np.zeros(len(looks))
    steps = np.diff(looks, prepend=0.0)
    points, mass = np.zeros(1), np.ones(1)  # at information 0 every run is at 0
    for k, now in enumerate(looks):
        run = _Run(points + drift * steps[k], mass, float(np.sqrt(steps[k])), float(np.sqrt(now)))
        if bounds is not None:
            found[k] = bounds[k]
        elif budget is not None:
            found[k] = run.bound_that_loses(float(budget[k]))
        leaving[k], above[k] = run.beyond(found[k]), run.above(found[k])
        if k + 1 < len(looks):
            points, mass = run.staying(float(found[k]), drift * now, float(np.sqrt(steps[k + 1])))
    return found, leaving, above


@dataclass(frozen=True, slots=True)
class _Run:
    """Runs that went on: mass at points (drift added), about to take a normal step; z = score / scale."""

    points: Array
    mass: Array
    step: float
    scale: float

    def beyond(self, bound: float) -> float:
        edge = bound * self.scale
        return float(self.mass @ (ndtr((self.points - edge) / self.step) + ndtr((-edge - self.points) / self.step)))

    def above(self, bound: float) -> float:
        return float(self.mass @ ndtr((self.points - bound * self.scale) / self.step))

    def bound_that_loses(self, target: float) -> float:
        tiny = float(np.finfo(float).tiny)
        if target <= tiny or self.beyond(_FARTHEST) >= target:
            return float("inf")
        if self.beyond(0.0) <= target:
            return 0.0
        return float(brentq(lambda c: np.log(max(self.beyond(c), tiny)) - np.log(target), 0.0, _FARTHEST, xtol=1e-13))

    def staying(self, bound: float, centre: float, next_step: float) -> tuple[Array, Array]:
        """The sub-density inside +-bound, on nodes fine enough for the step that made it and the one to come."""
        edge = bound * self.scale
        low, high = max(-edge, centre - _LOST * self.scale), min(edge, centre + _LOST * self.scale)
        if not low < high:  # a drift so strong that every run has left
            return np.zeros(1), np.zeros(1)
        count = 32 * (int(3 * (high - low) / min(self.step, next_step)) // 32 + 2)
        if count > _MOST_NODES:
            raise NotEstimable("looks too close together: merge those with almost the same information")
        nodes, weights = _gauss(count)
        half = (high - low) / 2
        at = low + half * (nodes + 1)
        density = np.exp(-0.5 * ((at[:, None] - self.points) / self.step) ** 2) / (self.step * np.sqrt(2 * np.pi))
        return at, half * weights * (density @ self.mass)


@cache
def _gauss(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
