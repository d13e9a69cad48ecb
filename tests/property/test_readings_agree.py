"""Corrected intervals and corrected p-values say the same: 0 is left out exactly when p is below alpha."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import Metric, Moments, analyze

CORRECTIONS = ["bonferroni", "holm", "dunnett", "bh"]
COUNTS = st.tuples(st.integers(20, 4000), st.floats(0, 1))


def holds_zero(interval):
    return (interval.low is None or interval.low <= 0) and (interval.high is None or interval.high >= 0)


def agree(report, alpha):
    for metric in report.metrics:
        for c in metric.comparisons:
            if c.difference_adjusted is not None:
                assert holds_zero(c.difference_adjusted) == (c.p_value_adjusted >= alpha), c
                assert c.p_value_adjusted >= c.p_value


@settings(max_examples=150, deadline=None)
@given(st.lists(COUNTS, min_size=3, max_size=6), st.sampled_from(CORRECTIONS), st.sampled_from([0.8, 0.95, 0.99]))
def test_proportions_low_counts_and_zeros_included(arms, correction, confidence):
    sides = {}
    for i, (units, share) in enumerate(arms):
        bought = round(units * share)
        sides[f"v{i}"] = Moments.from_aggregates(units, {"x": bought}, {("x", "x"): bought})
    metric = Metric("x", "proportion", "x")
    agree(
        analyze(sides, metrics=[metric], control="v0", correction=correction, confidence=confidence),
        round(1 - confidence, 12),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(3, 60), st.floats(-2, 2), st.floats(0.1, 5)), min_size=3, max_size=6),
    st.sampled_from(CORRECTIONS), st.sampled_from([0.8, 0.95, 0.99]),
)  # fmt: skip
def test_means_of_few_units_and_unlike_variances(arms, correction, confidence):
    sides = {f"v{i}": Moments.from_summary(["y"], n, [mean], [[sd**2]]) for i, (n, mean, sd) in enumerate(arms)}
    metric = Metric("y", "mean", "y")
    agree(
        analyze(sides, metrics=[metric], control="v0", correction=correction, confidence=confidence),
        round(1 - confidence, 12),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.booleans())
def test_families_over_several_metrics(means, primary):
    """Secondary metrics by Benjamini-Hochberg, several primaries by Holm."""
    arms = np.array(means).reshape(3, 3)
    sides = {f"v{i}": Moments.from_summary(["a", "b", "c"], 40, row, np.eye(3)) for i, row in enumerate(arms)}
    metrics = [Metric(name, "mean", name) for name in "abc"]
    roles = dict.fromkeys("abc", "primary") if primary else {"a": "primary", "b": "secondary", "c": "secondary"}
    agree(analyze(sides, metrics=metrics, control="v0", roles=roles, correction="holm"), 0.05)


@pytest.mark.parametrize("correction", ["bonferroni", "holm", "dunnett"])
def test_corrected_intervals_cover_all_truths_together(correction):
    """Two of three offers have an effect: all three intervals hold theirs in at least 95% of the tests."""
    rng = np.random.default_rng(20268)
    truths, runs, missed = (0.35, 0.2, 0.0), 500, 0
    metric = Metric("y", "mean", "y")
    for _ in range(runs):
        means = rng.normal((0.0, *truths), 0.1)
        sides = {f"v{i}": Moments.from_summary(["y"], 10_000, [m], [[100.0]]) for i, m in enumerate(means)}
        found = analyze(sides, metrics=[metric], control="v0", correction=correction)["y"]
        missed += any(
            not ((i.low is None or i.low <= truth) and (i.high is None or i.high >= truth))
            for i, truth in zip((c.difference_adjusted for c in found.comparisons), truths, strict=True)
        )
    assert missed / runs < 0.05 + 5 * np.sqrt(0.05 * 0.95 / runs)
