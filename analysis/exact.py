"""Sums and sums of products of whole columns, exact for integers and short decimals."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.errors import Invalid

Array = NDArray[Any]

LARGEST_INTEGER = 1 << 53
"""Below this every integer is a double, and sums of such doubles are exact in any order."""

_CHUNK = 1 << 15
_FEW = 2
LARGEST_PRODUCT = 1e140
"""A sum of squares beyond it has a variance whose own square is no double."""

_BITS = 18
_LIMB = 1 << _BITS  # products of limbs stay below 2**36, so that 10**8 of them add up in an int64


def as_integers(array: Array) -> tuple[NDArray[np.signedinteger[Any]], int] | None:
    """The values times 10**scale as integers, for integers and for decimals of at most 4 places; None otherwise."""
    if array.dtype.kind == "i":
        return array, 0
    if array.dtype.kind == "b":
        return array.astype(np.int8), 0
    if array.dtype.kind == "u":
        return (array.astype(np.int64), 0) if not len(array) or int(array.max()) < 2**63 else None
    busy = np.flatnonzero(array != 0)  # of truth values: three times as fast
    if not len(busy):
        return np.zeros(len(array), dtype=np.int64), 0
    # most money columns are mostly zeros: only the rest is looked at
    some = array if len(busy) > len(array) // 2 else array[busy]
    largest = max(float(some.max()), -float(some.min()))
    for scale in (0, 2, 4):
        factor = 10.0**scale
        if largest >= LARGEST_INTEGER / factor:
            return None
        if not np.array_equal(np.rint(some[:1000] * factor) / factor, some[:1000]):
            continue
        scaled = np.rint(some * factor)
        if np.array_equal(scaled / factor, some):
            if some is array:
                return scaled.astype(np.int64), scale
            whole = np.zeros(len(array), dtype=np.int64)
            whole[busy] = scaled
            return whole, scale
    return None


def largest(a: Array) -> int:
    """The largest size of integers, 0 where there are none."""
    return max(abs(int(a.max())), abs(int(a.min()))) if len(a) else 0


def narrowed(a: NDArray[np.signedinteger[Any]]) -> NDArray[np.signedinteger[Any]]:
    """The same integers in as few bytes as hold them."""
    high = largest(a)
    for kind in (np.int8, np.int16, np.int32):
        if high <= np.iinfo(kind).max:
            return a.astype(kind, copy=False)
    return a


def total(a: NDArray[np.signedinteger[Any]]) -> int:
    """The sum of integers, however large."""
    a = a.astype(np.int64, copy=False)
    if largest(a) * len(a) < 2**63:
        return int(a.sum())
    return _joined((i, int(limb.sum())) for i, limb in enumerate(_limbs(a)))


def sums_and_products(names: Sequence[str], columns: Sequence[Array]) -> tuple[Array, Array]:
    """The sums (k) and the sums of products of all pairs (k, k), as Python numbers; raises Invalid on overflow.

    One matrix product of doubles. It is exact for integers as long as their squares add up to less than 2**53, which
    the result itself tells: partial sums of squares only grow, and bound sums and products of two columns.
    """
    k = len(columns)
    product, added = _by_chunks(columns)
    whole = [a.dtype.kind != "f" for a in columns]
    safe = [whole[i] and product[i, i] < LARGEST_INTEGER for i in range(k)]
    sums, gram = np.empty(k, dtype=object), np.empty((k, k), dtype=object)
    for i, a in enumerate(columns):
        sums[i] = int(added[i]) if safe[i] else total(a) if whole[i] else float(added[i])
        for j in range(i, k):
            value = float(product[i, j])
            if whole[i] and whole[j]:
                gram[i, j] = gram[j, i] = int(value) if safe[i] and safe[j] else dot(a, columns[j])
            elif abs(value) < LARGEST_PRODUCT:
                gram[i, j] = gram[j, i] = value
            else:
                raise Invalid.at(names[i], "holds values whose squares are too large to add up")
    return sums, gram


def _by_chunks(columns: Sequence[Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The products of all pairs (k, k) and the sums (k) in doubles, over rows that a processor's cache holds."""
    k, n = len(columns), len(columns[0]) if columns else 0
    product, added = np.zeros((k, k)), np.zeros(k)
    rows = np.empty((k, min(n, _CHUNK)))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n, _CHUNK):
            chunk = rows[:, : min(_CHUNK, n - start)]
            for i, a in enumerate(columns):
                chunk[i] = a[start : start + _CHUNK]
            # of few columns a matrix product costs less than the waking of the threads that would share it
            product += np.einsum("in,jn->ij", chunk, chunk) if k <= _FEW else chunk @ chunk.T
            added += chunk.sum(axis=1)
    return product, added


def dot(a: Array, b: Array) -> int:
    """The sum of products of integers: exact, by limbs of 18 bits where the plain product could overflow."""
    a, b = a.astype(np.int64, copy=False), b.astype(np.int64, copy=False)
    bound = largest(a) * largest(b) * max(len(a), 1)
    if bound < 2**63:
        return int(a @ b)
    return _joined((i + j, int(x @ y)) for i, x in enumerate(_limbs(a)) for j, y in enumerate(_limbs(b)))


def _joined(parts: Iterable[tuple[int, int]]) -> int:
    return sum((value << (_BITS * place) for place, value in parts), 0)


def _limbs(a: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    limbs = []
    while largest(a) >= _LIMB:
        a, low = np.divmod(a, _LIMB)
        limbs.append(low)
    return [*limbs, a]
