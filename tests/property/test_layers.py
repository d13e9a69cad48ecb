"""Laws of layers, holdouts and ramps: who shares a layer never shares a visitor; nobody is moved by growing."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import Assignment, Rule, Unit, assign, compile_rule
from experiments.definition import WHOLE, parse
from experiments.errors import Invalid
from experiments.layers import Hold, fitting_range, free_ranges, free_share, overlapping
from experiments.moment import Micros, moment
from experiments.resolution import Refusal
from experiments.service.serving import NOTHING
from experiments.shortlist import Shortlist
from experiments.signals import Holdout
from tests.shop import NOW, a_a

MINUTE = 60_000_000
cuts = st.lists(st.integers(0, WHOLE), min_size=2, max_size=8, unique=True).map(sorted)


def rule(key: str = "same", state: str = "running", **changes) -> Rule:
    value = parse(a_a(key, **changes))
    return compile_rule(1, value, state, key, layer_seed=f"layer/{value.layer.key}" if value.layer else "")  # type: ignore[arg-type]


def everybody(compiled: Rule):
    return [NOTHING] * len(compiled.definition.variants), {}


def meet(compiled: Rule, unit: str, now: Micros = NOW, **options) -> Assignment:
    return assign([compiled], Unit(unit), {}, now, everybody, lambda rule, unit: None, **options)


def part(key: str, start: int, end: int) -> dict:
    return {"key": key, "start": start, "end": end}


@given(cuts, st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1), max_size=50))
def test_experiments_of_one_layer_never_share_a_visitor(cut: list[int], units: list[str]) -> None:
    rules = [rule(f"e{i}", layer=part("shared", start, end)) for i, (start, end) in enumerate(pairwise(cut))]
    for unit in units:
        assert sum(meet(r, unit).in_experiment for r in rules) <= 1
    if cut[0] == 0 and cut[-1] == WHOLE:
        assert all(sum(meet(r, unit).in_experiment for r in rules) == 1 for unit in units)


def rule_in(layer: str, key: str) -> Rule:
    return rule(key, layer=part(layer, 0, 5000))


def test_experiments_of_two_layers_are_independent_over_100_000_visitors() -> None:
    one, other = rule_in("one", "a"), rule_in("other", "b")
    met = Counter((meet(one, f"v{i}").in_experiment, meet(other, f"v{i}").in_experiment) for i in range(100_000))
    expected = 100_000 / 4
    chi_square = sum((met[a, b] - expected) ** 2 / expected for a in (True, False) for b in (True, False))
    assert chi_square < 34.8  # df 3, p about 1.3e-7: five sigma


def test_a_layer_and_the_split_inside_it_are_independent() -> None:
    inside = rule_in("cart", "cart")  # the same word, and yet not the same seed
    met = Counter(m.variant.key for i in range(100_000) if (m := meet(inside, f"v{i}")).variant)
    total = sum(met.values())
    assert abs(met["control"] - total / 2) < 5 * (total / 4) ** 0.5


@given(
    st.lists(
        st.builds(
            lambda start, length, kind: (kind, part(f"l{kind % 2}", start, min(start + length, WHOLE))),
            st.integers(0, WHOLE - 1), st.integers(1, WHOLE), st.integers(0, 9),
        ),
        max_size=12,
    ),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
)  # fmt: skip
def test_a_shortlist_leaves_out_only_who_would_not_take_the_unit(drawn: list[tuple], visitor: str) -> None:
    more = [{}, {"coverage": 3000}, {"allow_list": {visitor: "t1"}}, {"targeting": {"country": "FR"}}]
    rules = [
        rule(f"e{i}", **more[kind % 4], **({} if kind == 9 else {"layer": held}))
        for i, (kind, held) in enumerate(drawn)
    ]

    def met(asked: list[Rule]) -> Assignment:
        return assign(asked, Unit(visitor), {}, NOW, everybody, lambda r, u: None)

    of_all, of_some = met(rules), met(Shortlist(rules).of(Unit(visitor)))
    assert of_all.variant == of_some.variant
    if of_all.variant is not None:
        assert (of_all.reason, of_all.rule) == (of_some.reason, of_some.rule)


@given(cuts, st.integers(1, WHOLE))
def test_what_is_free_is_what_nobody_holds(cut: list[int], needed: int) -> None:
    holds = [Hold(f"e{i}", a, b) for i, (a, b) in enumerate(zip(cut[::2], cut[1::2], strict=False))]
    free = free_ranges(holds)
    assert free_share(holds) + sum(h.end - h.start for h in holds) == WHOLE
    for gap in free:
        assert not overlapping(Hold("new", gap.start, gap.stop), holds)
    found = fitting_range(needed, free)
    if found is None:
        assert needed == WHOLE or all(len(gap) < needed for gap in free)
    else:
        assert not overlapping(Hold("new", found.start, found.stop), holds)
        assert len(found) == needed or needed == WHOLE


@given(st.integers(0, 5000), st.integers(0, 5000), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_growing_the_holdout_lets_nobody_out(one: int, other: int, visitor: str) -> None:
    small, large = (Holdout(share, "holdout/shop") for share in sorted((one, other)))
    assert not small.holds(visitor) or large.holds(visitor)


def test_the_holdout_has_its_share_within_five_sigma() -> None:
    holdout = Holdout(500, "holdout/shop")
    held = sum(holdout.holds(f"v{i}") for i in range(100_000))
    assert abs(held - 5000) < 5 * (100_000 * 0.05 * 0.95) ** 0.5


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1), st.booleans())
def test_who_is_held_out_is_in_nothing_not_even_a_winner(visitor: str, decided: bool) -> None:
    value = parse(a_a())
    made = compile_rule(1, value, "decided" if decided else "running", "same", winner="t1" if decided else None)
    met = meet(made, visitor, held_out=True)
    assert (met.reason, met.variant, met.in_experiment) == ("holdout", None, False)


def ramp(*steps: tuple[int, int]) -> list[dict]:
    return [{"at": (moment(NOW) + timedelta(minutes=m)).isoformat(), "coverage": c} for m, c in steps]


@given(
    st.lists(st.integers(1, WHOLE), min_size=2, max_size=5, unique=True).map(sorted),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
)
def test_a_ramp_moves_nobody(coverages: list[int], unit: str) -> None:
    first, *rest = coverages
    steps = ramp(*((i + 1, c) for i, c in enumerate(rest)))
    made = rule(coverage=first, schedule={"ramp": steps})
    met = [meet(made, unit, Micros(NOW + i * MINUTE)).variant for i in range(len(coverages))]
    for before, after in pairwise(met):
        assert before is None or before == after
    for i, coverage in enumerate(coverages):
        assert made.coverage_at(Micros(NOW + i * MINUTE)) == coverage
        assert met[i] == meet(rule(coverage=coverage), unit).variant
    assert made.fingerprint == parse(a_a(coverage=first)).fingerprint


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        (ramp((1, 5000), (2, 4000)), "schedule.ramp[1].coverage"),
        (ramp((2, 5000), (1, 6000)), "schedule.ramp[1].at"),
        (ramp((1, 500)), "schedule.ramp[0].coverage"),
    ],
)
def test_a_ramp_only_climbs(steps: list[dict], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(a_a(coverage=1000, schedule={"ramp": steps}))
    assert [e.field for e in refusal.value.errors] == [field]


def test_an_allow_list_shows_a_variant_and_counts_nobody() -> None:
    made = rule(coverage=0, allow_list={"tester": "t1", "c9": "control"})
    met = meet(made, "tester", held_out=True)
    assert (met.reason, met.variant.key, met.in_experiment) == ("forced", "t1", False)  # type: ignore[union-attr]
    logged_in = assign([made], Unit("v1", "c9"), {}, NOW, everybody, lambda r, u: None)
    assert logged_in.variant.key == "control"  # type: ignore[union-attr]
    assert meet(made, "other").reason == "not_in_coverage"
    assert meet(rule(state="paused", allow_list={"tester": "t1"}), "tester").reason == "not_running"


def test_who_looks_at_one_variant_is_not_kept_from_it_by_another() -> None:
    made = rule(allow_list={"tester": "t1", "other": "control"})

    def only_t1(compiled: Rule):
        return [NOTHING] * 2, {"control": Refusal("out_of_stock")}

    def met(visitor: str) -> Assignment:
        return assign([made], Unit(visitor), {}, NOW, only_t1, lambda r, u: None)

    assert met("tester").refusals == {}
    assert met("other").refusals.keys() == {"control"}
    assert met("anyone").reason == "not_eligible"
