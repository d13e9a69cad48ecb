"""How many units, what effect, what power: three views of one equation, each the inverse of the others.

The convention (docs/statistics/planning.md): normal theory with the variance the test itself uses, so a proportion has
the pooled variance under no effect and the unpooled one under the effect (R's power.prop.test), a mean and a ratio the
same deviation in both arms (statsmodels' NormalIndPower). A two-sided test's power counts both tails. Power is that of
one comparison with control, at the critical value which several variants and several looks leave it.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from analysis.dunnett import dunnett_critical
from analysis.group_sequential import boundaries, crossing
from analysis.sequential import boundary, tuning
from experiments.errors import Invalid, NotEstimable
from experiments.looks import Spending

MetricType = Literal["proportion", "mean", "ratio"]
Correction = Literal["none", "bonferroni", "dunnett"]
Monitoring = Literal["fixed", "group_sequential", "sequential"]
Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What control is expected to do: the metric's value, and the deviation of one unit's contribution to it.

    `residual_share` is the share of variance that CUPED leaves (1 - R^2 of the covariates).
    """

    metric: MetricType
    value: float
    standard_deviation: float
    residual_share: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise Invalid.at("baseline", f"{self.value} is not a number")
        if not 0 < self.standard_deviation < np.inf:
            raise Invalid.at("standard_deviation", f"{self.standard_deviation} is not above 0")
        if not 0 < self.residual_share <= 1:
            raise Invalid.at("residual_share", f"{self.residual_share} is not above 0 and up to 1")

    @classmethod
    def of_proportion(cls, rate: float, residual_share: float = 1.0) -> "Baseline":
        """A share of units, between 0 and 1."""
        if not 0 < rate < 1:
            raise Invalid.at("baseline", f"a proportion lies between 0 and 1, not at {rate}")
        return cls("proportion", rate, float(np.sqrt(rate * (1 - rate))), residual_share)

    @classmethod
    def of_mean(cls, value: float, standard_deviation: float, residual_share: float = 1.0) -> "Baseline":
        """A mean over units, those with nothing included as zeros."""
        return cls("mean", value, standard_deviation, residual_share)

    @classmethod
    def of_ratio(
        cls, numerator: float, denominator: float, variance: tuple[float, float, float], residual_share: float = 1.0
    ) -> "Baseline":
        """A ratio of two per-unit means, with (var numerator, var denominator, covariance) per unit.

        The deviation is that of the linearised unit (Y - R N) / mean N: Deng, Knoblich & Lu 2018 eq. 3.
        """
        if not denominator > 0:
            raise Invalid.at("denominator", f"{denominator} is not above 0")
        ratio = numerator / denominator
        linearised = variance[0] - 2 * ratio * variance[2] + ratio**2 * variance[1]
        if not linearised > 0:
            raise Invalid.at("variance", "the ratio does not vary between units")
        return cls("ratio", ratio, float(np.sqrt(linearised)) / denominator, residual_share)

    def effect(self, lift: float) -> float:
        """The difference that a lift means here, in units of the metric."""
        return lift * abs(self.value)

    def lift(self, effect: float) -> float | None:
        """The lift that a difference means here; None where the baseline is zero."""
        return effect / abs(self.value) if self.value else None


_MOST_UNITS = 1e15  # nobody has them, and beyond it a count is no longer exact


def equal_shares(variants: int, coverage: float = 1.0) -> tuple[float, ...]:
    """The same share for each of so many variants, control included."""
    if not 2 <= variants <= 100:
        raise Invalid.at("variants", f"{variants} variants cannot be compared: control and 1 to 99 more")
    return (coverage / variants,) * variants


def best_shares(variants: int) -> tuple[float, ...]:
    """Control's share sqrt(k) times that of each of k treatments: the least units in all (Dunnett 1955)."""
    treatments = len(equal_shares(variants)) - 1
    control = np.sqrt(treatments)
    return (float(control / (control + treatments)),) + (float(1 / (control + treatments)),) * treatments


@dataclass(frozen=True)
class Design:
    """How the test will be run: shares of the units (control first), error rates, looks.

    Several variants are held to alpha together by Dunnett's critical value, or Bonferroni's where there are looks.
    `sequential` reads a confidence sequence tuned to the planned end, `group_sequential` spends alpha by `spending`.
    """

    shares: tuple[float, ...] = (0.5, 0.5)
    alpha: float = 0.05
    power: float = 0.8
    alternative: Alternative = "two-sided"
    correction: Correction = "dunnett"
    monitoring: Monitoring = "fixed"
    looks: int = 14
    spending: Spending = "power"

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or not all(share > 0 for share in self.shares) or sum(self.shares) > 1 + 1e-9:
            raise Invalid.at("shares", "control and each variant need a share above 0, together at most 1")
        if not 0 < self.alpha < 1:
            raise Invalid.at("alpha", f"{self.alpha} is not between 0 and 1")
        if not self.alpha < self.power < 1:
            raise Invalid.at("power", f"{self.power} is not between alpha ({self.alpha}) and 1")
        if self.monitoring != "fixed" and self.alternative != "two-sided":
            raise Invalid.at("alternative", "looks on the way are planned two-sided")
        if not 1 <= self.looks <= 400:
            raise Invalid.at("looks", f"{self.looks} is not between 1 and 400")

    @property
    def smallest(self) -> float:
        """The share of the smallest treatment, whose comparison has the least power."""
        return min(self.shares[1:])

    @cached_property
    def critical(self) -> float:
        """The critical |z| of one comparison at the end of the plan."""
        return float(self.bounds[1][-1])

    @cached_property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Information fractions of the looks, and the |z| that rejects at each."""
        treatments = len(self.shares) - 1
        each = self.alpha if self.correction == "none" else self.alpha / treatments
        fractions = np.arange(1, self.looks + 1) / self.looks
        if self.monitoring == "group_sequential":
            return fractions, boundaries(fractions.tolist(), each, self.spending)
        if self.monitoring == "sequential":
            return fractions, boundary(fractions * tuning(1.0, each) ** 2, each)
        if self.correction == "dunnett":
            variances = [1 / share for share in self.shares]
            c = dunnett_critical(variances[0], variances[1:], self.alpha, alternative=self.alternative)
        else:
            c = float(-ndtri(each / (2 if self.alternative == "two-sided" else 1)))
        return np.ones(1), np.array([c])


def power(baseline: Baseline, effect: float, units: float, design: Design) -> float:
    """The probability of finding this effect with so many units in all."""
    if not units > 0:
        raise Invalid.at("units", f"{units} is not above 0")
    _finite(effect)
    null, under = _deviations(baseline, effect, design)
    return _found(design, null / under, float(_signed(effect, design) * np.sqrt(units) / under))


def sample_size(baseline: Baseline, effect: float, design: Design) -> float:
    """Units in all variants together (not rounded) that find this effect with the design's power."""
    _finite(effect)
    if effect == 0:
        raise Invalid.at("effect", "an effect of zero cannot be found with any number of units")
    if _signed(effect, design) < 0:
        raise Invalid.at("effect", f"an effect of {effect} is on the side the test does not look at")
    root = _root_of_units(baseline, effect, design)
    if root > _MOST_UNITS**0.5:
        raise NotEstimable(f"an effect of {effect:g} would need more than {_MOST_UNITS:.0e} units")
    return root**2


def mde(baseline: Baseline, units: float, design: Design, *, fall: bool = False) -> float:
    """The smallest effect that so many units in all find with the design's power; negative for a fall.

    NotEstimable where even the largest possible effect on a proportion is too small.
    """
    if not units > 0:
        raise Invalid.at("units", f"{units} is not above 0")
    sign = -1.0 if fall or design.alternative == "less" else 1.0
    if baseline.metric != "proportion":
        _, under = _deviations(baseline, 0.0, design)
        return float(sign * _drift(design, 1.0) * under / np.sqrt(units))
    farthest = ((1 - baseline.value) if sign > 0 else baseline.value) * (1 - 1e-9)

    def missing(log_size: float) -> float:
        return float(2 * np.log(_root_of_units(baseline, sign * float(np.exp(log_size)), design)) - np.log(units))

    low, high = float(np.log(farthest)) - 60, float(np.log(farthest))
    if missing(high) > 0:
        raise NotEstimable(f"{units:,.0f} units are too few to find any effect on a rate of {baseline.value:g}")
    guess = float(np.log(_drift(design, 1.0) * _deviations(baseline, 0.0, design)[1] / np.sqrt(units)))
    if low < guess - 1 and guess + 1 < high and missing(guess - 1) > 0 > missing(guess + 1):
        low, high = guess - 1, guess + 1
    return float(sign * np.exp(brentq(missing, low, high, xtol=1e-13)))


def planned_drift(design: Design) -> float:
    """The effect over its standard error, at the end of the plan, that is found with the design's power."""
    return _drift(design, 1.0)


def _root_of_units(baseline: Baseline, effect: float, design: Design) -> float:
    null, under = _deviations(baseline, effect, design)
    # the smallest double keeps a quotient by next to nothing a number
    return _drift(design, null / under) * under / max(abs(effect), float(np.finfo(float).tiny))


def _finite(effect: float) -> None:
    if not np.isfinite(effect):
        raise Invalid.at("effect", f"{effect} is not a number")


def _signed(effect: float, design: Design) -> float:
    """The effect in the direction the test looks."""
    return {"two-sided": abs(effect), "greater": effect, "less": -effect}[design.alternative]


def _deviations(baseline: Baseline, effect: float, design: Design) -> tuple[float, float]:
    """Standard error of the difference, times sqrt(units in all): under no effect and under the effect."""
    control, treatment = design.shares[0], design.smallest
    kept = baseline.residual_share
    if baseline.metric != "proportion":
        same = baseline.standard_deviation * np.sqrt(kept * (1 / control + 1 / treatment))
        return float(same), float(same)
    rate, changed = baseline.value, baseline.value + effect
    if not 0 < changed < 1:
        raise Invalid.at("effect", f"{effect:+g} takes a rate of {rate:g} out of 0 to 1")
    pooled = (control * rate + treatment * changed) / (control + treatment)
    null = np.sqrt(kept * pooled * (1 - pooled) * (1 / control + 1 / treatment))
    under = np.sqrt(kept * (rate * (1 - rate) / control + changed * (1 - changed) / treatment))
    return float(null), float(under)


def _found(design: Design, stretch: float, drift: float) -> float:
    """Probability of crossing when z at the end has this mean; `stretch` is the null over the real deviation."""
    fractions, bounds = design.bounds
    both = crossing(fractions.tolist(), (bounds * stretch).tolist(), drift)
    if design.alternative == "two-sided":
        return float(both.sum())
    return float(ndtr(drift - float(bounds[0]) * stretch))


def _drift(design: Design, stretch: float) -> float:
    """The mean of z at the end that gives the design's power."""
    # a solve costs milliseconds with looks, and a plan asks for the same one many times
    return _solved_drift(design, round(stretch, 12))


@lru_cache(maxsize=4096)
def _solved_drift(design: Design, stretch: float) -> float:
    if _found(design, stretch, 0.0) >= design.power:
        raise NotEstimable("so large an effect on so rare an outcome is beyond the normal approximation")
    top = float(design.bounds[1][-1]) * stretch + float(ndtri(design.power)) + 1
    return float(brentq(lambda drift: _found(design, stretch, drift) - design.power, 0.0, max(top, 1.0), xtol=1e-13))
