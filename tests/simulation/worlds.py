"""Made-up tests, many at once: sums of heavy-tailed, zero-inflated, clustered and tiny samples as Moments."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from analysis import Metric, Moments

COLUMNS = ("converted", "orders", "revenue", "before", "capped")
CONVERSION = Metric("conversion", "proportion", "converted")
RPV = Metric("revenue per visitor", "mean", "revenue", covariates=("before",))
AOV = Metric("order value", "ratio", "revenue", "orders", covariates=("before",))
CAPPED_RPV = Metric("capped revenue per visitor", "mean", "capped")
CAPPED_AOV = Metric("capped order value", "ratio", "capped", "orders")


@dataclass(frozen=True)
class Shop:
    """Most visitors buy nothing; orders of a buyer are of like size, lognormal; half of what is spent was foretold."""

    conversion: float = 0.06
    sigma: float = 0.9
    repeat: float = 0.3
    value: float = 50.0

    @property
    def per_buyer(self) -> float:
        """What a buyer spends on average."""
        return float(self.value * np.exp((self.sigma**2 + 0.2**2) / 2) * (1 + self.repeat))

    def buyers(self, rng: Generator, tests: int, units: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each buyer the number of the test, and the columns (5, buyers); the cap is not yet applied."""
        test = np.repeat(np.arange(tests), rng.binomial(units, self.conversion, tests))
        orders = 1 + rng.poisson(self.repeat, len(test))
        level = rng.normal(0, self.sigma, len(test))
        revenue = np.zeros(len(test))
        for k in range(int(orders.max(initial=0))):
            revenue += np.where(orders > k, self.value * np.exp(level + rng.normal(0, 0.2, len(test))), 0.0)
        before = np.where(rng.random(len(test)) < 0.5, revenue * rng.uniform(0.5, 1.5, len(test)), 0.0)
        return test, np.stack([np.ones(len(test)), orders, revenue, before, revenue])


def moments(test: np.ndarray, rows: np.ndarray, tests: int, units: int) -> Moments:
    """The Moments of each test: units that are not listed are zeros."""
    sums = np.stack([np.bincount(test, row, tests) for row in rows], axis=-1)
    gram = np.stack([[np.bincount(test, a * b, tests) for b in rows] for a in rows], axis=0)
    return Moments.stacked(COLUMNS, np.full(tests, units), sums, np.moveaxis(gram, -1, 0))


def variants(
    rng: Generator, shops: tuple[Shop, ...], units: tuple[int, ...], tests: int, cap: float = 0.99
) -> list[Moments]:
    """Variants of many tests, capped at a percentile of the pooled buyers of each test."""
    drawn = [shop.buyers(rng, tests, n) for shop, n in zip(shops, units, strict=True)]
    where, spent = np.concatenate([test for test, _ in drawn]), np.concatenate([rows[2] for _, rows in drawn])
    order = np.lexsort((spent, where))
    ends = np.searchsorted(where[order], np.arange(tests + 1))
    at = np.clip(ends[:-1] + np.ceil(cap * np.diff(ends)).astype(int) - 1, 0, max(len(order) - 1, 0))
    caps = spent[order][at]
    for test, rows in drawn:
        rows[4] = np.minimum(rows[2], caps[test])
    return [moments(test, rows, tests, n) for (test, rows), n in zip(drawn, units, strict=True)]


def running(
    rng: Generator, shops: tuple[Shop, Shop], batches: tuple[int, int], tests: int, looks: int
) -> list[Moments]:
    """Two variants of many tests at each of many looks, (tests, looks): what has come in until then."""
    out = []
    for shop, batch in zip(shops, batches, strict=True):
        each = moments(*shop.buyers(rng, tests * looks, batch), tests * looks, batch)
        shape = (tests, looks)
        sums = each.sums.reshape(*shape, len(COLUMNS)).cumsum(axis=1)
        gram = each.gram.reshape(*shape, len(COLUMNS), len(COLUMNS)).cumsum(axis=1)
        n = np.broadcast_to(batch * np.arange(1, looks + 1), shape)
        out.append(Moments.stacked(COLUMNS, n, sums, gram))
    return out


def third_moments(rng: Generator, shop: Shop, batches: tuple[int, int], tests: int, looks: int) -> tuple[list, list]:
    """Running sums of revenue, of its square and its cube, (3, tests, looks) for each variant, and units (looks)."""
    sums, units = [], []
    for batch in batches:
        test, rows = shop.buyers(rng, tests * looks, batch)
        powers = [np.bincount(test, rows[2] ** k, tests * looks).reshape(tests, looks) for k in (1, 2, 3)]
        sums.append(np.cumsum(powers, axis=-1))
        units.append(batch * np.arange(1.0, looks + 1))
    return sums, units
