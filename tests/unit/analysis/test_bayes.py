import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln

from analysis.bayes import NormalPrior, normal_reading
from analysis.beta_binomial import BetaPrior, beta_binomial, win_and_loss
from experiments.errors import Invalid, NotEstimable

REFERENCE = Path(__file__).parents[2] / "reference"
CASES = {case["id"]: case for case in json.loads((REFERENCE / "bayes.json").read_text())["cases"]}
DATA = {case["id"]: case for case in json.loads((REFERENCE / "sequential.json").read_text())["cases"]}
AOV_CONTROL = 9823.68 / 177

# (case, where the same data's estimate and standard error stand, control's value if the case is a difference)
NORMAL = [
    ("gb_bayes_mean_n0_0.3_relative", "gb_seq_mean_relative", None),
    ("gb_bayes_prop_flat_relative", "gb_seq_prop_relative", None),
    ("gb_bayes_prop_n0_0.3_absolute", "gb_seq_prop_absolute", 145 / 1200),
    ("gb_bayes_ratio_flat_relative", "gb_seq_ratio_relative", None),
    ("gb_bayes_cuped_flat_relative", "gb_seq_cuped_relative", None),
    ("gb_bayes_cuped_n0_0.3_relative", "gb_seq_cuped_relative", None),
    ("gb_bayes_cuped_n0.01_0.05_relative", "gb_seq_cuped_relative", None),
    ("gb_bayes_rcuped_n0.01_0.05_relative", "gb_seq_rcuped_relative", None),
    ("gb_bayes_inverse", "gb_seq_mean_relative", None),
]


@pytest.mark.parametrize(("name", "data", "control"), NORMAL)
def test_normal_reading_against_gbstats(name, data, control):
    told, estimate = CASES[name]["outputs"], DATA[data]["outputs"]
    stated = CASES[name]["inputs"].get("prior", {"proper": False})
    prior = NormalPrior(stated["mean"], math.sqrt(stated["variance"])) if stated["proper"] else None
    if prior and control:
        prior = prior.on_difference(control)
    direction = "decrease" if CASES[name]["inputs"].get("inverse") else "increase"
    reading = normal_reading(estimate["effect"], estimate["se"], prior, direction)
    assert reading.chance_to_win == pytest.approx(told["chance_to_win"], rel=1e-10)
    assert reading.mean == pytest.approx(told["effect"], rel=1e-10)
    assert reading.standard_deviation == pytest.approx(told["posterior_sd"], rel=1e-10)
    assert (reading.low, reading.high) == pytest.approx(tuple(told["ci"]), rel=1e-10)
    losses = (reading.expected_loss_of_control, reading.expected_loss)
    assert losses == pytest.approx(tuple(told["expected_loss_control_treatment"]), rel=1e-9)


def test_a_prior_on_the_ratio_difference_against_gbstats():
    """A prior of 30% on the lift of an order value of 55.50 is one of 16.65 on the difference."""
    told = CASES["gb_bayes_ratio_n0_0.3_absolute"]["outputs"]
    effect = 0.44057724594937
    reading = normal_reading(effect, 1.9956828456, NormalPrior(0, 0.3).on_difference(AOV_CONTROL))
    assert reading.mean == pytest.approx(told["effect"], rel=1e-6)
    assert reading.standard_deviation == pytest.approx(told["posterior_sd"], rel=1e-6)
    assert reading.chance_to_win == pytest.approx(told["chance_to_win"], rel=1e-6)


@given(st.floats(-1, 1), st.floats(1e-4, 1), st.floats(-0.2, 0.2), st.floats(1e-3, 1), st.floats(0.01, 1e6))
def test_relative_and_absolute_readings_are_one(lift, error, mean, deviation, control):
    prior = NormalPrior(mean, deviation)
    relative = normal_reading(lift, error, prior)
    absolute = normal_reading(lift * control, error * control, prior.on_difference(control))
    assert absolute.chance_to_win == pytest.approx(relative.chance_to_win, rel=1e-9)
    assert absolute.expected_loss == pytest.approx(relative.expected_loss * control, rel=1e-6, abs=1e-300)
    assert absolute.mean == pytest.approx(relative.mean * control, rel=1e-9, abs=1e-12 * control)


@given(st.floats(-40, 40), st.floats(1e-3, 1e3))
def test_direction_swaps_the_roles(z, error):
    more, less = normal_reading(z * error, error), normal_reading(z * error, error, direction="decrease")
    assert more.chance_to_win == pytest.approx(1 - less.chance_to_win, abs=1e-15)
    assert (more.expected_loss, more.expected_loss_of_control) == (less.expected_loss_of_control, less.expected_loss)
    assert more.expected_loss_of_control - more.expected_loss == pytest.approx(z * error, rel=1e-9, abs=1e-12 * error)
    assert more.expected_loss >= 0


def test_expected_loss_far_out_keeps_its_digits():
    """E[max(-d, 0)] at ten standard errors, by adaptive quadrature: no difference of nearly equal numbers."""
    assert normal_reading(10.0, 1.0).expected_loss == pytest.approx(7.474560254589330e-25, rel=1e-12)
    assert normal_reading(61.0, 1.0).expected_loss == 0.0


def test_a_prior_of_any_width_stays_a_number():
    assert normal_reading(1.0, 1.0, NormalPrior(0, 1e-300)).mean == pytest.approx(0, abs=1e-12)
    wide = normal_reading(1.0, 1.0, NormalPrior(0, 1e300))
    assert (wide.mean, wide.standard_deviation) == (1.0, 1.0)


def test_what_cannot_be_read_is_refused():
    for estimate, error in ((1.0, 0.0), (math.nan, 1.0), (1.0, math.inf)):
        with pytest.raises(NotEstimable):
            normal_reading(estimate, error)
    with pytest.raises(NotEstimable):
        NormalPrior(0, 1).on_difference(0.0)
    with pytest.raises(Invalid):
        NormalPrior(0, 0)
    with pytest.raises(Invalid):
        BetaPrior(0, 1)
    with pytest.raises(NotEstimable):
        beta_binomial(3, 2, 1, 2)


@pytest.mark.parametrize("name", ["bayes_betabinom_low", "bayes_betabinom_zero_t"])
def test_beta_binomial_against_the_closed_form(name):
    given_, told = CASES[name]["inputs"], CASES[name]["outputs"]
    c, t = given_["control"], given_["treatment"]
    reading = beta_binomial(c["x"], c["n"], t["x"], t["n"])
    assert reading.chance_to_win == pytest.approx(told["p_treatment_better"], rel=1e-8)
    assert reading.expected_loss == pytest.approx(told["expected_loss_if_ship_treatment"], rel=1e-8)
    assert reading.expected_loss_of_control == pytest.approx(told["expected_loss_if_keep_control"], rel=1e-8)
    assert reading.mean == pytest.approx(told["posterior_means"][1] - told["posterior_means"][0], rel=1e-10)


def miller_sum(x_c, n_c, x_t, n_t):
    """P(B > A) for uniform priors: Miller 2014, the sum over the treatment's successes."""
    a, b, c, d = x_c + 1, n_c - x_c + 1, x_t + 1, n_t - x_t + 1
    i = np.arange(c)
    return float(np.exp(betaln(a + i, b + d) - np.log(d + i) - betaln(1 + i, d) - betaln(a, b)).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_beta_binomial_against_miller_sum(x_c, rest_c, x_t, rest_t):
    reading = beta_binomial(x_c, x_c + rest_c, x_t, x_t + rest_t)
    assert reading.chance_to_win == pytest.approx(miller_sum(x_c, x_c + rest_c, x_t, x_t + rest_t), rel=1e-8, abs=1e-14)
    assert reading.low < reading.mean < reading.high
    assert reading.expected_loss_of_control - reading.expected_loss == pytest.approx(reading.mean, abs=1e-9)


# Miller's sums by mpmath at 60 digits: (counts), chance to win, its complement, expected loss, that of control
BY_MPMATH = [
    ((0, 23, 452, 456_696), 0.0235354965650137, 0.976464503434986, 0.039019839860377, 1.17426057360935e-5),
    ((2, 40, 300, 200_000), 3.51453458989447e-5, 0.999964854654101, 0.0699235999481546, 1.34697336894706e-8),
    ((5, 10_000, 500, 10_000_000), 1.4674846946053e-5, 0.999985325153054, 0.000549780146224534, 1.12209334849664e-10),
    ((145, 1200, 166, 1180), 0.924308286572488, 0.0756917134275116, 0.000469618705789771, 0.0202913484230405),
    ((50, 1000, 120, 1000), 0.999999992914347, 7.08565255537865e-9, 1.49878541167539e-11, 0.0698602794561056),
    ((0, 1_000_000, 5, 1_000_000), 0.984375117187266, 0.0156248828127344, 1.56248046885469e-8, 5.01561480470855e-6),
    ((1000, 20_000_000, 900, 20_000_000), 0.0108941844974367, 0.989105815502563, 5.00812612441822e-6, 8.126624418e-9),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "wins", "loses", "lost", "gained"), BY_MPMATH)
def test_unequal_sizes_and_far_tails_against_mpmath(counts, wins, loses, lost, gained):
    """The small one of two chances, or of two losses, keeps as many digits as the large one."""
    reading = beta_binomial(*counts)
    assert reading.chance_to_win == pytest.approx(wins, rel=1e-11)
    assert (reading.expected_loss, reading.expected_loss_of_control) == pytest.approx((lost, gained), rel=1e-10)
    assert beta_binomial(*counts, direction="decrease").chance_to_win == pytest.approx(loses, rel=1e-11)
    assert win_and_loss(*counts) == (reading.chance_to_win, reading.expected_loss)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.5, 1, 7.3]))
def test_swapping_the_arms_swaps_the_reading(x_c, rest_c, x_t, rest_t, a):
    prior = BetaPrior(a, a)
    there = beta_binomial(x_c, x_c + rest_c, x_t, x_t + rest_t, prior)
    back = beta_binomial(x_t, x_t + rest_t, x_c, x_c + rest_c, prior)
    assert there.chance_to_win == pytest.approx(1 - back.chance_to_win, abs=1e-8)
    assert there.expected_loss == pytest.approx(back.expected_loss_of_control, rel=1e-7)
    assert there.low == pytest.approx(-back.high, abs=1e-5)


def test_a_triangle_has_its_exact_quantiles():
    """No data: the difference of two uniforms is a triangle on -1 to 1."""
    nothing = beta_binomial(0, 0, 0, 0)
    assert (nothing.low, nothing.high) == pytest.approx((math.sqrt(0.05) - 1, 1 - math.sqrt(0.05)), abs=1e-6)
    assert nothing.chance_to_win == pytest.approx(0.5)
    assert nothing.expected_loss == pytest.approx(1 / 6)


def test_a_billion_units_read_as_the_normal_does():
    exact = beta_binomial(5e7, 1e9, 5.001e7, 1e9)
    normal = normal_reading(1e-5, exact.standard_deviation)
    assert exact.chance_to_win == pytest.approx(normal.chance_to_win, abs=1e-4)
    assert exact.expected_loss == pytest.approx(normal.expected_loss, rel=1e-3)
    assert (exact.low, exact.high) == pytest.approx((normal.low, normal.high), rel=1e-3)


def test_beta_binomial_against_simulation():
    rng = np.random.default_rng(7)
    a, b = rng.beta(3.5, 40.5, 400_000), rng.beta(6.5, 30.5, 400_000)
    reading = beta_binomial(3, 43, 6, 36, BetaPrior(0.5, 0.5))
    band = 5 * math.sqrt(0.25 / 400_000)
    assert abs(np.mean(b > a) - reading.chance_to_win) < band
    assert abs(np.mean(b - a < reading.low) - 0.025) < band
    assert abs(np.mean(b - a > reading.high) - 0.025) < band
    assert np.mean(np.maximum(a - b, 0)) == pytest.approx(reading.expected_loss, rel=0.05)
