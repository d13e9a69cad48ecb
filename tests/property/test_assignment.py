"""Laws of assignment: total, stable, within the weights; coverage moves nobody; eligibility before the variant."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import Assignment, Unit, assign, compile_rule
from experiments.definition import WHOLE, parse
from experiments.moment import Micros
from experiments.resolution import Refusal
from experiments.service.serving import NOTHING
from tests.shop import NOW, a_a

units = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)
splits = st.integers(2, 6).flatmap(
    lambda k: st.lists(st.integers(1, 100), min_size=k, max_size=k).map(
        lambda parts: [WHOLE * p // sum(parts) for p in parts]
    )
)


def rule(weights: list[int], coverage: int = WHOLE, state: str = "running", **changes):
    weights = [weights[0] + WHOLE - sum(weights), *weights[1:]]
    value = a_a(variants=len(weights), coverage=coverage, **changes)
    for variant, weight in zip(value["variants"], weights, strict=True):
        variant["weight"] = weight
    return compile_rule(1, parse(value), state, value["key"])  # type: ignore[arg-type]


def everybody(compiled):
    return [NOTHING] * len(compiled.definition.variants), {}


def nobody(compiled):
    return [NOTHING] * len(compiled.definition.variants), {"control": Refusal("out_of_stock")}


def meet(
    compiled, unit: str, now: Micros = NOW, eligible=everybody, inside=lambda rule, unit: None, **attributes
) -> Assignment:
    return assign([compiled], Unit(unit), attributes, now, eligible, inside)


@given(splits, units, st.integers(0, WHOLE))
def test_every_unit_gets_the_same_answer_every_time(weights: list[int], unit: str, coverage: int) -> None:
    first = meet(rule(weights, coverage), unit)
    again = meet(rule(weights, coverage), unit)
    assert first.reason in {"assigned", "not_in_coverage"}
    assert (first.reason, first.variant) == (again.reason, again.variant)


@given(splits, units, st.integers(0, WHOLE), st.integers(0, WHOLE))
def test_growing_coverage_moves_nobody(weights: list[int], unit: str, one: int, other: int) -> None:
    before, after = (meet(rule(weights, coverage), unit).variant for coverage in sorted((one, other)))
    assert before is None or before == after


@given(units, st.booleans())
def test_eligibility_is_decided_before_the_variant(unit: str, one_sided: bool) -> None:
    refused = meet(rule([5000, 5000]), unit, eligible=nobody)
    assert (refused.reason, refused.variant) == ("not_eligible", None)


@pytest.mark.parametrize("weights", [[5000, 5000], [2500] * 4, [9000, 1000], [3334, 2222, 2222, 2222]])
def test_100_000_visitors_split_within_five_sigma(weights: list[int]) -> None:
    compiled = rule(weights)
    met = Counter(meet(compiled, f"visitor-{i}").variant.key for i in range(100_000))  # type: ignore[union-attr]
    for variant in compiled.definition.variants:
        p = variant.weight / WHOLE
        assert abs(met[variant.key] - 100_000 * p) < 5 * (100_000 * p * (1 - p)) ** 0.5


def test_two_experiments_split_independently() -> None:
    one, other = rule([5000, 5000], key="one"), rule([5000, 5000], key="other")
    met = Counter((meet(one, f"v{i}").variant.key, meet(other, f"v{i}").variant.key) for i in range(100_000))  # type: ignore[union-attr]
    chi_square = sum((count - 25_000) ** 2 / 25_000 for count in met.values())
    assert chi_square < 34.8  # df 3, p about 1.3e-7: five sigma


def test_a_closed_experiment_keeps_those_inside_and_takes_nobody_new() -> None:
    compiled = rule([5000, 5000], state="closed")
    assert meet(compiled, "v1").reason == "not_running"
    held = meet(compiled, "v1", inside=lambda rule, unit: "t1")
    assert held.variant is not None
    assert held.variant.key == "t1"


def test_targeting_schedule_and_customer_units() -> None:
    german = rule([5000, 5000], targeting={"country": "DE"})
    assert meet(german, "v1", country="FR").reason == "not_targeted"
    assert meet(german, "v1", country="DE").reason == "assigned"
    timed = rule([5000, 5000], schedule={"end_at": "2026-11-20T12:00:00Z"})
    assert meet(timed, "v1", now=Micros(NOW - 1)).reason == "assigned"
    assert meet(timed, "v1").reason == "not_running"
    coming = rule([5000, 5000], state="scheduled", schedule={"start_at": "2026-11-20T12:00:00Z"})
    assert meet(coming, "v1", now=Micros(NOW - 1)).reason == "not_running"
    assert meet(coming, "v1").reason == "assigned"
    accounts = rule([5000, 5000], unit="customer")
    assert meet(accounts, "v1").reason == "not_targeted"
    same = {assign([accounts], Unit(f"v{i}", "c1"), {}, NOW, everybody, lambda r, u: None).variant for i in range(20)}
    assert len(same) == 1


def test_the_split_of_this_experiment_is_pinned() -> None:
    """Changing what these visitors get is a breaking change: running experiments would be mixed."""
    compiled = rule([2500] * 4)
    met = "".join(meet(compiled, f"visitor-{i}").variant.key[-1] for i in range(40))  # type: ignore[union-attr]
    assert met == "112l1212l2l311321212ll32312112l212l12123"
