"""The laws of a fair draw."""

from collections import Counter

import pytest
from growthbook.core import gbhash, getBucketRanges
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from experiments.bucketing import (
    BUCKETS,
    Allocation,
    Bucketer,
    bucket,
    bucket_ranges,
    choose,
    fnv1a32,
    in_buckets,
    in_range,
)

ANY_TEXT = st.text(st.characters(), max_size=40) | st.text(st.characters(categories=["Cs"]), max_size=3)
WEIGHTS = st.lists(st.integers(1, 1_000), min_size=1, max_size=6).map(lambda parts: [p / sum(parts) for p in parts])
COVERAGE = st.integers(0, BUCKETS).map(lambda hundredths: hundredths / BUCKETS)
EDGES = st.integers(0, BUCKETS).map(lambda k: k / BUCKETS) | st.floats(0, 1)
RANGES = st.lists(st.tuples(EDGES, EDGES), max_size=5)

VISITORS = [f"visitor-{number}" for number in range(100_000)]
SIGMAS = 5
FIVE_SIGMA = 5.7e-7  # the two-sided probability beyond five standard deviations


@given(ANY_TEXT)
def test_the_compiled_hash_is_fnv_over_utf_16_code_units(text: str) -> None:
    state = 0x811C9DC5
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        state = (state ^ (low | high << 8)) * 0x01000193 % 2**32
    assert fnv1a32(text) == state


@given(ANY_TEXT, ANY_TEXT, st.sampled_from([1, 2]))
def test_buckets_agree_with_the_pypi_growthbook_sdk(seed: str, unit_id: str, version: int) -> None:
    assert bucket(seed, unit_id, version) == gbhash(seed, unit_id, version)


@given(COVERAGE, WEIGHTS)
def test_ranges_agree_with_the_pypi_growthbook_sdk(coverage: float, weights: list[float]) -> None:
    assert bucket_ranges(coverage, weights) == getBucketRanges(len(weights), coverage, weights)


@given(ANY_TEXT, ANY_TEXT)
def test_every_unit_has_one_place_and_keeps_it(seed: str, unit_id: str) -> None:
    n = bucket(seed, unit_id)
    assert n is not None
    assert 0 <= n < 1
    assert n == bucket(seed, unit_id) == Bucketer(seed)(unit_id) / BUCKETS


@given(st.integers(0, BUCKETS - 1), st.tuples(EDGES, EDGES))
def test_whole_buckets_say_what_the_range_says(k: int, span: tuple[float, float]) -> None:
    assert (k in in_buckets(span)) is in_range(k / BUCKETS, span)


@given(ANY_TEXT, ANY_TEXT, st.sampled_from([1, 2]), RANGES)
def test_an_allocation_finds_what_choose_does(
    seed: str, unit_id: str, version: int, ranges: list[tuple[float, float]]
) -> None:
    n = bucket(seed, unit_id, version)
    assert n is not None
    allocation = Allocation(seed, version, ranges)
    assert allocation.find(unit_id) == (n, choose(n, ranges))
    assert allocation.holds(unit_id) is (choose(n, ranges) >= 0)


@settings(deadline=None)  # a machine may be busy
@given(WEIGHTS, COVERAGE, COVERAGE)
def test_growing_coverage_moves_nobody(weights: list[float], one: float, other: float) -> None:
    small, large = (bucket_ranges(coverage, weights) for coverage in sorted((one, other)))
    for k in range(0, BUCKETS, 7):
        before = choose(k / BUCKETS, small)
        assert before in (-1, choose(k / BUCKETS, large))


@settings(deadline=None)
@given(WEIGHTS)
def test_full_coverage_leaves_nobody_out(weights: list[float]) -> None:
    # the last sum of weights may fall an ulp short of 1, and no bucket lies between
    ranges = bucket_ranges(1, weights)
    assert all(choose(k / BUCKETS, ranges) >= 0 for k in range(BUCKETS))


@pytest.mark.parametrize("seed", ["exp_cart_offer", "s", "checkout/2024", "実験"])
@pytest.mark.parametrize(
    ("coverage", "weights"), [(1, [0.25] * 4), (0.5, [0.1, 0.2, 0.3, 0.4]), (0.01, [0.5, 0.5]), (1, [0.9, 0.1])]
)
def test_variants_get_their_weights(seed: str, coverage: float, weights: list[float]) -> None:
    allocation = Allocation(seed, 2, bucket_ranges(coverage, weights))
    counts = Counter(found[1] for visitor in VISITORS if (found := allocation.find(visitor)))
    for index, weight in [*enumerate(coverage * each for each in weights), (-1, 1 - coverage)]:
        expected = len(VISITORS) * weight
        assert abs(counts[index] - expected) <= SIGMAS * (expected * (1 - weight)) ** 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cart-offers", "cart-offers-2"),
        ("a", "b"),
        ("exp1", "exp2"),
        ("layer", "cart-offers"),
        ("", "x"),
        ("実験", "x"),
    ],
)
def test_two_seeds_are_independent(one: str, other: str) -> None:
    first, second = Bucketer(one), Bucketer(other)
    pairs = Counter((first(visitor) * 4 // BUCKETS, second(visitor) * 4 // BUCKETS) for visitor in VISITORS)
    table = [[pairs[row, column] for column in range(4)] for row in range(4)]
    assert chi2_contingency(table).pvalue > FIVE_SIGMA
