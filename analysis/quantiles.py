"""Quantiles, with units as clusters where a unit has several rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.sample import QuantileSummary

# the outer interval whose width gives the standard error (Deng, Knoblich & Lu 2018, section 4.3)
CONFIDENCE = 0.95


def summarise(values: NDArray[np.float64], level: float, units: NDArray[np.int64] | None = None) -> QuantileSummary:
    """The quantile of rows with its standard error; `units` names each row's unit where units have several rows.

    The outer confidence interval of order statistics, widened by the clusters' share of the variance of the rows below
    the quantile (Deng, Knoblich & Lu 2018, section 4.3; Yao, Li & Lu 2024, algorithm 1).
    """
    n = len(values)
    count = n if units is None else len(np.unique(units))
    if n == 0:
        return QuantileSummary(0, None, None, "no rows")
    ordered = np.sort(values)
    at = float(ordered[_rank(level, n)])
    if count < 2:
        return QuantileSummary(count, at, None, "a variant has a single unit, so its variance is not known")
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    if n * min(level, 1 - level) <= z**2 * max(level, 1 - level):
        return QuantileSummary(count, at, None, f"{n} rows are too few for the {level:g} quantile")
    reach = z * np.sqrt(level * (1 - level) / n)
    low = float(ordered[_rank(max(level - reach, 0.0), n)])
    high = float(ordered[_rank(min(level + reach, 1.0), n)])
    if not high > low:
        return QuantileSummary(count, at, None, f"the values around the {level:g} quantile are all {at:g}")
    variance = None if units is None else clustered_variance(values <= at, units)
    return QuantileSummary(count, at, standard_error(low, high, level, n, variance))


def standard_error(
    low: float, high: float, level: float, rows: int, share_variance: float | None = None, taken_at: int | None = None
) -> float:
    """The standard error that the outer interval's width stands for.

    `share_variance` is the variance of the share of rows below the quantile with units as clusters, None where each row
    is a unit; `taken_at` the number of rows the interval's ranks were computed for, where that is not `rows`.
    """
    # the sample variance of the indicator, with its n - 1, as the clusters' variance has it
    plain = level * (1 - level) / (rows - 1)
    cluster = 1.0 if share_variance is None else share_variance / plain
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    return float((high - low) / (2 * z) * np.sqrt(cluster * (taken_at or rows) / rows))


def clustered_variance(below: NDArray[np.bool_], units: NDArray[np.int64]) -> float:
    """The variance of the share of rows below, a ratio over units by the delta method."""
    _, code = np.unique(units, return_inverse=True)
    return ratio_variance(np.bincount(code, weights=below), np.bincount(code))


def ratio_variance(numerator: NDArray[Any], denominator: NDArray[Any]) -> float:
    """The variance of sum(numerator) / sum(denominator) over units (Deng, Knoblich & Lu 2018, eq. 3)."""
    n = len(numerator)
    residual = numerator - numerator.sum() / denominator.sum() * denominator
    return float(residual @ residual) / (n - 1) * n / denominator.sum() ** 2 if n > 1 else 0.0


def _rank(level: float, n: int) -> int:
    return min(max(int(np.ceil(level * n)) - 1, 0), n - 1)
