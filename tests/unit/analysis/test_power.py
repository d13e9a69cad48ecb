import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from analysis.plan import plan, remaining_units
from analysis.power import Baseline, Design, best_shares, equal_shares, mde, power, sample_size
from experiments.errors import Invalid, NotEstimable

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[2] / "reference" / "power.json").read_text())["cases"]
}
UNIT = Baseline.of_mean(0.0, 1.0)
FIVE_PERCENT = Baseline.of_proportion(0.05)

designs = st.builds(
    Design,
    shares=st.sampled_from([(0.5, 0.5), (0.9, 0.1), equal_shares(4), best_shares(4), (0.2, 0.1, 0.3)]),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
    power=st.sampled_from([0.5, 0.8, 0.95]),
    correction=st.sampled_from(["none", "bonferroni", "dunnett"]),
    monitoring=st.sampled_from(["fixed", "group_sequential", "sequential"]),
    looks=st.sampled_from([1, 5]),
)
baselines = st.sampled_from([
    FIVE_PERCENT, Baseline.of_proportion(0.6, residual_share=0.7), Baseline.of_mean(8.2, 26.9),
    Baseline.of_mean(-3.0, 5.0, 0.4), Baseline.of_ratio(8.19, 0.1475, (624.0, 0.18, 10.2)),
])  # fmt: skip


@pytest.mark.parametrize("case", [c for i, c in CASES.items() if i.startswith("power_n")], ids=lambda c: c["id"])
def test_sample_size_against_statsmodels(case):
    given_, told = case["inputs"], case["outputs"]
    ratio = given_["ratio"]
    alternative = "greater" if given_["alternative"] == "larger" else "two-sided"
    design = Design((1 / (1 + ratio), ratio / (1 + ratio)), given_["alpha"], given_["power"], alternative)
    first = sample_size(UNIT, given_["d"], design) / (1 + ratio)
    assert first == pytest.approx(told["n1_z"], rel=1e-8)
    assert first == pytest.approx(told["n1_t"], abs=2)  # the t quantile costs about one unit


def test_proportion_against_r_power_prop_test():
    each = sample_size(FIVE_PERCENT, 0.005, Design()) / 2
    assert each == pytest.approx(CASES["r_power_prop"]["outputs"]["n"], rel=1e-5)  # R leaves out the other tail


@pytest.mark.parametrize("case", [c for i, c in CASES.items() if i.startswith("power_prop")], ids=lambda c: c["id"])
def test_proportion_is_between_the_other_conventions_of_statsmodels(case):
    p, q, told = case["inputs"]["p1"], case["inputs"]["p2"], case["outputs"]
    each = sample_size(Baseline.of_proportion(p), q - p, Design()) / 2
    assert each == pytest.approx(told["n_unpooled_z"], rel=2e-3)
    assert each == pytest.approx(told["n_arcsine"], rel=2e-3)
    assert power(Baseline.of_proportion(p), q - p, 40_000, Design()) == pytest.approx(
        told["power_2indep_at_20000"], abs=1e-3
    )


def test_mean_against_spotify_confidence():
    baseline = Baseline.of_mean(1.0, 25.0)
    assert math.ceil(sample_size(baseline, 0.5, Design()) / 2) == 39_245
    uneven = Design((0.5, 1 / 6, 1 / 6, 1 / 6), correction="none")
    assert sample_size(baseline, 0.5, uneven) == pytest.approx(156_978, rel=1e-4)


def sample(columns, given_):
    """Means and variances of a published sample, from its sums."""
    n = given_["n"]
    mean = [given_[f"sum_{c}"] / n for c in columns]
    product = {tuple(sorted(k.split("_")[1:])): v for k, v in given_.items() if k.count("_") == 2 and "pre" not in k}

    def covariance(i, j):
        return (product[tuple(sorted((columns[i], columns[j])))] - n * mean[i] * mean[j]) / (n - 1)

    return mean, covariance


def test_mean_and_ratio_against_tea_tasting():
    """Their solver uses t quantiles (and returns NaN for large effects): the normal answer is within 1e-4 of it."""
    case = CASES["tt_power_mean_rel_effect_size_n_obs1e+05"]
    (mean,), covariance = sample(["revenue"], case["inputs"]["sample"])
    baseline = Baseline.of_mean(mean, math.sqrt(covariance(0, 0)))
    assert mde(baseline, 100_000, Design()) == pytest.approx(case["outputs"]["effect_size"], rel=1e-4)
    told = CASES["tt_power_mean_power_rel_effect_size0.1_n_obs5e+04"]["outputs"]
    assert power(baseline, baseline.effect(0.1), 50_000, Design()) == pytest.approx(told["power"], abs=1e-4)
    (top, bottom), covariance = sample(["revenue", "orders"], case["inputs"]["sample"])
    ratio = Baseline.of_ratio(top, bottom, (covariance(0, 0), covariance(1, 1), covariance(0, 1)))
    told = CASES["tt_power_ratio_rel_effect_size_n_obs1e+05"]["outputs"]
    assert mde(ratio, 100_000, Design()) == pytest.approx(told["effect_size"], rel=1e-4)
    told = CASES["tt_power_ratio_n_obs_rel_effect_size0.05"]["outputs"]
    assert sample_size(ratio, ratio.effect(0.05), Design()) == pytest.approx(told["n_obs"], rel=4e-4)
    assert power(ratio, ratio.effect(0.1), 50_000, Design()) == pytest.approx(1)  # NaN there


def test_mean_against_ambrosia():
    told = CASES["ambrosia_sample_size"]
    baseline = Baseline.of_mean(told["inputs"]["mean"], told["inputs"]["std"])
    assert sample_size(baseline, baseline.effect(0.05), Design()) / 2 == pytest.approx(told["outputs"]["n"], abs=3)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.1, 0.9)])
def test_proportion_against_simulation(shares):
    """200,000 pooled z tests at the planned size: the power that was planned, whatever the split."""
    rng = np.random.default_rng(3)
    design = Design(shares)
    units = sample_size(Baseline.of_proportion(0.2), 0.03, design)
    n_c, n_t = (int(units * share) for share in shares)
    x, y = rng.binomial(n_c, 0.2, 200_000), rng.binomial(n_t, 0.23, 200_000)
    pooled = (x + y) / (n_c + n_t)
    z = (y / n_t - x / n_c) / np.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_t))
    assert np.mean(np.abs(z) > 1.959964) == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / 200_000))


def test_running_test_against_gbstats_mid_experiment_power():
    """Their power of a sequence is read once, at the end; theirs is solved to three digits."""
    told = CASES["gb_midpower_seq1_mde0.2"]["outputs"]
    error, n, rho2 = 0.14311322427600742, 2380, 0.03984006677137368**2

    def found(units):
        from analysis.group_sequential import crossing
        from analysis.sequential import boundary

        z = 0.2 / (error * math.sqrt(n / units))
        return float(crossing([1.0], [float(boundary(units * rho2))], z)[0])

    assert found(n) == pytest.approx(told["power_now"], rel=1e-9)
    assert found(n + told["additional_users"]) == pytest.approx(0.8, abs=1e-4)


def test_remaining_units_bring_the_running_test_to_its_power():
    """0.2 of lift at a standard error of 0.143: 4.02 times the units; gbstats says 7,184.7 more."""
    assert remaining_units(0.14311322427600742, 2380, 0.2, Design()) == pytest.approx(7184.74, rel=1e-3)
    assert remaining_units(0.01, 2380, 0.2, Design()) == 0
    with pytest.raises(NotEstimable):
        remaining_units(0.0, 2380, 0.2, Design())


@settings(max_examples=60, deadline=None)
@given(baselines, designs, st.floats(0.005, 0.3), st.booleans())
def test_size_effect_and_power_are_one_equation(baseline, design, lift, fall):
    effect = baseline.effect(-lift if fall else lift)
    units = sample_size(baseline, effect, design)
    assert power(baseline, effect, units, design) == pytest.approx(design.power, abs=1e-8)
    assert mde(baseline, units, design, fall=fall) == pytest.approx(effect, rel=1e-7)


@settings(max_examples=30, deadline=None)
@given(baselines, designs, st.floats(0.01, 0.2), st.floats(1.05, 5))
def test_more_units_more_power_and_a_smaller_effect(baseline, design, lift, more):
    effect = baseline.effect(lift)
    units = sample_size(baseline, effect, design)
    assert power(baseline, effect, units * more, design) > design.power
    assert 0 < mde(baseline, units * more, design) < effect


def test_at_half_power_the_smallest_effect_is_the_bound_of_the_interval():
    design = Design(power=0.5)
    assert mde(UNIT, 1000, design) == pytest.approx(-ndtri(0.025) * math.sqrt(4 / 1000), rel=1e-4)


def test_cuped_saves_its_share():
    whole = sample_size(Baseline.of_mean(8.2, 26.9), 0.5, Design())
    assert sample_size(Baseline.of_mean(8.2, 26.9, residual_share=0.6), 0.5, Design()) == pytest.approx(0.6 * whole)


def test_a_ratio_is_planned_with_its_linearised_unit():
    """Whole-order denominators of one make a ratio a mean: absent means constant."""
    assert Baseline.of_ratio(8.2, 1.0, (26.9**2, 0.0, 0.0)).standard_deviation == pytest.approx(26.9)
    rate = Baseline.of_ratio(0.3, 0.1, (4.0, 0.09, 0.5))
    assert rate.value == pytest.approx(3.0)
    assert rate.standard_deviation == pytest.approx(math.sqrt(4 - 2 * 3 * 0.5 + 9 * 0.09) / 0.1)


def test_looks_and_variants_cost_what_they_must():
    def cost(**how):
        return sample_size(FIVE_PERCENT, 0.005, Design(**how)) / sample_size(FIVE_PERCENT, 0.005, Design())

    assert cost(monitoring="group_sequential") == pytest.approx(1.087, abs=0.002)
    assert 1.5 < cost(monitoring="sequential") < 2.0
    assert cost(monitoring="group_sequential", looks=1) == pytest.approx(1.0, abs=1e-9)
    four = equal_shares(4)
    assert cost(shares=four) < cost(shares=four, correction="bonferroni")
    assert cost(shares=best_shares(4)) < cost(shares=four)


def test_plan_counts_whole_weeks():
    found = plan(FIVE_PERCENT, 0.005, Design(), daily_units=4000)
    assert found.units_per_variant == (31_234, 31_234)
    assert (found.days, found.weeks, found.detectable) == (16, 3, True)
    assert [week.units for week in found.by_week] == [28_000 * w for w in range(1, 9)]
    assert all(a.mde > b.mde and a.power < b.power for a, b in zip(found.by_week, found.by_week[1:], strict=False))
    assert found.by_week[2].mde < 0.005 < found.by_week[1].mde


def test_what_cannot_be_detected_in_time_is_an_answer():
    found = plan(Baseline.of_proportion(0.03), 0.0015, Design(equal_shares(4)), daily_units=4000)
    assert not found.detectable
    assert (found.days, found.weeks) == (None, None)
    assert "cannot be detected in 8 weeks" in found.reason
    assert len(found.by_week) == 8


def test_plan_follows_the_shops_own_arrivals():
    """New units dry up as regulars return: the curve goes on at its last week's mean."""
    falling = [1000.0] * 7 + [100.0] * 7
    found = plan(UNIT, 0.1, Design(), daily_units=falling, max_weeks=4)
    assert [week.units for week in found.by_week] == [7000, 7700, 8400, 9100]


def test_too_few_units_for_any_effect_say_so():
    with pytest.raises(NotEstimable, match="too few"):
        mde(Baseline.of_proportion(0.5), 6, Design(alpha=0.01))
    weeks = plan(Baseline.of_proportion(0.99), -0.01, Design(), daily_units=0.2, max_weeks=3).by_week
    assert weeks[0].mde is None


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Baseline.of_proportion(1.2),
        lambda: Baseline.of_mean(1.0, 0.0),
        lambda: Baseline.of_mean(math.nan, 1.0),
        lambda: Baseline.of_mean(1.0, 1.0, residual_share=0.0),
        lambda: Baseline.of_ratio(1.0, 0.0, (1.0, 1.0, 0.0)),
        lambda: Design(shares=(1.0,)),
        lambda: Design(shares=(0.9, 0.9)),
        lambda: Design(alpha=0.0),
        lambda: Design(power=0.01),
        lambda: Design(looks=0),
        lambda: Design(monitoring="sequential", alternative="greater"),
        lambda: equal_shares(1),
        lambda: sample_size(UNIT, 0.0, Design()),
        lambda: sample_size(UNIT, -0.1, Design(alternative="greater")),
        lambda: sample_size(FIVE_PERCENT, 0.96, Design()),
        lambda: power(UNIT, math.nan, 10, Design()),
        lambda: power(UNIT, 0.1, 0, Design()),
        lambda: mde(UNIT, -1, Design()),
        lambda: plan(UNIT, 0.1, Design(), daily_units=0),
        lambda: plan(UNIT, 0.1, Design(), daily_units=10, max_weeks=0),
    ],
)
def test_nonsense_is_refused_at_the_door(broken):
    with pytest.raises(Invalid):
        broken()
