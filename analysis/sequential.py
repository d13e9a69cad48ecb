"""Readings that stay valid however often one looks: asymptotic confidence sequences and the mixture SPRT.

Both mix the likelihood ratio over a normal effect, so they are one family:
log E = z^2 r / (2 (1 + r)) - log(1 + r) / 2, where r is the mixing variance over the squared standard error.
A confidence sequence takes r = n rho^2 with rho tuned to the planned sample (Waudby-Smith, Arbour, Sinha, Kennedy &
Ramdas, arXiv 2103.06476, Annals of Statistics 2024, eq. 9); the mSPRT takes r = tau^2 / se^2 with a fixed
tau^2 (Johari, Koomen, Pekelis & Walsh 2017).

The guarantee is asymptotic: below about 100 conversions an arm the numbers are too early to act on.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from experiments.errors import Invalid, NotEstimable

Alternative = Literal["two-sided", "greater", "less"]
Array = NDArray[np.float64]
Number = TypeVar("Number", float, Array)


UNPLANNED_UNITS = 5000.0
"""Where a sequence is tuned when nobody planned a number of units (GrowthBook's default).

Never the units seen so far: tuned anew at each look it is no sequence, and errs in 6 to 8% of long tests, not 5%.
"""


@dataclass(frozen=True, slots=True)
class ConfidenceSequence(Generic[Number]):
    """One reading (or an array of them) that may be taken at any time.

    The interval excludes zero exactly when p_value < alpha. `p_value` is min(1, 1 / E); `log_e_value` stays finite
    where `e_value` would not fit a double, which is then the largest one.
    """

    low: Number
    high: Number
    p_value: Number
    e_value: Number
    log_e_value: Number


@overload
def tuning(n_opt: float, alpha: float = ..., alternative: Alternative = ...) -> float: ...


@overload
def tuning(n_opt: Array, alpha: float = ..., alternative: Alternative = ...) -> Array: ...


def tuning(n_opt: float | Array, alpha: float = 0.05, alternative: Alternative = "two-sided") -> float | Array:
    """The rho whose confidence sequence is about narrowest at n_opt units, both arms together.

    Waudby-Smith et al.'s closed form (one-sided with 2 alpha), as in GrowthBook's gbstats.
    """
    if not np.all((np.asarray(n_opt) > 1e-100) & (np.asarray(n_opt) < np.inf)):
        raise Invalid.at("n_opt", f"{n_opt} is not a number of units above 0")
    if not 0 < alpha < 1:
        raise Invalid.at("alpha", f"{alpha} is not between 0 and 1")
    error = -2 * np.log(min(2 * alpha, 0.999) if alternative != "two-sided" else alpha)
    found = np.sqrt((error + np.log(error + 1)) / n_opt)
    return float(found) if np.ndim(found) == 0 else np.asarray(found)


@overload
def confidence_sequence(
    estimate: float,
    standard_error: float,
    n: float,
    n_opt: float,
    alpha: float = 0.05,
    *,
    alternative: Alternative = "two-sided",
) -> ConfidenceSequence[float]: ...


@overload
def confidence_sequence(
    estimate: Array,
    standard_error: Array,
    n: Array,
    n_opt: float | Array,
    alpha: float = 0.05,
    *,
    alternative: Alternative = ...,
) -> ConfidenceSequence[Array]: ...


def confidence_sequence(
    estimate: float | Array,
    standard_error: float | Array,
    n: float | Array,
    n_opt: float | Array,
    alpha: float = 0.05,
    *,
    alternative: Alternative = "two-sided",
) -> ConfidenceSequence[float] | ConfidenceSequence[Array]:
    """Asymptotic confidence sequence of an effect after n units (both arms together).

    Two-sided by Waudby-Smith et al. eq. 9, one-sided ("greater": the effect is above low) by their eq. 134;
    n_opt is the planned number of units, at which the interval is made tightest.
    """
    units = np.asarray(n, dtype=float)
    if not np.all(units > 0):
        raise NotEstimable("no units yet")
    ratio = np.maximum(units * tuning(n_opt, alpha, alternative) ** 2, 1e-300)
    return _mixture(estimate, standard_error, ratio, alpha, alternative)


@overload
def msprt(estimate: float, standard_error: float, tau2: float, alpha: float = ...) -> ConfidenceSequence[float]: ...


@overload
def msprt(estimate: Array, standard_error: Array, tau2: Array, alpha: float = ...) -> ConfidenceSequence[Array]: ...


def msprt(
    estimate: float | Array, standard_error: float | Array, tau2: float | Array, alpha: float = 0.05
) -> ConfidenceSequence[float] | ConfidenceSequence[Array]:
    """Mixture sequential probability ratio test with effects mixed as normal(0, tau2).

    Johari et al. 2017, Peeking at A/B Tests (KDD); tau2 about the square of the effects that are usual.
    """
    if not np.all(np.asarray(tau2) > 0):
        raise Invalid.at("tau2", "the mixing variance must be above 0")
    errors = _usable(estimate, standard_error)
    with np.errstate(over="ignore"):
        ratio = np.clip(np.sqrt(np.asarray(tau2)) / errors, 1e-150, 1e150) ** 2
    return _mixture(estimate, standard_error, ratio, alpha, "two-sided")


def linear_model_p_value(t: float, df: float, n: float, g: float = 1.0) -> float:
    """Always-valid p-value of a regression coefficient's t statistic after n units: exact for normal errors.

    Lindon, Ham, Tingley & Bojinov 2022 (arXiv 2210.08589), the e-value of the authors' avlm. g is the prior's
    weight in units: the larger, the later the test is at its best.
    """
    if not all(1e-100 < one < 1e100 for one in (df, n, g)):
        raise Invalid.at("df, n, g", f"{df}, {n} and {g} must be above 0")
    if not np.isfinite(t):
        raise NotEstimable(f"a test statistic of {t} has no p-value")
    kept = 1 / (1 + n / g)
    squared = min(min(abs(t), 1e150) / df**0.5, 1e150) ** 2
    log_e = -np.log1p(n / g) / 2 + (df + 1) / 2 * (np.log1p(squared) - np.log1p(kept * squared))
    return float(np.exp(-max(float(log_e), 0.0)))


def boundary(ratio: Array, alpha: float = 0.05) -> Array:
    """The |z| at which a two-sided mixture rejects, for ratio = n rho^2 (or tau^2 / se^2)."""
    return np.asarray(np.sqrt(2 * (1 + 1 / ratio) * (np.log1p(ratio) / 2 - np.log(alpha))))


def running_p_value(p_values: Array) -> Array:
    """The smallest p-value so far, look by look (last axis): what an always-valid test may be decided on."""
    return np.minimum.accumulate(np.asarray(p_values, dtype=float), axis=-1)


@np.errstate(over="ignore")  # an interval wider than any double is unbounded
def _mixture(
    estimate: float | Array, standard_error: float | Array, ratio: Array, alpha: float, alternative: Alternative
) -> ConfidenceSequence[float] | ConfidenceSequence[Array]:
    errors = _usable(estimate, standard_error)
    effect = np.asarray(estimate, dtype=float)
    z = np.clip(effect / errors, -1e150, 1e150)  # whose square is still a number
    spread = np.log1p(ratio) / 2
    if alternative == "two-sided":
        log_e = 0.5 * z**2 * (ratio / (1 + ratio)) - spread
        half = errors * boundary(ratio, alpha)
    else:
        signed = z if alternative == "greater" else -z
        log_e = _log_expm1(0.5 * np.maximum(signed, 0) ** 2 * (ratio / (1 + ratio))) + np.log(2) - spread
        half = errors * np.sqrt(2 * (1 + 1 / ratio) * np.log1p(np.exp(spread) / (2 * alpha)))
    low = effect - half if alternative != "less" else np.full_like(half, -np.inf)
    high = effect + half if alternative != "greater" else np.full_like(half, np.inf)
    p_value = np.exp(-np.maximum(log_e, 0))
    e_value = np.exp(np.minimum(log_e, _LOG_LARGEST))
    answer = (low, high, p_value, e_value, log_e)
    if np.ndim(log_e) == 0:
        return ConfidenceSequence(*(float(part) for part in answer))
    return ConfidenceSequence(*np.broadcast_arrays(*answer))


_LOG_LARGEST = float(np.log(np.finfo(float).max))


def _log_expm1(x: Array) -> Array:
    """log(e^x - 1); at x = 0 the log of the smallest double, so that no infinity leaves the room."""
    return np.where(x > 30, x, np.log(np.maximum(np.expm1(np.minimum(x, 30)), np.finfo(float).tiny)))


def _usable(estimate: float | Array, standard_error: float | Array) -> Array:
    errors = np.asarray(standard_error, dtype=float)
    if not (np.all(np.isfinite(errors)) and np.all(np.isfinite(estimate))):
        raise NotEstimable("the effect has no finite estimate and standard error")
    if not np.all(errors > 0):
        raise NotEstimable("zero variance: no interval can be given")
    return errors
