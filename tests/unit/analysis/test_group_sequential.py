import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from analysis.group_sequential import boundaries, crossing, final_look, inflation, repeated, spent
from analysis.sequential import boundary, tuning
from experiments.errors import Invalid, NotEstimable

CASES = json.loads((Path(__file__).parents[2] / "reference" / "sequential.json").read_text())["cases"]
R_CASES = [case for case in CASES if case["id"].startswith("r_gst")]
SPENDING = {"power2": "power", "obf": "obrien_fleming", "pocock": "pocock"}
FORTNIGHT = [day / 14 for day in range(1, 15)]
FIXED_DRIFT = float(ndtri(0.975) + ndtri(0.8))

looks = (
    st.lists(st.floats(0.02, 1), min_size=1, max_size=5, unique=True)
    .map(sorted)
    .filter(lambda t: all(b - a > 0.02 for a, b in pairwise(t)))
)
spendings = st.sampled_from(["power", "obrien_fleming", "pocock"])


@pytest.mark.parametrize("case", R_CASES, ids=lambda c: c["id"])
def test_boundaries_against_r_mvtnorm(case):
    spending = SPENDING[case["id"].split("_")[2]]
    t, alpha = case["inputs"]["t"], case["inputs"]["alpha"]
    assert boundaries(t, alpha, spending).tolist() == pytest.approx(case["outputs"]["z"], abs=1e-8)
    if "spend" in case["outputs"]:
        assert spent(np.array(t), alpha, spending).tolist() == pytest.approx(case["outputs"]["spend"], rel=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c["id"].startswith("sc_gst")], ids=lambda c: c["id"])
def test_boundaries_against_spotify_confidence(case):
    found = boundaries(case["inputs"]["t"], case["inputs"]["alpha"])
    assert found.tolist() == pytest.approx(case["outputs"]["z"], abs=1e-4)


@given(st.floats(0.001, 0.5), spendings)
def test_one_look_is_the_fixed_test(alpha, spending):
    assert boundaries([1.0], alpha, spending)[0] == pytest.approx(-ndtri(alpha / 2), abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(looks, spendings)
def test_what_is_spent_is_what_crosses(t, spending):
    bounds = boundaries(t, 0.05, spending)
    assert np.cumsum(crossing(t, bounds)) == pytest.approx(spent(np.array(t), 0.05, spending), rel=1e-7, abs=1e-10)


def test_crossing_against_simulation():
    """100,000 random walks seen at uneven looks, under no effect and under one."""
    t = np.array([0.1, 0.35, 0.5, 0.9, 1.0])
    bounds = boundaries(t.tolist(), 0.05)
    rng = np.random.default_rng(20260301)
    steps = rng.standard_normal((100_000, len(t))) * np.sqrt(np.diff(t, prepend=0))
    for drift in (0.0, 2.0):
        z = (np.cumsum(steps, axis=1) + drift * t) / np.sqrt(t)
        out = np.abs(z) >= bounds
        first = np.where(out.any(axis=1), out.argmax(axis=1), -1)
        for look, expected in enumerate(crossing(t.tolist(), bounds, drift)):
            seen = np.mean(first == look)
            assert abs(seen - expected) < 5 * math.sqrt(expected * (1 - expected) / 100_000)


def test_power_of_a_fortnight_of_looks_against_a_published_simulation():
    """80% when read once; 100,000 runs gave 76.7% (t^2), 78.2% (t^3), 48.6% and 30.1% (sequences)."""
    for rho, expected in ((2, 0.767), (3, 0.782)):
        assert crossing(FORTNIGHT, boundaries(FORTNIGHT, rho=rho), FIXED_DRIFT).sum() == pytest.approx(
            expected, abs=0.005
        )
    for n_opt, expected in ((1.0, 0.486), (0.01, 0.301)):
        bounds = boundary(np.array(FORTNIGHT) * tuning(n_opt) ** 2)
        assert crossing(FORTNIGHT, bounds, FIXED_DRIFT).sum() == pytest.approx(expected, abs=0.005)


def test_peeking_with_the_fixed_test_has_the_known_error():
    assert crossing(FORTNIGHT, [1.959964] * 14).sum() == pytest.approx(0.2196, abs=0.0005)


def test_inflation_is_that_of_the_power_it_restores():
    bounds = boundaries(FORTNIGHT)
    factor = inflation(FORTNIGHT, bounds)
    assert factor == pytest.approx(1.087, abs=0.001)
    assert crossing(FORTNIGHT, bounds, FIXED_DRIFT * math.sqrt(factor)).sum() == pytest.approx(0.8, abs=1e-6)
    assert inflation([1.0], [1.959964]) == pytest.approx(1.0, abs=1e-4)


def test_past_the_plan_the_first_look_spends_the_rest_and_the_others_nothing():
    within, beyond = boundaries([0.5, 0.9, 1.1]), boundaries([0.5, 0.9, 1.1, 1.3])
    assert beyond[:3].tolist() == within.tolist()
    assert beyond[3] == math.inf
    assert crossing([0.5, 0.9, 1.1], within).sum() == pytest.approx(0.05, abs=1e-9)
    assert final_look([0.5, 0.9, 1.1, 1.3]) == 2
    assert final_look([0.5]) is None
    late = repeated(9.0, 1.0, [0.5, 1.1, 1.3])
    assert (late.boundary, late.low, late.high, late.p_value, late.rejects) == (None, None, None, 1.0, False)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 8), looks, spendings)
def test_repeated_p_value_agrees_with_the_repeated_interval(z, t, spending):
    reading = repeated(z, 1.0, t, spending=spending)
    assert reading.rejects == (reading.low is not None and reading.low >= 0)
    if abs(reading.p_value - 0.05) > 1e-6:
        assert reading.rejects == (reading.p_value < 0.05)
    assert reading.p_value >= 2 * ndtr(-z) * (1 - 1e-6)


def test_extremes_stay_numbers():
    far = repeated(61.0, 1.0, [0.3, 1.0])
    assert far.rejects
    assert 0 <= far.p_value < 1e-250
    assert boundaries([0.0001, 1.0], spending="obrien_fleming")[0] == math.inf
    assert boundaries([0.0001, 1.0], spending="obrien_fleming")[1] == pytest.approx(1.959964, abs=1e-6)
    assert crossing([0.5, 1.0], [2.0, 2.0], drift=500.0).sum() == pytest.approx(1.0)


def test_nonsense_is_refused_at_the_door():
    for bad in ([], [0.0], [0.5, 0.5], [0.9, 0.5], [math.nan]):
        with pytest.raises(Invalid):
            boundaries(bad)
    with pytest.raises(Invalid):
        boundaries([1.0], 1.2)
    with pytest.raises(Invalid):
        boundaries([1.0], spending="haybittle")
    with pytest.raises(NotEstimable):
        boundaries([0.5, 0.5000001, 1.0])
    with pytest.raises(NotEstimable):
        repeated(1.0, 0.0, [1.0])
