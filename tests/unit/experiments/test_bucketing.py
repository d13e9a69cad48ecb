"""The hash and the ranges: pinned for ever."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.bucketing import (
    Allocation,
    Bucketer,
    bucket,
    bucket_ranges,
    choose,
    equal_weights,
    fnv1a32,
    in_buckets,
    in_namespace,
    in_range,
    usable_weights,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors.json").read_text(encoding="utf-8"))


def test_a_units_bucket_is_pinned_for_ever() -> None:
    """Changing one of these vectors is a breaking change: visitors of running experiments would change variants."""
    moved = [row for row in VECTORS["hash"] if bucket(*row[:3]) != row[3]]
    assert not moved
    assert len(VECTORS["hash"]) >= 170


def test_ranges_are_pinned_for_ever() -> None:
    """Changing one of these vectors is a breaking change, as above."""
    moved = [row for row in VECTORS["ranges"] if [list(each) for each in bucket_ranges(*row[:2])] != row[2]]
    assert not moved
    assert len(VECTORS["ranges"]) >= 70


@pytest.mark.parametrize(
    ("unit_id", "n", "equal", "uneven"),
    [
        ("visitor-42", 0.4785, 1, -1),
        ("v0", 0.3866, 1, 2),
        ("v1", 0.8372, 3, -1),
        ("v2", 0.1994, 0, 1),
        ("42", 0.0425, 0, 0),
        ("Zoë", 0.8589, 3, -1),
        ("日本", 0.4370, 1, 2),
        ("😀", 0.2833, 1, -1),
    ],
)
def test_growthbooks_python_and_javascript_sdks_gave_these(unit_id: str, n: float, equal: int, uneven: int) -> None:
    assert bucket("exp_cart_offer", unit_id) == n
    assert choose(n, bucket_ranges(1, [0.25] * 4)) == equal
    assert choose(n, bucket_ranges(0.5, [0.1, 0.2, 0.3, 0.4])) == uneven


@pytest.mark.parametrize(
    ("text", "expected"),
    # the first three stand in the FNV draft's own test vectors (draft-eastlake-fnv, 32 bit FNV-1a)
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)],
)
def test_fnv_agrees_with_the_draft(text: str, expected: int) -> None:
    assert fnv1a32(text) == expected


def test_an_unknown_hash_version_has_no_bucket() -> None:
    assert bucket("seed", "unit", 3) is None
    assert Allocation("seed", 3, [(0, 1)]).find("unit") is None
    assert not Allocation("seed", 3, [(0, 1)]).holds("unit")


def test_a_range_holds_its_start_and_not_its_end() -> None:
    assert in_range(0.25, (0.25, 0.5))
    assert not in_range(0.5, (0.25, 0.5))
    assert in_buckets((0.25, 0.5)) == range(2500, 5000)
    assert not in_buckets((0.5, 0.25))


def test_a_range_in_buckets_holds_what_the_fractions_say_and_not_what_arithmetic_would() -> None:
    start = 0.1 + 0.2  # 0.30000000000000004
    assert not in_range(3000 / 10_000, (start, 1))
    assert in_buckets((start, 1)).start == 3001


def test_the_first_of_overlapping_ranges_wins() -> None:
    assert choose(0.3, [(0.2, 0.4), (0, 1)]) == 0
    ranges = [(0.2, 0.4), (0, 1)]
    for unit_id in ("visitor-42", "v2", "42", "v0"):
        n = bucket("exp_cart_offer", unit_id)
        assert n is not None
        assert Allocation("exp_cart_offer", 2, ranges).find(unit_id) == (n, choose(n, ranges))


def test_weights_that_do_not_fit_are_made_equal() -> None:
    assert usable_weights(2, [0.4, 0.1]) == [0.5, 0.5]
    assert usable_weights(2, [0.7, 0.6]) == [0.5, 0.5]
    assert usable_weights(3, [0.5, 0.5]) == equal_weights(3)
    assert usable_weights(2, [0.4, 0.5999]) == [0.4, 0.5999]
    assert equal_weights(0) == []


def test_namespaces_that_do_not_overlap_share_nobody() -> None:
    for number in range(1_000):
        parts = [in_namespace(f"v{number}", ("layer", *part)) for part in ((0.0, 0.4), (0.4, 0.7), (0.7, 1.0))]
        assert sum(parts) == 1


def test_a_bucketer_is_hash_version_2() -> None:
    assert Bucketer("exp_cart_offer")("visitor-42") == 4785
