"""The plan's method of looking: what each says through a report, and what is refused at the door."""

import json

import numpy as np
import pytest

from analysis import AnalysisPlan, Metric, Moments, analyze
from analysis.group_sequential import boundaries, repeated
from analysis.monitoring import Monitoring, Observed, planned_units, read, units_by_the_end
from analysis.sequential import confidence_sequence, msprt
from experiments.errors import Invalid

RATE = Metric("conversion", "proportion", "bought")


def counted(units, bought):
    return Moments.from_aggregates(units, {"bought": bought}, {("bought", "bought"): bought})


def report(control, treatment, **options):
    sides = {"control": counted(*control), "offer": counted(*treatment)}
    found = analyze(sides, metrics=[RATE], control="control", complete=False, **options)
    json.dumps(found.to_dict(), allow_nan=False)
    return found


def block(found):
    return found.to_dict()["metrics"][0]["comparisons"][0]["sequential"]


def test_the_flag_alone_is_a_confidence_sequence_tuned_to_5000_units_as_gbstats_has_it():
    found = report((2000, 100), (2000, 140), sequential=True)
    c = found["conversion"].comparison("offer")
    told = confidence_sequence(c.difference.estimate, c.difference.standard_error, 4000.0, 5000.0)
    assert (block(found)["low"], block(found)["p_value"]) == (told.low, told.p_value)
    assert block(found)["method"] == "confidence_sequence"


def test_a_target_lift_tunes_the_sequence_to_the_units_that_find_it():
    found = report((2000, 100), (2000, 140), sequential=True, target_lift=0.1)
    planned = block(found)["planned_units"]
    # 80% power for 5% against 5.5% takes 31,000 an arm when it is read once, and 1.75 times as many at any time
    assert 2 * 31_000 < planned < 2 * 31_000 * 2
    c = found["conversion"].comparison("offer")
    told = confidence_sequence(c.difference.estimate, c.difference.standard_error, 4000.0, planned)
    assert block(found)["low"] == told.low


def test_units_that_were_planned_come_before_those_derived():
    seen = Observed(0.01, 0.01, 0.05, 0.0475, 1000.0, 1000.0)
    assert planned_units(Monitoring(planned_units=7000, target_lift=0.1), seen, 0.05) == 7000
    assert planned_units(Monitoring(), seen, 0.05) is None
    even = planned_units(Monitoring(target_lift=0.1), seen, 0.05)
    skewed = planned_units(Monitoring(target_lift=0.1), Observed(0.01, 0.01, 0.05, 0.0475, 1900.0, 100.0), 0.05)
    assert skewed == pytest.approx(even * (1 / 0.05 + 1 / 0.95) / 4)


def test_the_units_by_the_end_do_not_grow_with_those_seen():
    assert [units_by_the_end(400.0 * day, day, 14) for day in (1, 3, 14, 30)] == [5600] * 4
    assert units_by_the_end(400.0, 0.5, 14) is None


def test_msprt_mixes_over_lifts_of_the_target_s_size():
    found = report((2000, 100), (2000, 140), sequential="msprt", target_lift=0.2)
    c = found["conversion"].comparison("offer")
    told = msprt(c.difference.estimate, c.difference.standard_error, (0.2 * 0.05) ** 2)
    assert (block(found)["low"], block(found)["high"], block(found)["p_value"]) == (told.low, told.high, told.p_value)
    assert block(found)["method"] == "msprt"


def test_before_the_first_look_there_is_no_reading_and_the_report_says_when():
    found = report((400, 20), (400, 60), sequential="group_sequential", planned_units=5000, looks=5)
    assert block(found)["p_value"] is None
    assert "first of 5 looks is due at 1,000 units" in block(found)["reason"]
    assert found.verdict.decision == "keep_running"


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "power"])
def test_a_look_has_the_boundary_interval_and_p_value_of_the_looks_so_far(spending):
    found = report(
        (1250, 80), (1250, 110), sequential="group_sequential", planned_units=5000, looks=4, spending=spending
    )
    c, said = found["conversion"].comparison("offer"), block(found)
    told = repeated(c.difference.estimate, c.difference.standard_error, [0.25, 0.5], spending=spending)
    assert (said["look"], said["looks"], said["information"], said["next_look_units"]) == (2, 4, 0.5, 3750)
    assert (said["boundary"], said["low"], said["high"]) == pytest.approx((told.boundary, told.low, told.high))
    assert said["p_value"] == pytest.approx(told.p_value, rel=0.01)


def test_a_look_that_comes_late_spends_what_was_planned_for_it():
    """A reading at 0.6 of the plan is the look that was due at 0.5."""
    seen = Observed(0.02, 0.01, 0.05, 0.0475, 1500.0, 1500.0)
    found = read(Monitoring("group_sequential", 5000, looks=(0.5, 1.0)), seen, 0.05)
    bound = boundaries([0.6], 0.05, "obrien_fleming", times=[0.5])[0]
    assert found.look.boundary == pytest.approx(bound)
    assert bound > boundaries([0.6], 0.05, "obrien_fleming")[0]


def test_the_planned_end_decides_and_gives_the_estimate_after_stopping():
    flat = report((2500, 125), (2500, 130), sequential="group_sequential", planned_units=5000)
    assert flat.verdict.decision == "do_not_ship"
    assert block(flat)["stopped"]["low"] < 0 < block(flat)["stopped"]["high"]
    early = report(
        (1250, 60), (1250, 140), sequential="group_sequential", planned_units=5000, looks=2, spending="pocock"
    )
    assert early.verdict.decision == "ship"
    assert 0 < block(early)["stopped"]["low"] < block(early)["stopped"]["estimate"]
    assert "planned look" in early.verdict.rule


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("method", ["confidence_sequence", "msprt", "group_sequential"])
def test_the_interval_excludes_zero_exactly_when_p_is_below_alpha(method, seed):
    rng = np.random.default_rng(seed)
    seen = Observed(float(rng.normal(0.02, 0.02)), 0.01, 0.05, 0.0475, 1500.0, 1500.0)
    found = read(Monitoring(method, 5000, 0.3, looks=3, spending="pocock"), seen, 0.05)
    assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)


def test_skewed_differences_are_not_read_on_the_way():
    seen = Observed(0.02, 0.001, 0.05, 0.0475, 9500.0, 500.0, skewness=0.8)
    found = read(Monitoring(), seen, 0.05)
    assert found.p_value is None
    assert "skewness" in found.reason


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"sequential": "peek"}, "sequential"),
        ({"sequential": "group_sequential"}, "planned_units"),
        ({"sequential": "msprt"}, "target_lift"),
        ({"sequential": True, "planned_units": 1}, "planned_units"),
        ({"sequential": True, "target_lift": 0.0}, "target_lift"),
        ({"sequential": "group_sequential", "planned_units": 900, "looks": 0}, "looks"),
        ({"sequential": "group_sequential", "planned_units": 900, "looks": (0.5, 0.4, 1.0)}, "looks"),
        ({"sequential": "group_sequential", "planned_units": 900, "looks": (0.5, 0.9)}, "looks"),
        ({"sequential": "group_sequential", "planned_units": 900, "spending": "all"}, "spending"),
        ({"permutations": -1}, "permutations"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_by_its_field(options, field):
    with pytest.raises(Invalid) as refusal:
        AnalysisPlan((RATE,), "control", **options)
    assert field in [error.field for error in refusal.value.errors]


@pytest.mark.parametrize("method", ["confidence_sequence", "msprt", "group_sequential"])
@pytest.mark.parametrize("bought", [80, 100, 118, 140, 170])
def test_the_lift_on_the_way_excludes_zero_exactly_when_the_difference_does(method, bought):
    found = block(report((2500, 100), (2500, bought), sequential=method, planned_units=5000, target_lift=0.3))
    assert (found["lift"]["low"] > 0) == (found["low"] > 0)
    assert (found["lift"]["high"] < 0) == (found["high"] < 0)
    assert found["lift"]["low"] < bought / 100 - 1 < found["lift"]["high"]
