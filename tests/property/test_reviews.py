"""Reviews: what holds, whatever was said in whatever order."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.definition import Definition, parse, to_json
from experiments.moment import Micros
from experiments.reviews import Review, ReviewRule, Step, covered, holds, standing, verdict
from experiments.shape import convert
from tests.shop import experiment

BASE = parse(experiment())
STEPS: tuple[Step, ...] = ("requested", "approved", "changes_requested", "overridden")

FREE: list[dict[str, Any]] = [
    {"about": {"owner": "ann@shop.example"}},
    {"about": {"tags": ["winter"], "links": ["https://example.org/"]}},
    {"about": {"reviewers": ["bob@shop.example"], "watchers": ["eve@shop.example"]}},
    {"schedule": {"start_at": "2099-01-01T09:00:00Z"}},
]
"""What may change after an approval."""
BOUND: list[dict[str, Any]] = [
    {"name": "Another name"},
    {"hypothesis": "It earns more."},
    {"coverage": 5000},
    {"placement": "checkout"},
    {"targeting": {"country": "DE"}},
    {"metrics": {"primary": "conversion"}},
    {"analysis": {"confidence": 0.9}},
    {"schedule": {"end_at": "2099-01-01T09:00:00Z"}},
    {"schedule": {"pause_when": ["sample_ratio_mismatch"]}},
    {"allow_list": {"visitor-1": "bundle"}},
]
"""What takes another one."""


def changed(change: dict[str, Any]) -> Definition:
    return parse(experiment(**change))


def made(step: Step, definition: Definition = BASE, by: str = "bob") -> Review:
    return Review(Micros(0), by, step, "", 1, definition.fingerprint, definition)


@pytest.mark.parametrize("change", FREE)
def test_an_approval_outlives_what_decides_nothing(change: dict[str, Any]) -> None:
    assert changed(change) != BASE
    assert standing([made("approved")], changed(change)) == "approved"
    assert standing([made("overridden")], changed(change)) == "overridden"


@pytest.mark.parametrize("change", BOUND)
def test_an_approval_is_of_what_was_approved(change: dict[str, Any]) -> None:
    for step in ("approved", "overridden"):
        assert standing([made(step)], changed(change)) == "stale"
        # and back again, it is what was approved
        assert holds(standing([made(step, changed(change))], changed(change)))


def test_every_part_of_a_definition_is_covered_but_what_is_named() -> None:
    """A part that is new is covered by itself: nobody has to think of it here."""
    parts = set(to_json(BASE)) - {"about"}
    whole = to_json(covered(BASE))
    assert {name for name in parts if whole[name] == to_json(BASE)[name]} == parts
    assert {name for change in BOUND for name in change} <= parts


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines that test may be slow
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), max_size=12))
def test_only_a_last_answer_that_is_a_yes_to_this_very_definition_lets_it_start(
    steps: list[tuple[Step, bool]],
) -> None:
    reviews = [made(step, BASE if same else changed({"coverage": 1})) for step, same in steps]
    found = standing(reviews, BASE)
    answers = [(step, same) for step, same in steps if step != "requested"]
    assert holds(found) == (bool(answers) and answers[-1][1] and answers[-1][0] in {"approved", "overridden"})
    assert (found == "none") == (not steps)
    answer = verdict(reviews)
    assert (answer is None) == (not answers)
    if not holds(found) and steps:
        last = steps[-1][0]
        assert found == ("stale" if last in {"approved", "overridden"} else last)


@given(about=st.fixed_dictionaries({"owner": st.text(max_size=20), "tags": st.lists(st.just("a"), max_size=2)}))
def test_what_was_kept_years_ago_is_read_as_it_was_meant(about: dict[str, Any]) -> None:
    """A definition from before a part was there has the part's default, and is no other than today's with it."""
    kept = to_json(changed({"about": about}))
    for name in ("saved_metrics", "rule"):
        kept.pop(name, None)
    assert covered(convert(kept, Definition)) == covered(BASE)


def test_who_may_review() -> None:
    anybody, named = ReviewRule(), ReviewRule(True, ("legal@shop.example",))
    assert anybody.may_review("ann@shop.example", defines=True)
    assert not anybody.may_review("ann@shop.example", defines=False)
    assert named.may_review("legal@shop.example", defines=False)
    assert not named.may_review("ann@shop.example", defines=True)
    assert msgspec.json.decode(msgspec.json.encode(named), type=ReviewRule) == named
