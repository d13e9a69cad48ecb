from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import Moments
from analysis.decompose import decompose, lee_bounds
from experiments.errors import NotEstimable

CHAIN = ("converted", "orders", "pieces", "revenue")
NAMES = ("conversion", "orders per buyer", "pieces per order", "price per piece")
buyers = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 10**7)), min_size=1, max_size=20
)  # fmt: skip


def shop(bought, others):
    rows = [(1, o, o * p, r) for o, p, r in bought] + [(0, 0, 0, 0)] * others
    return Moments.from_rows({c: np.array(x) for c, x in zip(CHAIN, zip(*rows, strict=True), strict=True)})


@given(buyers, buyers, st.integers(1, 50), st.integers(1, 50))
def test_parts_add_up_to_the_cent(control, treatment, more_c, more_t):
    a, b = shop(control, more_c), shop(treatment, more_t)
    found = decompose(a, b, CHAIN, NAMES)
    change = Fraction(b.sums[3], b.n) - Fraction(a.sums[3], a.n)
    assert sum(p.minor_units for p in found.parts) == found.minor_units == round(change * b.n * 100)
    assert sum(p.effect.estimate for p in found.parts) == pytest.approx(float(change), rel=1e-9, abs=1e-6)


@given(buyers, buyers, st.integers(1, 50), st.integers(1, 50))
def test_order_value_is_its_pieces_and_price(control, treatment, more_c, more_t):
    """Splitting a factor further leaves the other parts as they were."""
    a, b = shop(control, more_c), shop(treatment, more_t)
    fine = decompose(a, b, CHAIN, NAMES)
    coarse = decompose(a, b, ("converted", "revenue"), ("conversion", "value"))
    assert fine.parts[0].effect.estimate == coarse.parts[0].effect.estimate
    rest = sum(p.effect.estimate for p in fine.parts[1:])
    assert rest == pytest.approx(coarse.parts[1].effect.estimate, rel=1e-9, abs=1e-6)


def test_only_conversion_moves():
    """GrowthBook #6331's oracle: 100 people, 20 buyers at 20 are worth 20 an order, however many bought before."""
    a = shop([(1, 1, 20)] * 10, 90)
    b = shop([(1, 1, 20)] * 20, 80)
    found = decompose(a, b, CHAIN, NAMES)
    assert [p.minor_units for p in found.parts] == [20_000, 0, 0, 0]


def test_standard_errors_against_a_bootstrap():
    rng = np.random.default_rng(5)
    sides = []
    for rate in (0.2, 0.3):
        n = 2_000
        converted = rng.random(n) < rate
        pieces = np.where(converted, 1 + rng.poisson(1.0, n), 0)
        revenue = pieces * rng.integers(500, 3_000, n)
        sides.append(np.stack([converted, converted, pieces, revenue], axis=1).astype(np.int64))

    def parts(pair):
        found = decompose(*(Moments.from_rows(dict(zip(CHAIN, x.T, strict=True))) for x in pair), CHAIN, NAMES)
        return [p.effect for p in found.parts]

    told = [e.standard_error for e in parts(sides)]
    drawn = [
        [e.estimate for e in parts([x[rng.integers(0, len(x), len(x))] for x in sides])] for _ in range(300)
    ]  # fmt: skip
    spread = np.std(drawn, axis=0)
    # the deviation of 300 draws is known to 4%
    assert [told[i] for i in (0, 2, 3)] == pytest.approx([spread[i] for i in (0, 2, 3)], rel=0.2)
    assert told[1] == 0.0


def test_nobody_bought():
    none = Moments.from_rows({c: np.zeros(5) for c in CHAIN})
    with pytest.raises(NotEstimable):
        decompose(none, shop([(1, 1, 5)], 4), CHAIN, NAMES)


def test_lee_bounds_trim_the_surplus_buyers():
    control, treatment = np.array([10.0, 20.0]), np.array([10.0, 20.0, 30.0, 40.0])
    found = lee_bounds(control, 10, treatment, 10)
    assert (found.low, found.high) == (15 - 15, 35 - 15)


def test_lee_bounds_are_a_point_where_as_many_buy():
    found = lee_bounds(np.array([1.0, 3.0]), 10, np.array([2.0, 6.0]), 10)
    assert (found.low, found.high) == (2.0, 2.0)


def test_lee_bounds_where_fewer_buy():
    found = lee_bounds(np.array([10.0, 20.0, 30.0, 40.0]), 10, np.array([10.0, 20.0]), 10)
    assert (found.low, found.high) == (15 - 35, 15 - 15)
