"""Where a unit falls on the line from 0 to 1: GrowthBook's open hash, ranges and namespaces.

The algorithm is that of the helper functions in GrowthBook's SDK specification (docs/lib/build-your-own), so that
every GrowthBook SDK in a shop's own process gives the same variant. tests/vectors.json pins it for ever.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

from fnv_hash_fast import fnv1a_32

Range = tuple[float, float]  # half-open: the first is inside, the second is not

BUCKETS = 10_000  # hash version 2 has this many places: n is a multiple of 1 / BUCKETS
OLD_BUCKETS = 1_000  # and version 1 this many

_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def fnv1a32(text: str) -> int:
    """FNV-1a, 32 bit, over UTF-16 code units (Fowler, Noll, Vo; draft-eastlake-fnv)."""
    try:
        # up to U+00FF a code unit is a byte, and the compiled hash of bytes is ten times as fast
        return fnv1a_32(text.encode("latin-1"))
    except UnicodeEncodeError:
        return _fold_units(text)


def _fold_units(text: str) -> int:
    state = _OFFSET
    for (unit,) in struct.iter_unpack("<H", text.encode("utf-16-le", "surrogatepass")):
        state = ((state ^ unit) * _PRIME) & _MASK
    return state


class Bucketer:
    """The bucket of a unit under one seed, 0 to 9,999: exactly `bucket(seed, unit_id) * 10_000` of hash version 2."""

    __slots__ = ("seed",)

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def __call__(self, unit_id: str) -> int:
        """The bucket of this unit."""
        text = self.seed + unit_id
        first = fnv1a_32(text.encode()) if text.isascii() else fnv1a32(text)
        return fnv1a_32(str(first).encode()) % BUCKETS


class OldBucketer:
    """The bucket under hash version 1, 0 to 999; biased where experiments run in parallel, kept for old ones."""

    __slots__ = ("seed",)

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def __call__(self, unit_id: str) -> int:
        """The bucket of this unit."""
        return fnv1a32(unit_id + self.seed) % OLD_BUCKETS


def bucket(seed: str, unit_id: str, version: int = 2) -> float | None:
    """The unit's place n on the line, in [0, 1); None for a hash version that does not exist."""
    if version == 2:
        return Bucketer(seed)(unit_id) / BUCKETS
    if version == 1:
        return OldBucketer(seed)(unit_id) / OLD_BUCKETS
    return None


def in_range(n: float, span: Sequence[float]) -> bool:
    """Whether n lies in the half-open range."""
    return span[0] <= n < span[1]


def in_namespace(unit_id: str, namespace: tuple[str, float, float]) -> bool:
    """Whether the unit is in the namespace's part of the line: `(name, start, end)`, hash version 1."""
    name, start, end = namespace
    return start <= OldBucketer(f"__{name}")(unit_id) / OLD_BUCKETS < end


def equal_weights(count: int) -> list[float]:
    """So many weights, all equal, with the sum 1; none if the count is below 1."""
    return [1 / count] * count if count > 0 else []


def usable_weights(count: int, weights: Sequence[float] | None) -> Sequence[float]:
    """These weights, or equal ones where their number or their sum (outside 0.99 to 1.01) is wrong."""
    if weights is None or len(weights) != count or not 0.99 <= _total(weights) <= 1.01:
        return equal_weights(count)
    return weights


def _total(weights: Iterable[float]) -> float:
    total = 0.0
    for weight in weights:  # not sum(): from Python 3.12 on it compensates, and other languages do not
        total += weight
    return total


def bucket_ranges(coverage: float, weights: Sequence[float]) -> list[Range]:
    """A range for each weight, starting at the sum of those before it and `coverage * weight` long.

    Growing the coverage stretches each range at its end, so that it moves nobody who is inside.
    """
    coverage = min(max(coverage, 0.0), 1.0)
    ranges, start = [], 0.0
    for weight in usable_weights(len(weights), weights):
        ranges.append((start, start + coverage * weight))
        start += weight
    return ranges


def choose(n: float, ranges: Sequence[Sequence[float]]) -> int:
    """The index of the first range that n lies in; -1 if it lies in none."""
    for index, span in enumerate(ranges):
        if span[0] <= n < span[1]:
            return index
    return -1


def in_buckets(span: Sequence[float], buckets: int = BUCKETS) -> range:
    """The range as whole buckets: k is among them exactly if k / buckets lies in the range."""
    start = bisect_left(range(buckets), span[0], key=lambda k: k / buckets)
    return range(start, bisect_left(range(buckets), span[1], lo=start, key=lambda k: k / buckets))


class Allocation:
    """Ranges of one seed's line, made into whole buckets so that a unit's place is found without fractions."""

    __slots__ = ("_bucket", "_buckets", "_cuts", "_owners")

    def __init__(self, seed: str, version: int, ranges: Sequence[Sequence[float]]) -> None:
        self._bucket: Callable[[str], int] | None = None
        if version in (1, 2):
            # a bound method is called faster than the object it is bound to
            self._bucket = (Bucketer(seed) if version == 2 else OldBucketer(seed)).__call__
            self._buckets = BUCKETS if version == 2 else OLD_BUCKETS
            spans = [in_buckets(span, self._buckets) for span in ranges]
            self._cuts = sorted({cut for span in spans if span for cut in (span.start, span.stop)})
            inside = [next((index for index, span in enumerate(spans) if cut in span), -1) for cut in self._cuts]
            self._owners = [-1, *inside]

    def find(self, unit_id: str) -> tuple[float, int] | None:
        """The unit's n and the index of the first range it lies in, or -1; None for an unknown hash version."""
        if self._bucket is None:
            return None
        k = self._bucket(unit_id)
        return k / self._buckets, self._owners[bisect_right(self._cuts, k)]

    def holds(self, unit_id: str) -> bool:
        """Whether the unit lies in any of the ranges."""
        return self._bucket is not None and self._owners[bisect_right(self._cuts, self._bucket(unit_id))] >= 0
