"""Whatever the table, the report is JSON without NaN, its intervals hold their estimates, and each gap has a reason."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import Metric, analyze

SHAPES = ("normal", "whole", "mostly zeros", "zero", "1e12", "1e-9")


def money(rng, shape, n):
    return {
        "normal": rng.normal(size=n),
        "whole": rng.integers(-3, 4, n).astype(float),
        "mostly zeros": np.round(rng.lognormal(3, 2, n) * (rng.random(n) < 0.3), 2),
        "zero": np.zeros(n),
        "1e12": 1e12 + rng.normal(size=n),
        "1e-9": 1e-9 * rng.normal(size=n),
    }[shape]


def table(rng, shape, n, variants):
    orders = rng.integers(0, 3, n)
    return pa.table({
        "variant": ["a", *rng.choice(list("abcd")[:variants], n - 1)],
        "money": pa.array(money(rng, shape, n), mask=rng.random(n) < rng.choice([0, 0.2, 0.9])),
        "orders": orders, "bought": (orders > 0).astype(int),
        "before": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.3),
        "who": rng.integers(0, n, n).astype(str), "where": rng.choice(["x", "y", ""], n),
    })  # fmt: skip


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(SHAPES), st.integers(1, 60), st.integers(1, 4), st.booleans(),
    st.booleans(), st.sampled_from([None, "who"]), st.sampled_from([None, 0.9]),
    st.sampled_from(["none", "holm", "bh", "dunnett"]),
)  # fmt: skip
@settings(max_examples=60)
def test_every_table_has_a_report(seed, shape, n, variants, adjust, sequential, unit, cap, correction):
    covariates = ("before",) if adjust else ()
    metrics = [
        Metric("conversion", "proportion", "bought", covariates=covariates),
        Metric("rpv", "mean", "money", covariates=covariates, cap=cap),
        Metric("aov", "ratio", "money", "orders", covariates=covariates, cap=cap),
        Metric("median", "quantile", "money", quantile=0.5),
        Metric("rows", "mean", "count()"),
    ]
    rows = table(np.random.default_rng(seed), shape, n, variants)
    found = analyze(
        rows, metrics=metrics, control="a", unit=unit, segments=["where"], sequential=sequential, correction=correction
    )
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found)
    for metric in found.metrics:
        for c in metric.comparisons:
            if not c.estimable:
                assert c.reason
                assert c.p_value is None
                continue
            assert 0 <= c.p_value <= c.p_value_adjusted <= 1
            for effect in (c.difference, c.lift):
                if effect.estimate is None:
                    continue
                near = pytest.approx(effect.estimate, rel=1e-9, abs=1e-9)
                assert effect.low is None or effect.low <= effect.estimate or effect.low == near
                assert effect.high is None or effect.high >= effect.estimate or effect.high == near
