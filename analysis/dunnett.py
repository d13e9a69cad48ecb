"""Several variants against one control: Dunnett 1955, exact, with the variances each variant really has.

The comparisons share control's error, so T_i and T_j correlate as lambda_i lambda_j with
lambda_i = sqrt(v_0 / (v_0 + v_i)) (v = squared standard error of a variant's value; Hochberg & Tamhane 1987, ch. 5).
Given control's error the comparisons are independent, so the probability is one integral over it: composite
Gauss-Legendre with panels placed where the integrand turns. With df a second integral runs over the pooled deviation.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri, gammaln, ndtr, ndtri, stdtr, stdtrit

from experiments.errors import Invalid, NotEstimable

Alternative = Literal["two-sided", "greater", "less"]
_Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_REACH = 39.0  # the normal density is zero in double precision beyond it
_ALMOST_ONE = 1 - 2.0**-53
_TURN = np.arange(-9.0, 9.5, 1.0)
_SHARP = 0.5  # turns narrower than this get panels of their own


def dunnett(
    statistics: Sequence[float | None],
    control_variance: float,
    treatment_variances: Sequence[float],
    df: float | None = None,
    *,
    alternative: Alternative = "two-sided",
    step_down: bool = False,
) -> tuple[float | None, ...]:
    """Adjusted p-values of the comparisons with control, in the order given; None stays None and is not counted.

    Variances are squared standard errors of each variant's value. `df` is that of a common variance, None for z
    statistics. Single-step p-values agree with the simultaneous intervals of `dunnett_critical`; step-down ones
    (Dunnett & Tamhane 1991) decide with more power and never exceed them.
    """
    if len(statistics) != len(treatment_variances):
        raise Invalid.at("treatment_variances", "one variance for each statistic")
    tested = [i for i, statistic in enumerate(statistics) if statistic is not None]
    extremes = np.array([_extremeness(statistics[i], alternative) for i in tested])
    loadings = _loadings(control_variance, [treatment_variances[i] for i in tested])
    order = np.argsort(-extremes, kind="stable")
    found = np.empty(len(tested))
    so_far = 0.0
    for rank, which in enumerate(order):
        family = order[rank:] if step_down else order
        so_far = max(so_far, _p_value(float(extremes[which]), loadings[family], df, alternative))
        found[which] = so_far
    answer: list[float | None] = [None] * len(statistics)
    for index, value in zip(tested, found, strict=True):
        answer[index] = float(value)
    return tuple(answer)


def dunnett_critical(
    control_variance: float,
    treatment_variances: Sequence[float],
    alpha: float = 0.05,
    df: float | None = None,
    *,
    alternative: Alternative = "two-sided",
) -> float:
    """The c for which all intervals estimate +- c * standard_error hold together with probability 1 - alpha."""
    if not 0 < alpha < 1:
        raise Invalid.at("alpha", f"{alpha} is not between 0 and 1")
    loadings = _loadings(control_variance, treatment_variances)
    if not len(loadings):
        raise Invalid.at("treatment_variances", "no variant to compare")
    sides = 2 if alternative == "two-sided" else 1

    def at(tail: float) -> float:
        return float(-ndtri(tail) if df is None else -stdtrit(df, tail))

    low, high = at(alpha / sides), at(alpha / sides / len(loadings))
    if len(loadings) == 1:
        return low
    # one-sided alphas above a half bracket a negative c
    wider = 1e-9 + 1e-9 * abs(high)
    return float(
        brentq(lambda c: _exceedance(c, loadings, df, alternative) - alpha, low - wider, high + wider, xtol=1e-13)
    )


def _extremeness(statistic: float | None, alternative: Alternative) -> float:
    if statistic is None or not np.isfinite(statistic):
        raise NotEstimable(f"a test statistic of {statistic} has no p-value")
    return {"two-sided": abs(statistic), "greater": statistic, "less": -statistic}[alternative]


def _loadings(control_variance: float, treatment_variances: Sequence[float]) -> _Array:
    treated = np.asarray(treatment_variances, dtype=float)
    if not (np.isfinite(control_variance) and control_variance >= 0 and np.all(np.isfinite(treated) & (treated >= 0))):
        raise NotEstimable("a variance is negative or not finite")
    if np.any(control_variance + treated <= 0):
        raise NotEstimable("zero variance in both arms of a comparison")
    return np.sqrt(control_variance / (control_variance + treated))


def _p_value(c: float, loadings: _Array, df: float | None, alternative: Alternative) -> float:
    """The exceedance, kept between the plain p-value and its Bonferroni bound, where rounding could cross them."""
    plain = float(ndtr(-c) if df is None else stdtr(df, -c)) * (2 if alternative == "two-sided" else 1)
    if len(loadings) == 1:
        return plain
    return min(max(_exceedance(c, loadings, df, alternative), plain), len(loadings) * plain, 1.0)


def _exceedance(c: float, loadings: _Array, df: float | None, alternative: Alternative) -> float:
    """P(the largest statistic exceeds c) when no variant differs from control."""
    if df is None:
        return _normal_exceedance(c, loadings, alternative)
    if not df > 0:
        raise Invalid.at("df", f"{df} is not above 0")
    # S = sqrt(chi2_df / df): P = E[P(max |Z| > c S)]; the density in logs, as gamma(df / 2) overflows
    low, high = (float(np.sqrt(chdtri(df, tail) / df)) for tail in (1 - 1e-16, 1e-18))

    def weighted(s: _Array) -> _Array:
        half = df / 2
        log_density = np.log(2) + half * np.log(half) - gammaln(half) + (df - 1) * np.log(s) - half * s**2
        given = np.array([_normal_exceedance(c * one, loadings, alternative) for one in s])
        return np.asarray(np.exp(log_density) * given)

    # few degrees of freedom put weight near S = 0, where P turns within 1 / c: panels crowd there
    panels, crowding = (5, 1) if df >= 30 else (12, 3)
    return _integrate(weighted, low + (high - low) * np.linspace(0, 1, panels + 1) ** crowding)


def _normal_exceedance(c: float, loadings: _Array, alternative: Alternative) -> float:
    two_sided = alternative == "two-sided"
    distinct, times = np.unique(loadings, return_counts=True)
    own = np.sqrt(1 - distinct**2)
    loading, deviation = distinct[:, None], own[:, None]

    def at(u: _Array) -> _Array:
        beyond = _tail(c + loading * u, deviation)
        if two_sided:
            beyond = beyond + _tail(c - loading * u, deviation)
        inside = times @ np.log1p(-np.minimum(beyond, _ALMOST_ONE))  # log P(no statistic exceeds | control's error u)
        return np.asarray(-np.expm1(inside) * np.exp(-u * u / 2) / np.sqrt(2 * np.pi))

    reach = min(_REACH, abs(c) + 10)  # beyond it the density is nothing beside that at c
    sharp = own < _SHARP * distinct
    turns = (-c / distinct[sharp])[:, None] + (own[sharp] / distinct[sharp])[:, None] * _TURN
    edges = np.concatenate([np.arange(-reach, reach, 1.0), turns.ravel(), [reach, 0.0]])
    if two_sided:  # the integrand is even
        return 2 * _integrate(at, np.unique(np.clip(np.abs(edges), 0, reach)))
    return _integrate(at, np.unique(np.clip(edges, -reach, reach)))


def _tail(x: _Array, deviation: _Array) -> _Array:
    """P(deviation * Z > x); a step where a variant has no error of its own."""
    # the smallest double makes the quotient infinite but never 0 / 0
    with np.errstate(over="ignore"):
        return np.asarray(ndtr(-x / np.maximum(deviation, np.finfo(float).tiny)))


def _integrate(function: Callable[[_Array], _Array], edges: _Array) -> float:
    half = np.diff(edges)[:, None] / 2
    points = (edges[:-1, None] + half) + half * _NODES
    return float(np.sum(function(points.ravel()).reshape(points.shape) * _WEIGHTS * half))
