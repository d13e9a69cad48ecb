import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from analysis.group_sequential import crossing
from analysis.sequential import (
    UNPLANNED_UNITS,
    boundary,
    confidence_sequence,
    linear_model_p_value,
    msprt,
    running_p_value,
    tuning,
)
from experiments.errors import Invalid, NotEstimable

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[2] / "reference" / "sequential.json").read_text())["cases"]
}
effects = st.floats(-1e6, 1e6)
errors = st.floats(1e-6, 1e6)
sizes = st.floats(1, 1e9)


@pytest.mark.parametrize(
    "case", [c for i, c in CASES.items() if i.startswith("gb_seq_halfwidth")], ids=lambda c: c["id"]
)
def test_halfwidth_against_gbstats(case):
    given_, told = case["inputs"], case["outputs"]
    n, n_opt, alpha = given_["n"], given_["sequential_tuning_parameter"], given_["alpha"]
    error = math.sqrt(given_["s2"] / n)
    assert tuning(n_opt, alpha) == pytest.approx(told["rho"], rel=1e-12)
    assert confidence_sequence(0.0, error, n, n_opt, alpha).high == pytest.approx(told["halfwidth"], rel=1e-12)
    one_sided = confidence_sequence(0.0, error, n, n_opt, alpha, alternative="greater")
    assert -one_sided.low == pytest.approx(told["halfwidth_one_sided"], rel=1e-12)


@pytest.mark.parametrize("name", ["confseq_normal_mixture_v100", "confseq_normal_mixture_v5000"])
def test_halfwidth_against_confseq(name):
    given_, told = CASES[name]["inputs"], CASES[name]["outputs"]
    v = given_["v"]
    reading = confidence_sequence(0.0, math.sqrt(1 / v), v, given_["v_opt"], given_["alpha"])
    assert v * reading.high == pytest.approx(told["two_sided"], rel=1e-12)
    at_200 = confidence_sequence(200 / v, math.sqrt(1 / v), v, given_["v_opt"], given_["alpha"])
    assert at_200.log_e_value == pytest.approx(told["log_mixture_two_sided_s200"], rel=1e-12)


@pytest.mark.parametrize(
    "case", [c for i, c in CASES.items() if i.endswith(("_absolute", "_relative"))], ids=lambda c: c["id"]
)
def test_interval_and_p_value_against_gbstats(case):
    given_, told = case["inputs"], case["outputs"]
    n = given_["control"]["n"] + given_["treatment"]["n"]
    reading = confidence_sequence(told["effect"], told["se"], n, given_["sequential_tuning_parameter"], given_["alpha"])
    assert (reading.low, reading.high) == pytest.approx(tuple(told["ci"]), rel=1e-10)
    assert reading.p_value == pytest.approx(told["p_value"], rel=1e-9)


def test_one_sided_interval_against_gbstats():
    told = CASES["gb_seq_one_sided_greater"]["outputs"]
    above = confidence_sequence(told["effect"], told["se"], 2380, 5000, alternative="greater")
    assert above.low == pytest.approx(told["ci"][0], rel=1e-10)
    assert above.high == math.inf
    told = CASES["gb_seq_one_sided_less"]["outputs"]
    below = confidence_sequence(told["effect"], told["se"], 2380, 5000, alternative="less")
    assert below.high == pytest.approx(told["ci"][1], rel=1e-10)


@pytest.mark.parametrize("case", [c for i, c in CASES.items() if i.startswith("avlm")], ids=lambda c: c["id"])
def test_linear_model_against_avlm(case):
    n, t, nu = (case["inputs"][name] for name in ("n", "t", "nu"))
    told = case["outputs"]
    assert linear_model_p_value(t, nu, n, 1) == pytest.approx(told["p_g1"], rel=1e-10)
    assert linear_model_p_value(t, nu, n, 100) == pytest.approx(told["p_g100"], rel=1e-10)
    assert linear_model_p_value(told["radius_t_g1"], nu, n, 1) == pytest.approx(0.05, rel=1e-9)
    assert boundary(np.array(n / 1.0)) == pytest.approx(told["radius_z_g1"], rel=1e-10)


@given(effects, errors, sizes, sizes, st.floats(0.001, 0.3), st.sampled_from(["two-sided", "greater", "less"]))
def test_interval_excludes_zero_exactly_when_p_is_below_alpha(effect, error, n, n_opt, alpha, alternative):
    reading = confidence_sequence(effect, error, n, n_opt, alpha, alternative=alternative)
    nearest = min(abs(reading.low), abs(reading.high))
    if nearest > 1e-9 * (abs(effect) + error):
        assert (reading.low > 0 or reading.high < 0) == (reading.p_value < alpha)


@given(st.floats(-60, 60), sizes, sizes)
def test_p_is_never_below_that_of_the_fixed_test(z, n, n_opt):
    assert confidence_sequence(z, 1.0, n, n_opt).p_value >= 2 * ndtr(-abs(z)) * (1 - 1e-12)
    above = confidence_sequence(z, 1.0, n, n_opt, alternative="greater")
    assert above.p_value >= ndtr(-z) * (1 - 1e-12) or above.p_value == 1


@given(effects, errors, sizes, st.floats(1e-3, 1e3))
def test_units_of_the_metric_do_not_matter(effect, error, n, scale):
    one, other = (
        confidence_sequence(effect, error, n, 5000),
        confidence_sequence(effect * scale, error * scale, n, 5000),
    )
    assert other.log_e_value == pytest.approx(one.log_e_value, rel=1e-9, abs=1e-9)
    assert other.low == pytest.approx(one.low * scale, rel=1e-9, abs=1e-9 * scale * error)


def test_arrays_read_as_their_elements_do():
    effect, error, n = np.array([0.1, -0.4]), np.array([0.2, 0.1]), np.array([100.0, 900.0])
    together = confidence_sequence(effect, error, n, 1000)
    for i in range(2):
        alone = confidence_sequence(float(effect[i]), float(error[i]), float(n[i]), 1000)
        assert (together.low[i], together.p_value[i], together.e_value[i]) == (alone.low, alone.p_value, alone.e_value)


def test_a_z_of_61_keeps_its_evidence_in_logs():
    reading = confidence_sequence(61.0, 1.0, 2380, 5000)
    assert 1400 < reading.log_e_value < 1600
    assert 0 <= reading.p_value < 1e-300
    assert math.isfinite(reading.e_value)


def test_msprt_is_the_mixture_at_its_own_variance_ratio():
    reading = msprt(0.02, 0.004, 1e-4)
    ratio = 1e-4 / 0.004**2
    assert reading.log_e_value == pytest.approx(25 * ratio / (2 * (1 + ratio)) - math.log(1 + ratio) / 2, rel=1e-12)
    assert reading.high - 0.02 == pytest.approx(0.004 * boundary(np.array(ratio)), rel=1e-12)


def test_tuning_anew_at_each_look_would_break_the_guarantee():
    """Tuned to the units seen so far the boundary is flat in z: from 100 to 1,000,000 units it errs in over 5%.

    Tuned once, even badly, it does not.
    """
    fractions = np.geomspace(1e-4, 1, 250)
    flat = float(boundary(np.array(tuning(1.0) ** 2)))
    assert crossing(fractions.tolist(), [flat] * 250).sum() > 0.07
    once = boundary(fractions * 1_000_000 * tuning(UNPLANNED_UNITS) ** 2)
    assert crossing(fractions.tolist(), once).sum() < 0.05


def test_running_p_value_never_rises():
    assert running_p_value(np.array([1.0, 0.3, 0.6, 0.01, 0.5])).tolist() == [1.0, 0.3, 0.3, 0.01, 0.01]


@pytest.mark.parametrize(("effect", "error"), [(1.0, 0.0), (0.0, 0.0), (math.nan, 1.0), (1.0, math.inf)])
def test_what_cannot_be_read_is_refused(effect, error):
    with pytest.raises(NotEstimable):
        confidence_sequence(effect, error, 100, 100)
    with pytest.raises(NotEstimable):
        msprt(effect, error, 1.0)


def test_nonsense_is_refused_at_the_door():
    with pytest.raises(NotEstimable, match="no units"):
        confidence_sequence(1.0, 1.0, 0, 100)
    with pytest.raises(Invalid):
        tuning(0)
    with pytest.raises(Invalid):
        tuning(100, 1.5)
    with pytest.raises(Invalid):
        msprt(1.0, 1.0, 0.0)
    with pytest.raises(Invalid):
        linear_model_p_value(1.0, 0, 10)
    with pytest.raises(NotEstimable):
        linear_model_p_value(math.nan, 8, 10)
