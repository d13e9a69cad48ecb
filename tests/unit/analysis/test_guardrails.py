"""A guardrail's zone is one reading for everybody, and it may be looked at at any time where the plan says so."""

from dataclasses import replace

import pytest

from analysis.any_time import AnyTime
from analysis.effect import Effect
from analysis.fieller import Interval
from analysis.guardrails import zone
from analysis.report import Comparison, MetricResult, NonInferiority


def compared(
    lift: tuple[float, float], always: tuple[float, float] | None, *, margin: float = 0.02, holds: bool = False
) -> Comparison:
    sequential = None if always is None else AnyTime(0, 0, 0.5, lift=Interval(*always))
    return Comparison(
        "t1", "control", lift=Effect(0.0, *lift), non_inferiority=NonInferiority(margin, True, 0.5, holds),
        sequential=sequential,
    )  # fmt: skip


def result(direction: str) -> MetricResult:
    return MetricResult("refund_rate", "ratio", "guardrail", 0, direction, (), ())


@pytest.mark.parametrize(
    ("direction", "lift", "always", "expected"),
    [
        ("decrease", (0.03, 0.09), (0.025, 0.1), "breached"),
        ("decrease", (0.03, 0.09), (0.01, 0.12), "unproven"),  # one look would cry wolf
        ("decrease", (0.03, 0.09), None, "breached"),  # a plan that is read once, at its end
        ("increase", (-0.09, -0.03), (-0.1, -0.025), "breached"),
        ("increase", (-0.09, -0.03), (-0.12, -0.01), "unproven"),
        ("increase", (0.03, 0.09), (0.01, 0.12), "unproven"),
    ],
)
def test_a_breach_is_read_from_the_always_valid_interval_where_there_is_one(
    direction: str, lift: tuple[float, float], always: tuple[float, float] | None, expected: str
) -> None:
    assert zone(result(direction), compared(lift, always)) == expected


def test_without_a_margin_there_is_no_zone_and_without_an_interval_no_breach() -> None:
    free = replace(compared((0.03, 0.09), (0.03, 0.1)), non_inferiority=None)
    assert zone(result("decrease"), free) is None
    early = replace(compared((0.03, 0.09), None), sequential=AnyTime(None, None, None, reason="too early"))
    assert zone(result("decrease"), early) == "unproven"
    assert zone(result("decrease"), compared((-0.01, 0.01), (-0.015, 0.015), holds=True)) == "safe"
