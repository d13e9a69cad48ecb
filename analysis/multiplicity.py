"""Adjusted p-values for several questions asked of one experiment.

Which family: Dunnett (`analysis.dunnett`) or Holm for several variants against one control, Benjamini-Hochberg over
secondary metrics. An untested question (None) stays None and is not counted.
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.dunnett import dunnett, dunnett_critical
from experiments.errors import Invalid

__all__ = ["Method", "adjust", "dunnett", "dunnett_critical", "simultaneous_alpha"]

Method = Literal["none", "bonferroni", "sidak", "holm", "holm_sidak", "hochberg", "hommel", "bh", "by"]
_Array = NDArray[np.float64]


def adjust(p_values: Sequence[float | None], method: Method) -> tuple[float | None, ...]:
    """Adjusted p-values in the order given; reject those at or below alpha.

    bonferroni, sidak, holm (1979), holm_sidak, hochberg (1988) and hommel (1988) hold the family-wise error rate,
    bh (Benjamini & Hochberg 1995) and by (Benjamini & Yekutieli 2001, any dependence) the false discovery rate.
    """
    if method not in get_args(Method):
        raise Invalid.at("method", f"{method!r} is not one of {', '.join(get_args(Method))}")
    tested = [index for index, p in enumerate(p_values) if p is not None]
    given = np.array([p_values[index] for index in tested], dtype=float)
    if not np.all((given >= 0) & (given <= 1)):
        raise Invalid.at("p_values", "a p-value lies between 0 and 1")
    if method == "none" or not tested:
        return tuple(p_values)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(_ADJUST[method](given[order]), 1.0)
    answer: list[float | None] = [None] * len(p_values)
    for index, value in zip(tested, adjusted, strict=True):
        answer[index] = float(value)
    return tuple(answer)


def simultaneous_alpha(method: Method, questions: int, alpha: float) -> float | None:
    """The alpha of each interval so that all hold together and agree with the adjusted p-values.

    None where the method has no such intervals: those of the stepwise procedures do not exist in closed form.
    """
    if method == "none" or questions <= 1:
        return alpha
    if method == "bonferroni":
        return alpha / questions
    if method == "sidak":
        return float(-np.expm1(np.log1p(-alpha) / questions))
    return None


def _bonferroni(p: _Array) -> _Array:
    return p * len(p)


def _sidak(p: _Array) -> _Array:
    return _any_of(p, np.full(len(p), len(p)))


def _holm(p: _Array) -> _Array:
    return _running_max(p * _left(p))


def _holm_sidak(p: _Array) -> _Array:
    return _running_max(_any_of(p, _left(p)))


def _hochberg(p: _Array) -> _Array:
    return _running_min_from_the_top(p * _left(p))


def _benjamini_hochberg(p: _Array) -> _Array:
    # p * (m / rank): the division first keeps 1e-300 from losing digits
    return _running_min_from_the_top(p * (len(p) / np.arange(1, len(p) + 1)))


def _benjamini_yekutieli(p: _Array) -> _Array:
    harmonic = float(np.sum(1 / np.arange(1, len(p) + 1)))
    return _running_min_from_the_top(p * (harmonic * len(p) / np.arange(1, len(p) + 1)))


def _hommel(p: _Array) -> _Array:
    """Hommel 1988 by the algorithm of Wright 1992, Adjusted p-values for simultaneous inference, appendix."""
    m = len(p)
    adjusted = np.full(m, np.min(m * p / np.arange(1, m + 1)))
    so_far = adjusted.copy()
    for size in range(m - 1, 1, -1):
        low, high = np.arange(m - size + 1), np.arange(m - size + 1, m)
        smallest = np.min(size * p[high] / np.arange(2, size + 1))
        so_far[low] = np.minimum(size * p[low], smallest)
        so_far[high] = so_far[m - size]
        adjusted = np.maximum(adjusted, so_far)
    return np.maximum(adjusted, p)


def _left(p: _Array) -> NDArray[np.int_]:
    """How many hypotheses are left at each step down: m, m - 1, …, 1."""
    return np.arange(len(p), 0, -1)


def _any_of(p: _Array, count: NDArray[np.int_]) -> _Array:
    """1 - (1 - p) ** count, without losing small p."""
    with np.errstate(divide="ignore"):  # p = 1 is log(0) = -inf, whose expm1 is the -1 wanted
        return -np.expm1(count * np.log1p(-p))


def _running_max(p: _Array) -> _Array:
    return np.maximum.accumulate(p)


def _running_min_from_the_top(p: _Array) -> _Array:
    return np.minimum.accumulate(p[::-1])[::-1]


_ADJUST: dict[str, Callable[[_Array], _Array]] = {
    "bonferroni": _bonferroni,
    "sidak": _sidak,
    "holm": _holm,
    "holm_sidak": _holm_sidak,
    "hochberg": _hochberg,
    "hommel": _hommel,
    "bh": _benjamini_hochberg,
    "by": _benjamini_yekutieli,
}
