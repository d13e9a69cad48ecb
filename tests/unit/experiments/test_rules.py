"""The decision rule at the door: presets are names for values, and what cannot decide anything is refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.definition import parse, to_json
from experiments.errors import Invalid
from experiments.metrics import BUILT_IN
from experiments.rules import CLAUSES, PRESETS, DecisionRule, check_rule, clauses
from tests.rules import any_rule
from tests.shop import a_a

GUARDED: dict[str, Any] = {"metrics": {"primary": "conversion", "guardrails": [{"metric": "aov", "margin": "2%"}]}}


def test_presets_are_their_fields() -> None:
    assert PRESETS["clear_signals"] == DecisionRule(None, "0%", None, True, True, None)
    assert PRESETS["do_no_harm"] == DecisionRule(None, None, None, True, True, None)
    assert PRESETS["profit_first"] == DecisionRule("contribution_per_visitor", "0%", None, False, True, None)
    assert {name: rule.preset for name, rule in PRESETS.items()} == {name: name for name in PRESETS}
    assert DecisionRule(least_lift="0").preset == "clear_signals"  # the same rule, written otherwise
    assert DecisionRule(least_lift="1%").preset is None


def test_a_definition_without_a_rule_keeps_the_one_there_was() -> None:
    plain = parse(a_a(**GUARDED))
    assert plain.rule.preset == "clear_signals"
    assert parse(to_json(plain)) == plain
    assert plain.fingerprint == parse(a_a(**GUARDED, rule={"secondaries_forbid": False})).fingerprint


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_is_taken_and_comes_back(preset: str) -> None:
    defined = parse(a_a(**GUARDED) | {"rule": to_json(parse(a_a(**GUARDED)))["rule"] | fields(PRESETS[preset])})
    assert defined.rule == PRESETS[preset]
    assert parse(to_json(defined)).rule.preset == preset


def fields(rule: DecisionRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in rule.__struct_fields__}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"metric": "happiness"}, "rule.metric"),
        ({"least_lift": "much"}, "rule.least_lift"),
        ({"least_lift": "-101%"}, "rule.least_lift"),
        ({"max_loss": "0"}, "rule.max_loss"),
        ({"max_loss": "NaN"}, "rule.max_loss"),
        ({"max_loss": "some", "metric": "revenue_per_visitor"}, "rule.max_loss"),
        ({"max_loss": "0.02"}, "rule.max_loss"),  # conversion is no money
        ({"least_lift": None, "prove_guardrails": False}, "rule.least_lift"),
        ({"minimum_precision": "0"}, "rule.minimum_precision"),
        ({"minimum_precision": "101%"}, "rule.minimum_precision"),
        ({"minimum_precision": "80%"}, "rule.minimum_precision"),  # of which lift?
        ({"margin": "2%"}, "rule.margin"),
    ],
)
def test_what_can_decide_nothing_is_refused_at_its_field(rule: dict[str, Any], field: str) -> None:
    analysis = {} if rule.get("minimum_precision") == "80%" else {"target_mde": "5%"}
    with pytest.raises(Invalid) as refused:
        parse(a_a(**GUARDED, rule=rule, analysis=analysis))
    assert field in {error.field for error in refused.value.errors}


def test_something_must_be_shown() -> None:
    """A rule that asks for no proof at all would ship on the first day."""
    for guardrails in ([], [{"metric": "aov", "margin": "0%"}]):
        with pytest.raises(Invalid):
            parse(a_a(metrics={"primary": "conversion", "guardrails": guardrails}, rule={"least_lift": None}))


@given(any_rule, st.sampled_from(["fixed", "confidence_sequence", "msprt", "group_sequential"]), st.integers(0, 14))
def test_every_rule_can_be_said_in_whole_sentences(rule: DecisionRule, method: Any, days: int) -> None:
    said = clauses(rule, "conversion", method, 0.05, days)
    assert said[-1].name == "checks"
    assert all(clause.sentence.endswith(".") and "%(" not in clause.sentence for clause in said)
    assert {clause.name for clause in said} <= set(CLAUSES)
    assert ("days" in {clause.name for clause in said}) == (days > 0)


@given(any_rule, any_rule)
def test_two_rules_that_say_the_same_are_the_same(one: DecisionRule, other: DecisionRule) -> None:
    said = [[c.sentence for c in clauses(rule, "conversion", "fixed", 0.05)] for rule in (one, other)]
    if said[0] == said[1]:
        assert one._values == other._values


def test_the_presets_are_fit_for_a_plan_with_a_guardrail() -> None:
    for rule in PRESETS.values():
        assert not list(check_rule(rule, BUILT_IN, "conversion", [Decimal("0.02")], planned=False))
