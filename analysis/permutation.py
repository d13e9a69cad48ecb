"""Permutation tests: what the split of the units alone would do to the statistic.

The studentised one keeps its level for unlike variances too, and exactly where the variants do not differ at all (Chung
& Romano 2013, Annals of Statistics 41). Its distribution stands in for Student's where that is not safe: in small
samples, and for heavy tails in uneven splits, where the statistic and its own error go together.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from analysis.fieller import Interval
from analysis.inversion import agreeing
from experiments.errors import Invalid, NotEstimable

Array = NDArray[np.float64]
Statistic = Literal["studentised", "difference"]

MOST_SPLITS = 20_000
"""Up to so many splits are all looked at; beyond, a sample of them is."""
MOST_DRAWN = 30_000_000
FEWEST_PERMUTATIONS = 999


@dataclass(frozen=True, slots=True)
class Units:
    """A variant's units: the columns (numerator, or numerator and denominator) of those that are not all 0."""

    units: int
    columns: tuple[Array, ...]

    @classmethod
    def of(cls, values: Array, over: Array | None = None) -> "Units":
        """Units by their values, or by numerators over denominators."""
        columns = [np.asarray(values, dtype=np.float64)]
        columns += [] if over is None else [np.asarray(over, dtype=np.float64)]
        if any(c.shape != columns[0].shape or c.ndim != 1 or not np.isfinite(c).all() for c in columns):
            raise Invalid.at("values", "columns of finite numbers, one entry a unit")
        return cls(len(columns[0]), tuple(columns))


@dataclass(frozen=True, slots=True)
class Permuted:
    """The two-sided p-value (twice the smaller tail), and the interval of the difference that agrees with it.

    An end that the permutations do not reach is None. `exact` where every split was looked at.
    """

    p_value: float
    low: float | None
    high: float | None
    permutations: int
    exact: bool

    def to_dict(self) -> dict[str, Any]:
        """As the report has it."""
        difference = {"low": self.low, "high": self.high}
        return {
            "p_value": self.p_value, "difference": difference, "permutations": self.permutations, "exact": self.exact
        }  # fmt: skip


def permute(
    control: Units,
    treatment: Units,
    rng: Generator,
    permutations: int = 9_999,
    alpha: float = 0.05,
    statistic: Statistic = "studentised",
) -> Permuted:
    """Test the difference of means, or of ratios, by splitting the same units anew; raises NotEstimable.

    The interval is estimate - t* x standard error over the permuted statistics t*, the p-value (1 + those as far out) /
    (1 + permutations): Phipson & Smyth 2010. All splits are looked at where there are few.
    """
    if min(control.units, treatment.units) < 2:
        raise NotEstimable("a permutation test needs two units in each variant")
    smaller = min(control, treatment, key=lambda side: side.units)
    features, total = _features(control, treatment)
    sizes = (smaller.units, control.units + treatment.units - smaller.units)
    splits = math.comb(sum(sizes), smaller.units) if sum(sizes) <= 60 else MOST_SPLITS + 1
    first = _features(smaller)[0].sum(axis=0)
    seen, error, estimate = _statistic(first[None, :], total, sizes, statistic)
    if not (error[0] > 0 or statistic == "difference"):
        raise NotEstimable("zero variance")
    if splits <= MOST_SPLITS:
        every = np.vstack([features, np.zeros((sum(sizes) - len(features), features.shape[1]))])
        chosen = np.array(list(combinations(range(len(every)), smaller.units)))
        sums = every[chosen].sum(axis=1)
    else:
        drawn = _sums(features, sizes, rng, _affordable(permutations, len(features) * smaller.units / sum(sizes)))
        sums = np.vstack([first[None, :], drawn])
    found = _statistic(sums, total, sizes, statistic)[0]
    sign = 1.0 if smaller is treatment else -1.0
    return _reading(
        sign * found, sign * float(seen[0]), sign * float(estimate[0]), float(error[0]), alpha, splits <= MOST_SPLITS
    )


def _affordable(permutations: int, busy: float) -> int:
    """As many as are asked for, or as the time allows; raises NotEstimable where those are too few."""
    most = int(MOST_DRAWN / max(busy, 1.0))
    if min(permutations, most) < FEWEST_PERMUTATIONS:
        raise NotEstimable("too many units, or too few permutations, for a permutation test")
    return min(permutations, most)


def _features(*sides: Units) -> tuple[Array, Array]:
    """What is summed over units: y and y^2, or y, n, y^2, yn and n^2, of those units that are not all 0."""
    columns = [np.concatenate([side.columns[i] for side in sides]) for i in range(len(sides[0].columns))]
    busy = np.logical_or.reduce([c != 0 for c in columns])
    y, *over = (c[busy] for c in columns)
    features = np.stack([y, y * y] if not over else [y, over[0], y * y, y * over[0], over[0] * over[0]], axis=-1)
    return features, features.sum(axis=0)


def _sums(features: Array, sizes: tuple[int, int], rng: Generator, permutations: int) -> Array:
    """The smaller side's sums in so many random splits.

    One shuffle of the units holds as many of them as the smaller side goes into all: each is a random split by itself.
    """
    blocks = min(max(sum(sizes) // sizes[0], 1), 1000, permutations)
    rest = sum(sizes) - blocks * sizes[0]
    rounds = -(-permutations // blocks)
    busy = rng.multivariate_hypergeometric([*[sizes[0]] * blocks, rest], len(features), size=rounds)[:, :blocks]
    ends = np.concatenate([np.zeros((rounds, 1), dtype=np.int64), np.cumsum(busy, axis=1)], axis=1)
    out = np.empty((rounds, blocks, features.shape[1]))
    running = np.zeros((len(features) + 1, features.shape[1]))
    for i in range(rounds):
        np.cumsum(features[rng.permutation(len(features))], axis=0, out=running[1:])
        out[i] = running[ends[i, 1:]] - running[ends[i, :-1]]
    return out.reshape(-1, features.shape[1])[:permutations]


def _statistic(
    sums: Array, total: Array, sizes: tuple[int, int], statistic: Statistic
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The statistic, the standard error and the difference: the side the sums are of, less the other."""
    (one, v_one), (two, v_two) = _moments(sums, sizes[0]), _moments(total - sums, sizes[1])
    difference, error = one - two, np.sqrt(v_one + v_two)
    if statistic == "difference":
        return difference, error, difference
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(difference == 0, 0.0, difference / error)
    return t, error, difference


def _moments(sums: Array, units: int) -> tuple[Array, Array]:
    """Value and squared standard error of a mean, or of a ratio by the delta method."""
    if sums.shape[1] == 2:
        mean = sums[:, 0] / units
        return mean, np.maximum(sums[:, 1] - sums[:, 0] * mean, 0.0) / (units - 1) / units
    y, n, yy, yn, nn = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(n != 0, y / n, 0.0)
        residual = np.maximum(yy - 2 * ratio * yn + ratio**2 * nn, 0.0)
        return ratio, np.where(n != 0, residual / (units - 1) * units / n**2, 0.0)


def _reading(found: Array, seen: float, estimate: float, error: float, alpha: float, exact: bool) -> Permuted:
    # sums in another order differ in the last digit
    slack = 1e-9 * max(abs(seen), 1e-300) if math.isfinite(seen) else 0.0
    count = len(found)
    above, below = int((found >= seen - slack).sum()), int((found <= seen + slack).sum())
    p_value = min(1.0, 2 * min(above, below) / count)
    # the end leaves out 0 exactly when 2 * above / count < alpha
    reach = math.ceil(round(alpha / 2 * count, 9))
    ordered = np.sort(found)
    scale = error if error > 0 else 1.0

    def end(quantile: float) -> float | None:
        return estimate - quantile * scale if math.isfinite(quantile) else None

    if not 1 <= reach <= count:
        return Permuted(p_value, None, None, count, exact)
    ends = Interval(end(float(ordered[count - reach])), end(float(ordered[reach - 1])))
    ends = agreeing(ends, estimate, p_value < alpha)
    return Permuted(p_value, ends.low, ends.high, count, exact)
