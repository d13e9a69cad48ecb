"""The Bayesian reading beside the test: what the posterior says, with its prior stated.

Reading it early does not cure peeking: "chance to win over 95% on any day" is wrong in about 19% of A/A tests of
14 days (docs/statistics/bayes.md).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from experiments.errors import Invalid, NotEstimable

Direction = Literal["increase", "decrease"]


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """What is believed of an effect before the data: normal with this mean and standard deviation.

    A prior is stated on the lift (relative); `on_difference` restates it on the metric's own scale.
    """

    mean: float
    standard_deviation: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.mean):
            raise Invalid.at("prior.mean", f"{self.mean} is not a number")
        if not 0 < self.standard_deviation < np.inf:
            raise Invalid.at("prior.standard_deviation", f"{self.standard_deviation} is not above 0")

    def on_difference(self, control_value: float) -> "NormalPrior":
        """This prior on the lift, as a prior on the difference: both moments times |control's value|."""
        scale = abs(control_value)
        if not 0 < scale < np.inf:
            raise NotEstimable("a prior on the lift says nothing of the difference when control is zero")
        return NormalPrior(self.mean * scale, self.standard_deviation * scale)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Belief about one effect (treatment minus control) after the data.

    `expected_loss` is what shipping the treatment gives up on average, in units of the effect, if control was better
    after all; `expected_loss_of_control` what keeping control gives up.
    """

    chance_to_win: float
    expected_loss: float
    mean: float
    standard_deviation: float
    low: float
    high: float
    expected_loss_of_control: float


def normal_reading(
    estimate: float,
    standard_error: float,
    prior: NormalPrior | None = None,
    direction: Direction = "increase",
    confidence: float = 0.95,
) -> Posterior:
    """Normal likelihood and normal prior (flat when None): precisions add.

    Gelman et al., Bayesian Data Analysis, 3rd ed., s. 2.5. The prior is on the same scale as the estimate.
    """
    if not (np.isfinite(estimate) and np.isfinite(standard_error)):
        raise NotEstimable("the effect has no finite estimate and standard error")
    if standard_error <= 0:
        raise NotEstimable("zero variance: there is nothing uncertain to update on")
    mean, deviation = _combine(estimate, standard_error, prior)
    z = mean / deviation
    half = float(ndtri(0.5 + confidence / 2)) * deviation
    wins, lost, gained = float(ndtr(z)), deviation * _excess(-z), deviation * _excess(z)
    if direction == "decrease":
        wins, lost, gained = float(ndtr(-z)), gained, lost
    return Posterior(wins, lost, mean, deviation, mean - half, mean + half, gained)


def _combine(estimate: float, standard_error: float, prior: NormalPrior | None) -> tuple[float, float]:
    if prior is None:
        return estimate, standard_error
    # written with ratios: precisions of 1e-320 and 1e320 would both overflow
    ratio = standard_error / prior.standard_deviation
    kept = 1 / (1 + ratio * ratio) if ratio < 1e150 else 0.0  # beyond it the square overflows
    mean = kept * estimate + (1 - kept) * prior.mean
    return mean, standard_error * float(np.sqrt(kept)) if kept else prior.standard_deviation


def _excess(z: float) -> float:
    """E[max(Z + z, 0)] of a standard normal Z: phi(z) + z * Phi(z), without cancellation far below zero."""
    if z < -5:  # phi(z) (1 + z m(-z)) with Mills' ratio m by its continued fraction (Abramowitz & Stegun 26.2.14)
        fraction = 0.0
        for k in range(60, 1, -1):
            fraction = k / (-z + fraction)
        mills = 1 / (-z + 1 / (-z + fraction))
        return float(np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * mills / (-z + fraction))
    return float(np.exp(-z * z / 2) / np.sqrt(2 * np.pi) + z * ndtr(z))
