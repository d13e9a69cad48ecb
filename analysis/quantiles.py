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
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    if n * min(level, 1 - level) <= z**2 * max(level, 1 - level):
        return QuantileSummary(count, at, None, f"{n} rows are too few for the {level:g} quantile")
    reach = z * np.sqrt(level * (1 - level) / n)
    low = float(ordered[_rank(max(level - reach, 0.0), n)])
    high = float(ordered[_rank(min(level + reach, 1.0), n)])
    plain = level * (1 - level) / n
    factor = 1.0 if units is None else np.sqrt(clustered_variance(values <= at, units) / plain)
    return QuantileSummary(count, at, float(factor) * (high - low) / (2 * z))


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
