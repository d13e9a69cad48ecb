"""Effects by segment: is there an interaction at all, what to believe of a level by itself, and strata that help."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from analysis.lift import Estimates
from analysis.moments import Moments
from experiments.errors import NotEstimable
from experiments.metrics import Metric
from experiments.wording import worded

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interaction:
    """Cochran's Q that all levels have one effect."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def interaction(effects: Sequence[float], standard_errors: Sequence[float]) -> Interaction:
    """Do the effects of the levels differ by more than their errors? Cochran's (1954) Q, chi-square with k - 1."""
    effect, precision = _usable(effects, standard_errors)
    if len(effect) < 2:
        raise NotEstimable(worded("an interaction needs two levels with an effect each"))
    centre = float(precision @ effect / precision.sum())
    q = float(precision @ (effect - centre) ** 2)
    return Interaction(q, len(effect) - 1, float(chdtrc(len(effect) - 1, q)))


def shrink(effects: Sequence[float], standard_errors: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Each level's effect drawn to the common one, with its standard error: what to believe of a level by itself.

    Empirical Bayes with the variance between levels of DerSimonian & Laird (1986); where that is 0 all are one effect.
    """
    unit, effect, precision, between, common, error = _scaled(effects, standard_errors)
    kept = between / (between + 1 / precision)
    # the common effect is itself uncertain, and enters by the part that is not kept
    variance = kept / precision + (1 - kept) ** 2 * error
    drawn = kept * effect + (1 - kept) * common
    return tuple(zip(map(float, drawn * unit), map(float, np.sqrt(variance) * unit), strict=True))


@dataclass(frozen=True, slots=True)
class Pooled:
    """Effects of one kind taken together: their mean with its standard error, and how far true ones lie apart."""

    mean: float
    standard_error: float
    between: float


def pool(effects: Sequence[float], standard_errors: Sequence[float]) -> Pooled:
    """The random-effects mean and the standard deviation between effects of DerSimonian & Laird (1986)."""
    if not len(effects):
        raise NotEstimable("there is no effect to take together")
    unit, _, _, between, common, error = _scaled(effects, standard_errors)
    return Pooled(common * unit, float(np.sqrt(error)) * unit, float(np.sqrt(between)) * unit)


def _scaled(
    effects: Sequence[float], standard_errors: Sequence[float]
) -> tuple[float, Array, Array, float, float, float]:
    """The unit, and in it: effects, precisions, variance between them, their mean, and its variance.

    In units of the smallest error, whose square and fourth power are doubles whatever is measured.
    """
    unit = min(standard_errors, default=1.0)
    effect, precision = _usable(effects, standard_errors)
    effect, precision = effect / unit, (unit / np.asarray(standard_errors, dtype=np.float64)) ** 2
    centre = float(precision @ effect / precision.sum())
    q = float(precision @ (effect - centre) ** 2)
    spread = precision.sum() - (precision @ precision) / precision.sum()
    between = max((q - (len(effect) - 1)) / spread, 0.0) if spread > 0 else 0.0
    weight = 1 / (1 / precision + between)
    return unit, effect, precision, between, float(weight @ effect / weight.sum()), float(1 / weight.sum())


def post_stratify(metric: Metric, strata: Mapping[str, Sequence[Moments]], adjust: bool = False) -> Estimates:
    """The metric with strata weighted by their share of all units, every variant alike: less variance, same question.

    `strata` holds the variants' Moments in one order. Miratrix, Sekhon & Yu 2013, with each variant's own variance in
    each stratum; strata with fewer than two units in a variant are merged. With `adjust`, CUPED within strata.
    """
    adjust = adjust and bool(metric.covariates)
    columns = (*metric.columns, *(metric.covariates if adjust else ()))
    cells = _merged([[m.restrict(columns) for m in variants] for variants in strata.values()])
    units = np.array([[float(m.n) for m in variants] for variants in cells])
    share = units.sum(axis=1) / units.sum()
    means = np.einsum("k,kai->ai", share, np.array([[m.mean for m in variants] for variants in cells]))
    covariances = np.array([[m.cov for m in variants] for variants in cells])
    values, influence = _linear(metric, means)
    slope = None
    if adjust:
        slope = _slope(covariances, influence, units, len(metric.columns))
        grand = units.sum(axis=0) / units.sum() @ means[:, len(metric.columns) :]
        values = values - (means[:, len(metric.columns) :] - grand) @ slope
        influence[:, len(metric.columns) :] = -slope
    own = np.einsum("k,ai,kaij,aj,ka->a", share**2, influence, covariances, influence, 1 / units)
    return Estimates(values, np.diag(own), own, units.sum(axis=0), values - values[0], slope)


def _linear(metric: Metric, means: Array) -> tuple[Array, Array]:
    influence = np.zeros_like(means)
    if metric.denominator is None:
        influence[:, 0] = 1.0
        return means[:, 0].copy(), influence
    if (means[:, 1] == 0).any():
        raise NotEstimable(f"no {metric.denominator} in a variant: there is nothing to divide by")
    values = means[:, 0] / means[:, 1]
    influence[:, 0], influence[:, 1] = 1 / means[:, 1], -values / means[:, 1]
    return values, influence


def _slope(covariances: Array, influence: Array, units: Array, measured: int) -> Array:
    pooled = (units - 1)[..., None, None] * covariances
    s_xx = pooled[..., measured:, measured:].sum(axis=(0, 1))
    s_xl = np.einsum("kaij,aj->i", pooled[..., measured:, :], influence)
    return np.asarray(np.linalg.pinv(s_xx, rcond=1e-10, hermitian=True) @ s_xl)


def _merged(cells: Sequence[Sequence[Moments]]) -> list[list[Moments]]:
    """Strata with two units or more in every variant; the small ones are merged, then joined to the smallest whole."""
    whole = [list(variants) for variants in cells if all(m.n >= 2 for m in variants)]
    small = [variants for variants in cells if any(m.n < 2 for m in variants)]
    if not small:
        return whole
    rest = list(small[0])
    for variants in small[1:]:
        rest = [a + b for a, b in zip(rest, variants, strict=True)]
    if all(m.n >= 2 for m in rest):
        return [*whole, rest]
    if not whole:
        raise NotEstimable("no stratum has two units in every variant")
    smallest = min(range(len(whole)), key=lambda i: sum(m.n for m in whole[i]))
    whole[smallest] = [a + b for a, b in zip(whole[smallest], rest, strict=True)]
    return whole


def _usable(effects: Sequence[float], standard_errors: Sequence[float]) -> tuple[Array, Array]:
    effect, error = np.asarray(effects, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    if not (np.isfinite(effect).all() and np.isfinite(error).all() and (error > 0).all()):
        raise NotEstimable(worded("every level needs an effect with a standard error above 0"))
    return effect, 1 / error**2
