"""What is bought together: support, confidence and lift of pairs of products over past orders, tested and ranked.

A pair counts where it stands in more orders than chance explains: by Poisson's upper tail of the expected count, which
is never below Fisher's exact one-sided p-value for a pair that is over-represented; Bonferroni over a product's
companions.
Companions are ranked by how much likelier they are in an order with the product than in any, recent orders weighing
more.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import pdtrc

from experiments.associations import Companion, Seller, Suggestions

FEWEST_OF_SEGMENT = 200
"""A segment with fewer orders suggests nothing of its own."""
FEWEST_ORDERS = 5
"""With fewer common orders a pair is an anecdote."""
ALPHA = 0.05
"""For a product, the chance that any of its companions is there by chance."""
LARGEST_BASKET = 100
"""Distinct products of an order beyond which it is a wholesaler's, and tells nothing of what goes together."""
HALF_LIFE_DAYS = 90.0
COMPANIONS = 20
SELLERS = 200
_BLOCK_PAIRS = 4_000_000
"""Pairs of products looked at in one go: some 100 MB."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def suggestions(baskets: Iterable[tuple[int, Sequence[str]]]) -> Suggestions:
    """What orders suggest; each is the number of its day and the products in it. The newest day weighs most."""
    return _suggest(*_incidence(baskets))


def by_segment(baskets: Iterable[tuple[int, Sequence[str], str | None]]) -> Suggestions:
    """What orders suggest, and what those of each segment do, where there are enough; the third says whose it is."""
    numbers: dict[str | None, int] = {None: 0}
    segments = array("b")

    def unmarked() -> Iterator[tuple[int, Sequence[str]]]:
        for day, products, segment in baskets:
            segments.append(numbers.setdefault(segment, len(numbers)))
            yield day, products

    orders, names, days = _incidence(unmarked())
    marks = np.asarray(segments, dtype=np.int8)
    parts = {
        name: _suggest(orders[rows], names, days[rows])
        for name, number in numbers.items()
        if name is not None and len(rows := np.flatnonzero(marks == number)) >= FEWEST_OF_SEGMENT
    }
    return replace(_suggest(orders, names, days), segments=parts)


def _suggest(orders: csr_array, names: list[str], days: Floats) -> Suggestions:
    count, products = orders.shape
    if not count:
        return Suggestions(0, {}, ())
    weights = np.exp2((days - days.max()) / HALF_LIFE_DAYS)
    bought = np.bincount(orders.indices, minlength=products)
    weighed = np.asarray(orders.T @ weights)
    best = np.lexsort((np.arange(products), -weighed))[:SELLERS]
    sellers = tuple(Seller(names[i], int(bought[i])) for i in best if bought[i])
    return Suggestions(count, _companions(orders, names, bought, weighed, weights), sellers)


def _incidence(baskets: Iterable[tuple[int, Sequence[str]]]) -> tuple[csr_array, list[str], Floats]:
    """Orders by products, 1 where it is in: four bytes a line, whatever the order was."""
    numbers: dict[str, int] = {}
    columns, ends, days = array("i"), array("q", [0]), array("i")
    for day, products in baskets:
        columns.extend({numbers.setdefault(product, len(numbers)) for product in products})
        ends.append(len(columns))
        days.append(day)
    ones = np.ones(len(columns), dtype=np.int32)
    parts = (ones, np.asarray(columns, dtype=np.int32), np.asarray(ends))
    return csr_array(parts, shape=(len(days), len(numbers))), list(numbers), np.asarray(days, dtype=np.float64)


def _companions(
    orders: csr_array, names: list[str], bought: Ints, weighed: Floats, weights: Floats
) -> dict[str, tuple[Companion, ...]]:
    small = np.diff(orders.indptr) <= LARGEST_BASKET
    baskets, recent = orders[small], weights[small]
    by_product = csr_array(baskets.T)
    sizes = np.diff(baskets.indptr)
    work = np.asarray(by_product @ sizes)  # an upper bound of the pairs of each product
    found: dict[str, tuple[Companion, ...]] = {}
    start = 0
    while start < len(names):
        reach = int(np.searchsorted(np.cumsum(work[start:]), _BLOCK_PAIRS, side="right"))
        end = min(len(names), start + max(1, reach))
        block = by_product[start:end]
        together = csr_array(block @ baskets)
        near = csr_array((block * recent) @ baskets)  # the same product order by order, so the same places
        found |= _ranked(together, near, start, names, bought, weighed, len(weights), float(weights.sum()))
        start = end
    return found


def _ranked(
    together: csr_array, near: csr_array, start: int, names: list[str], bought: Ints, weighed: Floats,
    orders: int, weight: float,
) -> dict[str, tuple[Companion, ...]]:  # fmt: skip
    """The companions of the products from `start` on, strongest first."""
    together.sort_indices()
    near.sort_indices()
    tested = np.maximum(np.diff(together.indptr) - 1, 1)
    rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
    a, b, common = rows + start, together.indices, together.data
    expected = bought[a] * (bought[b] / orders)
    kept = np.flatnonzero((a != b) & (common >= FEWEST_ORDERS) & (common > expected))
    p_value = pdtrc(common[kept] - 1, expected[kept])
    sure = p_value * tested[rows[kept]] <= ALPHA
    kept, p_value = kept[sure], p_value[sure]
    a, b, common, expected = a[kept], b[kept], common[kept], expected[kept]
    gain = near.data[kept] / weighed[a] - weighed[b] / weight
    order = np.lexsort((b, -gain, a))
    first = np.searchsorted(a[order], a[order], side="left")
    order = order[np.arange(len(order)) - first < COMPANIONS]
    found: dict[str, list[Companion]] = {}
    for i in order:
        companion = Companion(
            names[b[i]], int(common[i]), float(common[i] / orders), float(common[i] / bought[a[i]]),
            float(common[i] / expected[i]), float(p_value[i]),
        )  # fmt: skip
        found.setdefault(names[a[i]], []).append(companion)
    return {name: tuple(companions) for name, companions in found.items()}
