"""The one estimator: a value for each variant, its influence on a unit's columns, and the covariance over variants.

Everything after - difference, lift, non-inferiority, corrections, monitoring - takes only that. A mean is a ratio over
the constant 1, a proportion a mean of 0 and 1, and CUPED an extension of the influence by the covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from analysis.fieller import Interval, fieller
from analysis.moments import Moments
from experiments.errors import NotEstimable
from experiments.metrics import Direction, Metric
from experiments.wording import worded

Array = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

FEW_DEGREES_OF_FREEDOM = 200
"""Below this the lift's interval takes the t quantile of the difference; above, the normal one of published tables."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Values (..., a) of one metric in a variants, and their covariance (..., a, a).

    `gaps` (..., a) are the values less the first one, rounded once: a difference keeps digits that the values lose.
    `own` (..., a) is the variance of each value from its own variant's units alone, `units` (..., a) their number;
    `slope` (..., x) is CUPED's theta.
    """

    values: Array
    covariance: Array
    own: Array
    units: Array
    gaps: Array
    slope: Array | None = None

    def gap(self, treatment: int, control: int) -> Any:
        """The treatment's value less the control's, (...)."""
        return self.gaps[..., treatment] - self.gaps[..., control]


@dataclass(frozen=True, slots=True)
class Difference:
    """An absolute effect, treatment less control, with its interval; fields have the leading axes of the Moments."""

    estimate: Any
    standard_error: Any
    degrees_of_freedom: Any
    p_value: Any
    low: Any
    high: Any


def estimate(metric: Metric, variants: Sequence[Moments], adjust: bool = False) -> Estimates:
    """The metric in each variant by the delta method over units (Deng, Knoblich & Lu 2018, eq. 3).

    With `adjust`, by CUPED on the metric's covariates (Deng et al. 2013; for ratios on the linearised ratio, Jin & Ba
    2021): one slope from the covariances within variants, pooled over all of them, and one grand mean of the
    covariates, so that a variant's number is the same in every comparison. Raises NotEstimable.
    """
    adjust = adjust and bool(metric.covariates)
    columns = (*metric.columns, *(metric.covariates if adjust else ()))
    samples = [m.restrict(columns) for m in variants]
    plain_proportion = metric.type == "proportion" and not adjust
    _refuse_too_few(samples, 1 if plain_proportion else 2)
    means = np.stack([m.mean for m in samples], axis=-2)
    values, influence = _linearised(metric, means)
    gaps = _gaps(metric, samples, values)
    units = np.stack([np.asarray(m.n, dtype=np.float64) for m in samples], axis=-1)
    if plain_proportion:
        own = values * (1 - values) / units
        return Estimates(values, _diagonal(own), own, units, gaps)
    if not adjust:
        own = _own_variances(samples, influence) / units
        return Estimates(values, _diagonal(own), own, units, gaps)
    return _adjusted(samples, means, values, gaps, influence, units, len(metric.columns))


def difference(
    estimates: Estimates,
    treatment: int,
    control: int = 0,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
) -> Difference:
    """The treatment's value less the control's by Welch's t, with Satterthwaite's degrees of freedom."""
    v_c, v_t = estimates.own[..., control], estimates.own[..., treatment]
    effect = estimates.gap(treatment, control)
    variance = (
        estimates.covariance[..., treatment, treatment]
        + estimates.covariance[..., control, control]
        - 2 * estimates.covariance[..., treatment, control]
    )
    error = np.sqrt(np.maximum(variance, 0.0))
    freedom = _freedom(v_c, v_t, estimates.units[..., control], estimates.units[..., treatment])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (effect - null) / error
    return _reading(effect, error, freedom, t, alpha, alternative)


def non_inferiority(
    estimates: Estimates,
    treatment: int,
    margin: float,
    control: int = 0,
    relative: bool = True,
    direction: Direction = "increase",
    alpha: float = 0.05,
) -> Difference:
    """Is the treatment no worse than the control by `margin` or more? One-sided; the effect is the distance to margin.

    A relative margin tests mu_t - (1 - margin) mu_c > 0 with variance v_t + (1 - margin)^2 v_c, which needs no ratio.
    """
    worse = -1.0 if direction == "increase" else 1.0
    scale = np.sign(estimates.values[..., control]) if relative else 1.0
    keep = 1.0 + worse * margin * scale if relative else 1.0
    v_c, v_t = estimates.own[..., control], estimates.own[..., treatment]
    cov = estimates.covariance
    variance = (
        cov[..., treatment, treatment] + keep**2 * cov[..., control, control] - 2 * keep * cov[..., treatment, control]
    )
    effect = estimates.gap(treatment, control) + (1.0 - keep) * estimates.values[..., control]
    effect = effect if relative else effect - worse * margin
    error = np.sqrt(np.maximum(variance, 0.0))
    freedom = _freedom(keep**2 * v_c, v_t, estimates.units[..., control], estimates.units[..., treatment])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = effect / error
    return _reading(effect, error, freedom, t, alpha, "greater" if direction == "increase" else "less")


def lift(estimates: Estimates, treatment: int, control: int = 0, alpha: float = 0.05) -> Interval:
    """The interval of the relative effect by Fieller, on the control's absolute value where that is negative."""
    reading = difference(estimates, treatment, control, alpha)
    critical = float(ndtri(1 - alpha / 2))
    if np.isfinite(reading.degrees_of_freedom) and reading.degrees_of_freedom < FEW_DEGREES_OF_FREEDOM:
        critical = float(stdtrit(reading.degrees_of_freedom, 1 - alpha / 2))
    return lift_within(estimates, treatment, critical, control)


def lift_within(estimates: Estimates, treatment: int, critical: float, control: int = 0) -> Interval:
    """Fieller's interval at a given critical value, such as the one of a look: it excludes 0 when |z| exceeds that."""
    m_c, m_t = float(estimates.values[control]), float(estimates.values[treatment])
    cov = estimates.covariance
    v_c, v_t, shared = (float(cov[i, j]) for i, j in ((control, control), (treatment, treatment), (treatment, control)))
    found = fieller(m_c, v_c, m_t, v_t, shared, critical, float(estimates.gap(treatment, control)))
    if m_c < 0 and found.low is not None and found.high is not None:
        return Interval(-found.high, -found.low, "the control's value is negative: relative to its absolute value")
    return found


def relative(estimates: Estimates, treatment: int, control: int = 0) -> float:
    """The point estimate of the lift, on the control's absolute value; raises NotEstimable where that is 0."""
    m_c = float(estimates.values[control])
    if m_c == 0:
        raise NotEstimable(worded("the control's value is 0, so there is no lift"))
    return float(estimates.gap(treatment, control)) / abs(m_c)


def omnibus(estimates: Estimates) -> tuple[float, int]:
    """Wald's chi-square that all variants have one value, and its degrees of freedom."""
    contrasts = np.hstack([-np.ones((len(estimates.values) - 1, 1)), np.eye(len(estimates.values) - 1)])
    effects = contrasts @ estimates.values
    covariance = contrasts @ estimates.covariance @ contrasts.T
    return float(effects @ np.linalg.solve(covariance, effects)), len(effects)


def _freedom(v_c: Any, v_t: Any, n_c: Any, n_t: Any) -> Any:
    """Satterthwaite's degrees of freedom, from the shares of the variance: squares of it may not be doubles."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = v_c + v_t
        return 1 / ((v_c / total) ** 2 / (n_c - 1) + (v_t / total) ** 2 / (n_t - 1))


def _refuse_too_few(samples: Sequence[Moments], needed: int) -> None:
    for m in samples:
        if m.exact and m.n < 1:
            raise NotEstimable(worded("a variant has no units"))
        if m.exact and m.n < needed:
            raise NotEstimable(worded("a variant has a single unit, so its variance is not known"))


def _gaps(metric: Metric, samples: Sequence[Moments], values: Array) -> Array:
    """The values less the first: by rational numbers where the sums are Python numbers."""
    if not all(m.exact for m in samples):
        return values - values[..., :1]
    exact = [m.mean_fraction(metric.numerator) for m in samples]
    if metric.denominator is not None:
        exact = [mean / m.mean_fraction(metric.denominator) for mean, m in zip(exact, samples, strict=True)]
    return np.array([float(value - exact[0]) for value in exact])


def _linearised(metric: Metric, means: Array) -> tuple[Array, Array]:
    """Values (..., a) and influence (..., a, k) of a unit's columns on them."""
    influence = np.zeros_like(means)
    if metric.denominator is None:
        influence[..., 0] = 1.0
        return means[..., 0], influence
    over = means[..., 1]
    if over.ndim == 1 and bool((over == 0).any()):
        raise NotEstimable(
            worded("no %(column)s in a variant: there is nothing to divide by", column=str(metric.denominator))
        )
    values = means[..., 0] / over
    influence[..., 0] = 1.0 / over
    influence[..., 1] = -values / over
    return values, influence


def _variances(samples: Sequence[Moments], g: Array, h: Array) -> Array:
    return np.stack(
        [np.asarray(m.bilinear(g[..., i, :], h[..., i, :]), dtype=np.float64) for i, m in enumerate(samples)], axis=-1
    )


def _own_variances(samples: Sequence[Moments], g: Array) -> Array:
    """The variance of each variant's linear form; exactly 0 where nothing but rounding is left of it."""
    variances = _variances(samples, g, g)
    if int(np.count_nonzero(g[..., 0, :].reshape(-1, g.shape[-1])[0])) < 2:
        return np.maximum(variances, 0.0)
    for i, m in enumerate(samples):
        size = np.abs(g[..., i, :])
        terms = np.einsum("...i,...ij,...j->...", size, np.abs(m.cov), size)
        # exact sums leave the rounding of g squared, sums of doubles their own
        noise = 1e-28 if m.integral else 1e-14
        variances[..., i] = np.where(variances[..., i] > noise * terms, variances[..., i], 0.0)
    return variances


def _diagonal(own: Array) -> Array:
    return own[..., :, None] * np.eye(own.shape[-1])


def _adjusted(
    samples: Sequence[Moments],
    means: Array,
    values: Array,
    gaps: Array,
    influence: Array,
    units: Array,
    measured: int,
) -> Estimates:
    covs = np.stack([m.cov for m in samples], axis=-3)
    pooled = (units - 1)[..., None, None] * covs
    s_xx = pooled[..., measured:, measured:].sum(axis=-3)
    s_xl = np.einsum("...aij,...aj->...i", pooled[..., measured:, :], influence)
    slope = _solve(s_xx, s_xl)
    # relative to the grand mean of the covariates over all variants
    shares = units / units.sum(axis=-1, keepdims=True)
    covariates = means[..., measured:]
    grand = np.einsum("...a,...ax->...x", shares, covariates)
    adjusted = values - np.einsum("...ax,...x->...a", covariates - grand[..., None, :], slope)
    gaps = gaps - np.einsum("...ax,...x->...a", covariates - covariates[..., :1, :], slope)
    residual = influence.copy()
    residual[..., measured:] = -slope[..., None, :]
    own = _own_variances(samples, residual) / units
    # the grand mean is shared: variant j moves variant i's value by share_j * slope
    shared = np.zeros_like(influence)
    shared[..., measured:] = slope[..., None, :]
    toward = _variances(samples, residual, shared) / units * shares
    among = (_variances(samples, shared, shared) / units * shares**2).sum(axis=-1)
    covariance = _diagonal(own) + toward[..., :, None] + toward[..., None, :] + among[..., None, None]
    return Estimates(adjusted, covariance, own, units, gaps, slope)


def _solve(s_xx: Array, s_xl: Array) -> Array:
    """The slope, on the scale of correlations, so that units of measure and collinear covariates do no harm."""
    scale = np.sqrt(np.diagonal(s_xx, axis1=-2, axis2=-1))
    safe = np.where(scale > 0, scale, 1.0)
    correlation = s_xx / safe[..., :, None] / safe[..., None, :]
    inverse = np.linalg.pinv(correlation, rcond=1e-10, hermitian=True)
    return np.asarray(np.einsum("...ij,...j->...i", inverse, s_xl / safe) / safe)


def _reading(effect: Any, error: Any, freedom: Any, t: Any, alpha: float, alternative: Alternative) -> Difference:
    with np.errstate(invalid="ignore"):
        if alternative == "two-sided":
            reach = stdtrit(freedom, 1 - alpha / 2) * error
            return Difference(effect, error, freedom, 2 * stdtr(freedom, -np.abs(t)), effect - reach, effect + reach)
        reach = stdtrit(freedom, 1 - alpha) * error
        if alternative == "greater":
            return Difference(effect, error, freedom, stdtr(freedom, -t), effect - reach, np.inf + effect)
        return Difference(effect, error, freedom, stdtr(freedom, t), -np.inf + effect, effect + reach)
