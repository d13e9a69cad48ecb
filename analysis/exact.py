"""Sums and sums of products of whole columns, exact for integers and short decimals."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.errors import Invalid

Array = NDArray[Any]

LARGEST_INTEGER = 1 << 53
"""Below this every integer is a double, and sums of such doubles are exact in any order."""

_BITS = 18
_LIMB = 1 << _BITS  # products of limbs stay below 2**36, so that 10**8 of them add up in an int64


def as_integers(array: Array) -> tuple[NDArray[np.int64], int] | None:
    """The values times 10**scale as integers, for integers and for decimals of at most 4 places; None otherwise."""
    if array.dtype.kind in "bi":
        return array.astype(np.int64, copy=False), 0
    if array.dtype.kind == "u":
        return (array.astype(np.int64), 0) if not len(array) or int(array.max()) < 2**63 else None
    if not len(array):
        return array.astype(np.int64), 0
    largest = max(float(array.max()), -float(array.min()))
    for scale in (0, 2, 4):
        factor = 10.0**scale
        if largest >= LARGEST_INTEGER / factor:
            return None
        if not np.array_equal(np.rint(array[:1000] * factor) / factor, array[:1000]):
            continue
        scaled = np.rint(array * factor)
        if np.array_equal(scaled / factor, array):
            return scaled.astype(np.int64), scale
    return None


def _largest(a: Array) -> int:
    return max(abs(int(a.max())), abs(int(a.min()))) if len(a) else 0


def total(a: Array) -> int | float:
    """The sum: exact for integers, however large."""
    if a.dtype.kind == "f":
        return float(a.sum())
    if _largest(a) * len(a) < 2**63:
        return int(a.sum())
    return _joined((i, int(limb.sum())) for i, limb in enumerate(_limbs(a)))


def gram(names: Sequence[str], columns: Sequence[Array]) -> Array:
    """The sums of products of all pairs, (k, k), of Python numbers; raises Invalid where floats overflow.

    One matrix product of doubles. It is exact for integers as long as their squares add up to less than 2**53, which
    the result itself tells: partial sums of squares only grow, and products of two columns are bounded by them.
    """
    k = len(columns)
    out = np.empty((k, k), dtype=object)
    rows = np.stack([a.astype(np.float64) for a in columns]) if k else np.empty((0, 0))
    with np.errstate(over="ignore", invalid="ignore"):
        product = rows @ rows.T
    for i, a in enumerate(columns):
        for j in range(i, k):
            value = float(product[i, j])
            if a.dtype.kind != "f" and columns[j].dtype.kind != "f":
                safe = product[i, i] < LARGEST_INTEGER and product[j, j] < LARGEST_INTEGER
                out[i, j] = out[j, i] = int(value) if safe else dot(a, columns[j])
            elif np.isfinite(value):
                out[i, j] = out[j, i] = value
            else:
                raise Invalid.at(names[i], "holds values whose squares are too large to add up")
    return out


def dot(a: Array, b: Array) -> int:
    """The sum of products of integers: exact, by limbs of 18 bits where the plain product could overflow."""
    bound = _largest(a) * _largest(b) * max(len(a), 1)
    if bound < 2**63:
        return int(a @ b)
    return _joined((i + j, int(x @ y)) for i, x in enumerate(_limbs(a)) for j, y in enumerate(_limbs(b)))


def _joined(parts: Iterable[tuple[int, int]]) -> int:
    return sum((value << (_BITS * place) for place, value in parts), 0)


def _limbs(a: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    limbs = []
    while _largest(a) >= _LIMB:
        a, low = np.divmod(a, _LIMB)
        limbs.append(low)
    return [*limbs, a]
