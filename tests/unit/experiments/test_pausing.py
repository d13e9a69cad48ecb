"""Conditions that pause an experiment: which there are, and where they make no sense."""

from typing import Any

import pytest

from experiments.amending import check_amendment
from experiments.definition import parse, to_json
from experiments.errors import Invalid
from tests.shop import NOW, a_a

GUARDED = {"primary": "revenue_per_visitor", "guardrails": [{"metric": "refund_rate", "margin": "2%"}]}


def defined(*conditions: str, **changes: Any) -> dict[str, Any]:
    return a_a(schedule={"pause_when": list(conditions)}, **({"metrics": GUARDED} | changes))


def test_they_are_part_of_the_definition_and_decide_nothing_that_visitors_see() -> None:
    both = parse(defined("sample_ratio_mismatch", "guardrail_breached"))
    assert parse(to_json(both)) == both
    assert to_json(both)["schedule"]["pause_when"] == ["sample_ratio_mismatch", "guardrail_breached"]
    assert both.fingerprint == parse(defined()).fingerprint


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (defined("guardrail_breached", metrics={"primary": "aov"}), "needs a guardrail"),
        (defined("guardrail_breached", analysis={"sequential": False}), "read once"),
        (defined("sample_ratio_mismatch", "sample_ratio_mismatch"), "twice"),
        (defined("bad_weather"), "bad_weather"),
    ],
)
def test_what_could_never_be_acted_on_is_refused_at_its_field(value: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(value)
    (error,) = refused.value.errors
    assert error.field.startswith("schedule.pause_when")
    assert said in error.message


def test_a_split_needs_neither_a_guardrail_nor_looks() -> None:
    parse(defined("sample_ratio_mismatch", metrics={"primary": "aov"}, analysis={"sequential": False}))


def test_they_may_change_while_it_runs() -> None:
    assert check_amendment(parse(defined()), parse(defined("guardrail_breached")), "running", NOW) == []
