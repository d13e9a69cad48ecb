"""What of a started experiment may change: nothing that decides who sees what, or how the result is read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.amending import LOCKED, check_amendment, with_step
from experiments.definition import Definition, parse, to_json
from experiments.errors import Invalid
from experiments.moment import DAY, Micros, iso, micros
from tests.shop import NOW, a_a

CHANGES: dict[str, Any] = {
    "key": "other", "placement": "checkout", "unit": "customer", "coverage": 4000,
    "layer": {"key": "cart", "start": 0, "end": 5000}, "targeting": {"country": "DE"},
    "metrics": {"primary": "aov"}, "analysis": {"confidence": 0.9}, "allow_list": {"me": "t1"},
    "saved_offers": {"t1": "tea"}, "rule": {"secondaries_forbid": False},
    "saved_metrics": {"asked": {"type": "mean", "numerator": "event:asked"}},
    "variants": [{"key": k, "weight": w, "offer": {"type": "none"}} for k, w in (("control", 8000), ("t1", 2000))],
}  # fmt: skip


def defined(**changes: Any) -> Definition:
    return parse(a_a(**({"coverage": 2000} | changes)))


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_what_decides_or_is_read_is_locked_with_its_reason(name: str) -> None:
    changed = parse(to_json(defined()) | {name: CHANGES[name]})
    (refused,) = check_amendment(defined(), changed, "running", NOW)
    assert refused.field == name
    assert LOCKED[name] in refused.message


def test_every_locked_part_is_tried_above() -> None:
    assert set(LOCKED) == set(CHANGES) | {"schedule.start_at"}


def test_names_owners_and_the_end_may_change() -> None:
    later = iso(Micros(NOW + DAY))
    changed = defined(name="Other", hypothesis="so", about={"owner": "me"}, schedule={"end_at": later})
    assert check_amendment(defined(), changed, "running", NOW) == []
    past = defined(schedule={"end_at": iso(Micros(NOW - DAY))})
    assert [e.field for e in check_amendment(defined(), past, "running", NOW)] == ["schedule.end_at"]


def test_a_start_moves_only_while_it_is_to_come() -> None:
    planned, moved = (defined(schedule={"start_at": iso(Micros(NOW + days * DAY))}) for days in (2, 3))
    assert check_amendment(planned, moved, "scheduled", NOW) == []
    assert [e.field for e in check_amendment(planned, moved, "running", NOW)] == ["schedule.start_at"]


steps = st.lists(st.tuples(st.integers(-5, 5), st.integers(2001, 10_000)), max_size=5, unique_by=(lambda s: s[0]))


@given(steps, st.integers(1, 10_000))
def test_a_raised_coverage_keeps_the_steps_taken_and_only_grows(ramp: list[tuple[int, int]], coverage: int) -> None:
    now = Micros(NOW - NOW % 1_000_000)
    ordered = sorted(ramp)
    ordered = [s for i, s in enumerate(ordered) if all(s[1] > other[1] for other in ordered[:i]) and s[0] != 0]
    base = moment_of(now)
    written = [{"at": (base + timedelta(days=d)).isoformat(), "coverage": c} for d, c in ordered]
    before = defined(schedule={"ramp": written})
    in_force = max([2000, *(c for d, c in ordered if d < 0)])
    value = with_step(before, coverage, iso(now), now)
    if coverage <= in_force:
        with pytest.raises(Invalid):
            parse(value)
        return
    after = parse(value)
    assert check_amendment(before, after, "running", now) == []
    assert after.fingerprint == before.fingerprint  # who is inside was drawn under the same definition
    assert [s.coverage for s in after.schedule.ramp] == [
        *(c for d, c in ordered if d < 0), coverage, *(c for d, c in ordered if d > 0 and c > coverage)
    ]  # fmt: skip
    assert all(micros(a.at) < micros(b.at) for a, b in zip(after.schedule.ramp, after.schedule.ramp[1:], strict=False))


def moment_of(at: Micros) -> datetime:
    return datetime.fromtimestamp(at / 1_000_000, UTC)
