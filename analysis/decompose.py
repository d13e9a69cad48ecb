"""Where a change of revenue per unit came from: conversion, order value, and in that pieces and price; exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.fieller import Interval
from analysis.moments import Moments
from analysis.report import Effect
from experiments.errors import Invalid, NotEstimable

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """One factor's share of the change: per unit with its interval, and for all treated units in minor units."""

    name: str
    effect: Effect
    minor_units: int


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The change of a mean per unit, and its parts, which add up to it exactly; minor units are 10**-decimals."""

    variant: str
    control: str
    change: Effect
    minor_units: int
    decimals: int
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part:
        """The part of that name; KeyError where there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)


def decompose(
    control: Moments, treatment: Moments, chain: Sequence[str], names: Sequence[str], alpha: float = 0.05,
    variants: tuple[str, str] = ("control", "treatment"),
) -> Decomposition:  # fmt: skip
    """Split the change of chain[-1] per unit over the factors chain[0]/n, chain[1]/chain[0], ...

    `names` names the factors: ("converted", "orders", "item_count", "revenue") has conversion, orders per buyer, pieces
    per order and price per piece. Each factor's part is its own change times the others at the mean of both variants,
    taken from the front (conversion against all the rest, then within the rest), so that the parts of the rest add up
    to its part. Sums are rational numbers, so nothing is left over; standard errors are by the delta method.
    """
    if len(chain) != len(names) or not chain:
        raise Invalid.at("names", "one name for each factor")
    pair = [control.restrict(chain), treatment.restrict(chain)]
    for m in pair:
        if m.n < 2 or any(t == 0 for t in m.total[:-1]):
            raise NotEstimable("a variant has nothing to divide by")
    factors = [_factors(m) for m in pair]
    decimals = max(pair[1].scales[-1], 2)
    exact = _parts(*factors)
    change = sum(exact, Fraction(0))
    gradients = _gradients(*([float(f) for f in side] for side in factors))
    influences = [_influences(m, [float(f) for f in side]) for m, side in zip(pair, factors, strict=True)]
    parts = [
        _effect(float(value), [g[k] @ i for g, i in zip(gradients, influences, strict=True)], pair, alpha)
        for k, value in enumerate(exact)
    ]
    total = _effect(
        float(change), [g.sum(axis=0) @ i for g, i in zip(gradients, influences, strict=True)], pair, alpha
    )  # fmt: skip
    scale = 10**decimals
    money = _whole([value * pair[1].n * scale for value in exact], change * pair[1].n * scale)
    return Decomposition(
        variants[1], variants[0], total, sum(money), decimals,
        tuple(Part(name, effect, cents) for name, effect, cents in zip(names, parts, money, strict=True)),
    )  # fmt: skip


def _factors(m: Moments) -> list[Fraction]:
    sums = [
        Fraction(s) / 10**scale if isinstance(s, int) else Fraction(float(t))
        for s, scale, t in zip(m.sums, m.scales, m.total, strict=True)
    ]
    return [s / (sums[i - 1] if i else m.n) for i, s in enumerate(sums)]


def _parts(control: Sequence[Fraction], treatment: Sequence[Fraction]) -> list[Fraction]:
    if len(control) == 1:
        return [treatment[0] - control[0]]
    rest_c, rest_t = _product(control[1:]), _product(treatment[1:])
    first = (treatment[0] - control[0]) * (rest_t + rest_c) / 2
    level = (treatment[0] + control[0]) / 2
    return [first, *(level * part for part in _parts(control[1:], treatment[1:]))]


def _product(values: Sequence[Fraction]) -> Fraction:
    out = Fraction(1)
    for value in values:
        out *= value
    return out


def _gradients(control: Sequence[float], treatment: Sequence[float]) -> tuple[Array, Array]:
    """The derivatives of each part by each factor, (parts, factors), for control and for treatment."""
    k = len(control)
    c, t = np.asarray(control), np.asarray(treatment)
    by_c, by_t = np.zeros((k, k)), np.zeros((k, k))
    if k == 1:
        return np.array([[-1.0]]), np.array([[1.0]])
    rest_c, rest_t = c[1:].prod(), t[1:].prod()
    by_c[0, 0], by_t[0, 0] = -(rest_c + rest_t) / 2, (rest_c + rest_t) / 2
    for j in range(1, k):
        others = [i for i in range(1, k) if i != j]
        by_c[0, j] = (t[0] - c[0]) / 2 * c[others].prod()
        by_t[0, j] = (t[0] - c[0]) / 2 * t[others].prod()
    inner = np.array([float(p) for p in _parts([Fraction(x) for x in c[1:]], [Fraction(x) for x in t[1:]])])
    inner_c, inner_t = _gradients(list(c[1:]), list(t[1:]))
    level = (c[0] + t[0]) / 2
    by_c[1:, 0] = by_t[1:, 0] = inner / 2
    by_c[1:, 1:], by_t[1:, 1:] = level * inner_c, level * inner_t
    return by_c, by_t


def _influences(m: Moments, factors: Sequence[float]) -> Array:
    """The influence of a unit's columns on each factor, (factors, columns)."""
    means = m.mean
    out = np.zeros((len(factors), len(factors)))
    for i, factor in enumerate(factors):
        over = means[i - 1] if i else 1.0
        out[i, i] = 1 / over
        if i:
            out[i, i - 1] = -factor / over
    return out


def _effect(value: float, influence: Sequence[Array], pair: Sequence[Moments], alpha: float) -> Effect:
    variance = sum(float(m.bilinear(g, g)) / m.n for g, m in zip(influence, pair, strict=True))
    error = float(np.sqrt(max(variance, 0.0)))
    reach = float(ndtri(1 - alpha / 2)) * error
    return Effect(value, value - reach, value + reach, error)


def _whole(parts: Sequence[Fraction], total: Fraction) -> list[int]:
    """The parts as whole minor units that add up to the whole total: the largest remainders are rounded up."""
    floors = [p.numerator // p.denominator for p in parts]
    short = round(total) - sum(floors)
    order = sorted(range(len(parts)), key=lambda i: parts[i] - floors[i], reverse=True)
    for i in order[:short]:
        floors[i] += 1
    return floors


def lee_bounds(control: Array, units_control: int, treatment: Array, units_treatment: int) -> Interval:
    """Bounds of the effect on the value of those who buy in either case, from the buyers' values of both variants.

    Lee (2009): where the offer only adds buyers (or only loses them), the surplus share is trimmed off the top, then
    off the bottom, of the variant with more buyers. Raises NotEstimable where a variant has no buyers.
    """
    if not len(control) or not len(treatment):
        raise NotEstimable("a variant has no buyers")
    share_c, share_t = len(control) / units_control, len(treatment) / units_treatment
    if share_t >= share_c:
        low, high = _trimmed(treatment, 1 - share_c / share_t)
        return Interval(low - float(np.mean(control)), high - float(np.mean(control)))
    low, high = _trimmed(control, 1 - share_t / share_c)
    return Interval(float(np.mean(treatment)) - high, float(np.mean(treatment)) - low)


def _trimmed(values: Array, share: float) -> tuple[float, float]:
    """The mean without the top share, and without the bottom share; a value cut in two counts by what is left of it."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    kept = len(ordered) * (1 - share)
    weight = np.clip(kept - np.arange(len(ordered)), 0.0, 1.0)
    return float((weight * ordered).sum() / kept), float((weight * ordered[::-1]).sum() / kept)
