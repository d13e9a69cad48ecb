"""The verdict on whole tests: what is said, and that it is one sentence people understand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from analysis import AnalysisPlan, Metric, analyze, read_table

PROMOTION = Path(__file__).parents[2] / "reference" / "starbucks" / "Test.csv.gz"


def test_starbucks_promotion_sells_more_and_earns_less():
    """Conversion up, profit down: do not ship. Rates and the loss of 1,132.20 dollars are the course's own."""
    table = read_table(PROMOTION, text=["Promotion"])
    cost = pc.multiply(pc.cast(pc.equal(pc.cast(table["Promotion"], pa.string()), "Yes"), pa.float64()), 0.15)
    table = table.append_column(
        "profit", pc.subtract(pc.multiply(pc.cast(table["purchase"], pa.float64()), 10.0), cost)
    )
    metrics = [Metric("conversion", "proportion", "purchase"), Metric("profit", "mean", "profit")]
    report = analyze(table, metrics=metrics, control="No", variant="Promotion")
    sold, earned = report["conversion"].comparison("Yes"), report["profit"].comparison("Yes")
    assert sold.difference.estimate == pytest.approx(0.009593158278250108, rel=1e-12)
    assert sold.p_value == pytest.approx(4.6650662025440825e-20, rel=1e-9)
    treated = report["profit"].variant("Yes")
    assert treated.numerator - 10 * 141 == pytest.approx(-1132.2, abs=1e-6)
    assert earned.difference.high < 0
    assert report.verdict.decision == "do_not_ship"
    assert report.verdict.because[0] == "Yes trades profit for conversion: conversion better, profit worse"


def shop(rng, variant, units, conversion, value):
    bought = rng.random(units) < conversion
    money = np.where(bought, np.round(rng.gamma(4.0, value / 4.0, units), 2), 0.0)
    return {"variant": [variant] * units, "bought": bought.astype(int), "money": money}


def test_globox_like_trade_off_is_said_in_a_sentence():
    """Conversion up, order value down, revenue flat."""
    rng = np.random.default_rng(1)
    sides = [shop(rng, "A", 24_000, 0.0392, 86.0), shop(rng, "B", 24_600, 0.0463, 73.0)]
    table = pa.concat_tables([pa.table(side) for side in sides])
    metrics = [
        Metric("rpv", "mean", "money"),
        Metric("conversion", "proportion", "bought"),
        Metric("aov", "ratio", "money", "bought"),
    ]
    report = analyze(table, metrics=metrics, control="A")
    assert report.verdict.decision == "do_not_ship"
    assert report.verdict.because[0] == (
        "B trades aov for conversion: conversion better, aov worse, no change shown in rpv"
    )
    (split,) = report.decompositions
    conversion, value = split["parts"]
    assert conversion["estimate"] > 0 > value["estimate"]
    assert conversion["total"] + value["total"] == pytest.approx(split["change"]["total"], abs=1e-9)


def two(rng, lift, n=4_000, names=("a", "b")):
    y = np.concatenate([rng.normal(10, 3, n), rng.normal(10 * (1 + lift), 3, n)])
    return pa.table({"variant": [names[0]] * n + [names[1]] * n, "y": y, "z": rng.normal(5, 1, 2 * n)})


Y, Z = Metric("y", "mean", "y"), Metric("z", "mean", "z")


def test_a_clear_gain_ships():
    report = analyze(two(np.random.default_rng(2), 0.1), metrics=[Y, Z], control="a")
    assert (report.verdict.decision, report.verdict.variant) == ("ship", "b")


def test_a_gain_in_what_should_fall_does_not_ship():
    metric = Metric("y", "mean", "y", direction="decrease")
    report = analyze(two(np.random.default_rng(2), 0.1), metrics=[metric], control="a")
    assert report.verdict.decision == "do_not_ship"
    assert report["y"].comparison("b").chance_to_win < 0.01


def test_a_broken_split_comes_before_everything():
    table = two(np.random.default_rng(2), 0.1).slice(0, 7_000)
    report = analyze(table, metrics=[Y], control="a", weights={"a": 1, "b": 1})
    assert report.verdict.decision == "fix_first"


def test_an_interim_look_without_proof_keeps_running():
    report = analyze(two(np.random.default_rng(3), 0.0), metrics=[Y], control="a", sequential=True, complete=False)
    assert report.verdict.decision == "keep_running"


def test_a_guardrail_must_be_shown_to_hold():
    tight = AnalysisPlan((Y, Z), "a", roles={"y": "primary", "z": "guardrail"}, margins={"z": 0.0001})
    loose = AnalysisPlan((Y, Z), "a", roles={"y": "primary", "z": "guardrail"}, margins={"z": 0.05})
    table = two(np.random.default_rng(2), 0.1)
    assert analyze(table, tight).verdict.decision == "do_not_ship"
    assert analyze(table, loose).verdict.decision == "ship"


def test_several_primary_metrics_are_one_family():
    rng = np.random.default_rng(4)
    table = two(rng, 0.0)
    plan = AnalysisPlan((Y, Z), "a", roles={"y": "primary", "z": "primary"})
    report = analyze(table, plan)
    p = sorted(report[m].comparison("b").p_value for m in "yz")
    assert min(report[m].comparison("b").p_value_adjusted for m in "yz") == pytest.approx(min(1, 2 * p[0]))


def test_few_units_are_decided_by_the_split_and_not_by_the_normal_curve():
    """Three against three cannot be below 0.05 by splitting them, whatever the t-test says."""
    table = pa.table({"variant": ["a"] * 3 + ["b"] * 3, "y": [1.0, 1.1, 1.2, 3.0, 3.1, 3.2]})
    report = analyze(table, metrics=[Y], control="a")
    c = report["y"].comparison("b")
    assert c.p_value < 0.001
    assert (c.permutation.p_value, c.permutation.exact, c.permutation.permutations) == (0.1, True, 20)
    assert report.verdict.decision == "do_not_ship"
    assert report.to_dict()["metrics"][0]["comparisons"][0]["permutation"]["p_value_adjusted"] == 0.1


def test_heavy_tails_in_an_uneven_split_are_decided_by_the_split():
    """Where Welch's test calls a fall because the small variant has no large order, the permutation test does not."""
    rng = np.random.default_rng(15)
    sides = [rng.lognormal(3, 1.5, 9_900), rng.lognormal(3, 1.5, 100) * 0.85]
    table = pa.table({"variant": ["a"] * 9_900 + ["b"] * 100, "y": np.concatenate(sides)})
    c = analyze(table, metrics=[Y], control="a", weights={"a": 99, "b": 1})["y"].comparison("b")
    assert c.permutation is not None
    assert not c.permutation.exact
    assert c.deciding_p_value == c.permutation.p_value
    assert any("permutation" in note for note in c.notes)
    off = analyze(table, metrics=[Y], control="a", permutations=0)["y"].comparison("b")
    assert (off.permutation, off.p_value) == (None, c.p_value)
