import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri, stdtr

from analysis.dunnett import dunnett, dunnett_critical
from experiments.errors import Invalid, NotEstimable

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[2] / "reference" / "multiplicity.json").read_text())["cases"]
}
POOLED = (1 / 1200, [1 / 1180, 1 / 1210])  # the micro-data's variants under one variance
variances = st.floats(1e-6, 1e6)
families = st.lists(st.tuples(st.floats(-8, 8), variances), min_size=1, max_size=6)


@pytest.mark.parametrize("k", [2, 3, 4, 7])
def test_critical_values_against_adaptive_quadrature(k):
    told = CASES[f"dunnett_crit_z_{k}"]["outputs"]
    assert dunnett_critical(1, [1] * k) == pytest.approx(told["critical"], rel=1e-10)
    assert dunnett([2.2] * k, 1, [1] * k)[0] == pytest.approx(told["adj_p_at_z2.2"], rel=1e-10)
    assert dunnett([-3.0] * k, 1, [1] * k)[0] == pytest.approx(told["adj_p_at_z3"], rel=1e-10)
    assert dunnett_critical(1, [1] * k) == pytest.approx(CASES[f"r_dunnett_crit_{k}"]["outputs"]["critical"], abs=5e-4)


def test_adjusted_p_with_degrees_of_freedom_against_adaptive_quadrature():
    assert dunnett([2.5] * 3, 1, [1] * 3, df=12)[0] == pytest.approx(
        CASES["dunnett_t_df12"]["outputs"]["p_adj"], rel=1e-10
    )


def test_pooled_comparisons_against_r_multcomp():
    told = CASES["r_dunnett_pooled"]["outputs"]
    assert dunnett(told["t"], *POOLED, df=told["df"]) == pytest.approx(tuple(told["p_adj"]), abs=1e-9)
    critical = dunnett_critical(*POOLED, df=told["df"])
    # multcomp's own quantile is a randomised search, good to four digits
    for i in range(2):
        half = critical * told["se"][i]
        assert told["estimate"][i] - half == pytest.approx(told["lower"][i], abs=2e-4)
        assert told["estimate"][i] + half == pytest.approx(told["upper"][i], abs=2e-4)


def test_pooled_comparisons_against_scipy():
    told = CASES["dunnett_scipy_2v1"]["outputs"]
    assert dunnett(told["statistic"], *POOLED, df=3587) == pytest.approx(tuple(told["p_value"]), abs=5e-4)


@pytest.mark.parametrize("metric", ["mean", "ratio", "proportion"])
def test_unequal_variances_against_the_one_factor_formula(metric):
    told = CASES[f"spec_multiarm_{metric}"]["outputs"]
    control, *treatments = told["var_of_estimates"]
    assert dunnett(told["z"], control, treatments) == pytest.approx(tuple(told["p_dunnett"]), rel=1e-10)


@pytest.mark.parametrize(("k", "df", "critical"), [(2, 5, 3.03), (3, 10, 2.76), (9, 20, 2.95), (1, 20, 2.09)])
def test_critical_values_against_the_printed_table(k, df, critical):
    """Dunnett 1964, Biometrics 20, two-sided 5%."""
    assert dunnett_critical(1, [1] * k, df=df) == pytest.approx(critical, abs=0.011)


@given(st.floats(-37, 37), variances, variances, st.sampled_from([None, 5.0, 200.0]))
def test_one_variant_is_the_plain_test(statistic, control, treatment, df):
    plain = 2 * (ndtr(-abs(statistic)) if df is None else stdtr(df, -abs(statistic)))
    assert dunnett([statistic], control, [treatment], df)[0] == pytest.approx(plain, rel=1e-12)
    assert dunnett_critical(control, [treatment]) == pytest.approx(-ndtri(0.025), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(families, variances, st.sampled_from(["two-sided", "greater", "less"]))
def test_adjusted_lies_between_plain_and_bonferroni_and_step_down_below_single_step(family, control, alternative):
    statistics, treatments = [s for s, _ in family], [v for _, v in family]
    adjusted = dunnett(statistics, control, treatments, alternative=alternative)
    stepped = dunnett(statistics, control, treatments, alternative=alternative, step_down=True)
    sign = {"two-sided": None, "greater": 1, "less": -1}[alternative]
    for s, p, q in zip(statistics, adjusted, stepped, strict=True):
        plain = 2 * ndtr(-abs(s)) if sign is None else ndtr(-sign * s)
        assert plain * (1 - 1e-12) <= q <= p * (1 + 1e-9)
        assert p <= min(1, len(family) * plain) * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(families, variances, st.randoms(use_true_random=False))
def test_labels_and_order_do_not_matter(family, control, random):
    shuffled = list(range(len(family)))
    random.shuffle(shuffled)
    there = dunnett([s for s, _ in family], control, [v for _, v in family])
    back = dunnett([family[i][0] for i in shuffled], control, [family[i][1] for i in shuffled])
    assert back == pytest.approx(tuple(there[i] for i in shuffled), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(variances, min_size=1, max_size=5), variances, st.floats(0.001, 0.4))
def test_the_critical_value_is_where_the_adjusted_p_is_alpha(treatments, control, alpha):
    critical = dunnett_critical(control, treatments, alpha)
    assert dunnett([critical] * len(treatments), control, treatments)[0] == pytest.approx(alpha, rel=1e-8)


def test_noise_free_and_shared_errors_are_their_limits():
    """No error in control: independent comparisons (Sidak). None in the variants: one and the same comparison."""
    plain = 2 * ndtr(-2.2)
    assert dunnett([2.2] * 3, 0, [1] * 3)[0] == pytest.approx(1 - (1 - plain) ** 3, rel=1e-12)
    assert dunnett([2.2] * 3, 1, [0] * 3)[0] == pytest.approx(plain, rel=1e-12)
    assert dunnett([2.2] * 3, 1e30, [1] * 3)[0] == pytest.approx(plain, rel=1e-9)


def test_against_simulation():
    rng = np.random.default_rng(11)
    control, treatments = 2.0, np.array([0.5, 1.0, 9.0])
    noise = rng.standard_normal((200_000, 4)) * np.sqrt([control, *treatments])
    z = (noise[:, 1:] - noise[:, :1]) / np.sqrt(control + treatments)
    for c in (1.5, 2.4):
        expected = dunnett([c] * 3, control, treatments.tolist())[0]
        assert abs(np.mean(np.abs(z).max(axis=1) > c) - expected) < 5 * math.sqrt(expected * (1 - expected) / 200_000)
        expected = dunnett([c] * 3, control, treatments.tolist(), alternative="greater")[0]
        assert abs(np.mean(z.max(axis=1) > c) - expected) < 5 * math.sqrt(expected * (1 - expected) / 200_000)


def test_far_out_the_p_values_keep_their_digits():
    for z in (8.3, 20.0, 37.0):
        assert dunnett([z, 0.0], 1, [1, 1])[0] == pytest.approx(2 * 2 * ndtr(-z), rel=1e-6)
    assert dunnett([61.0, 0.0], 1, [1, 1])[0] == 0


def test_untested_variants_stay_untested_and_are_not_counted():
    assert dunnett([2.2, None, 1.0], 1, [1, 5, 2]) == (
        *dunnett([2.2, 1.0], 1, [1, 2])[:1], None, *dunnett([2.2, 1.0], 1, [1, 2])[1:],
    )  # fmt: skip
    assert dunnett([], 1, []) == ()


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(NotEstimable, match="zero variance"):
        dunnett([1.0], 0, [0])
    with pytest.raises(NotEstimable):
        dunnett([math.nan], 1, [1])
    with pytest.raises(NotEstimable):
        dunnett([1.0], -1, [1])
    with pytest.raises(Invalid):
        dunnett([1.0], 1, [1, 2])
    with pytest.raises(Invalid):
        dunnett_critical(1, [])
    with pytest.raises(Invalid):
        dunnett_critical(1, [1], alpha=0)
    with pytest.raises(Invalid):
        dunnett([1.0, 2.0], 1, [1, 1], df=0)
