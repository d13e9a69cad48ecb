import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.balance import crossovers, eligibility, missing_data, pre_exposure
from analysis.checks import srm, srm_by_segment, srm_over_periods
from analysis.drift import day_effects, novelty
from analysis.sequential_srm import log_bayes_factors, sequential_p_values, sequential_srm
from analysis.tails import Arm, outliers, skew
from experiments.errors import Invalid

CASES = json.loads((Path(__file__).parents[2] / "reference" / "checks.json").read_text())["cases"]
FIXED = [case for case in CASES if case["id"].startswith(("srm_", "gb_srm_"))]
SEQUENTIAL = [case for case in CASES if case["id"].startswith("ssrm_")]
HALVES = {"control": 0.5, "offer": 0.5}


def named(values):
    return {f"v{index}": value for index, value in enumerate(values)}


@pytest.mark.parametrize("case", FIXED, ids=lambda c: c["id"])
def test_srm_against_scipy_and_gbstats(case):
    found = srm(named(case["inputs"]["observed"]), named(case["inputs"]["weights"]))
    assert found.p_value == pytest.approx(case["outputs"]["p_value"], rel=1e-10)
    if "chi2" in case["outputs"]:
        assert found.statistic == pytest.approx(case["outputs"]["chi2"], rel=1e-10)
    assert found.status == "pass"


def test_srm_against_spotify_confidence():
    told = next(case for case in CASES if case["id"] == "sc_srm")
    found = srm(named(told["inputs"]["n"]), named([1, 1, 1]))
    assert found.p_value == pytest.approx(told["outputs"]["p_value"], rel=1e-10)


@pytest.mark.parametrize("case", SEQUENTIAL, ids=lambda c: c["id"])
def test_sequential_srm_against_ssrm_test(case):
    batches = [named(row) for row in case["inputs"]["data"]]
    weights = named(case["inputs"]["null_probabilities"])
    assert sequential_p_values(batches, weights) == pytest.approx(case["outputs"]["sequential_p_values"], rel=1e-8)
    factors = np.exp(log_bayes_factors(batches, weights))
    assert factors == pytest.approx(case["outputs"]["bayes_factors"], rel=1e-8)


def test_srm_has_two_levels():
    """A tiny p-value fails from 0.1 percentage point on and only warns below: no alarm over what cannot matter."""
    assert srm({"control": 5000, "offer": 5400}, HALVES).status == "fail"
    trivial = srm({"control": 50_000_000, "offer": 50_080_000}, HALVES)
    assert trivial.p_value < 1e-10
    assert trivial.status == "warn"


def test_units_under_a_variant_without_weight_fail():
    assert srm({"control": 500, "offer": 500, "off": 1}, {**HALVES, "off": 0}).status == "fail"
    assert "surprise (3)" in srm({"control": 500, "offer": 500, "surprise": 3}, HALVES).detail
    quiet = srm({"control": 500, "offer": 560, "off": 0}, {**HALVES, "off": 0})
    assert quiet.p_value == srm({"control": 500, "offer": 560}, HALVES).p_value  # df counts weights, not variants


@pytest.mark.parametrize("counts", [{}, {"control": 0, "offer": 0}, {"control": 3, "offer": 1}])
def test_srm_on_too_few_units_is_unknown(counts):
    found = srm(counts, HALVES)
    assert (found.status, found.p_value) == ("unknown", None)


def test_srm_without_one_variant_at_all_fails():
    assert srm({"control": 1000}, HALVES).status == "fail"


@given(st.lists(st.tuples(st.integers(20, 10**6), st.integers(1, 100)), min_size=2, max_size=6), st.randoms())
def test_srm_knows_neither_labels_nor_the_scale_of_weights(arms, random):
    counts, weights = named([n for n, _ in arms]), named([w for _, w in arms])
    found = srm(counts, weights)
    renamed = list(counts)
    random.shuffle(renamed)
    other = dict(zip(counts, renamed, strict=True))
    again = srm({other[v]: n for v, n in counts.items()}, {other[v]: 7.5 * w for v, w in weights.items()})
    assert again.status == found.status
    if found.p_value is not None:
        assert again.p_value == pytest.approx(found.p_value, rel=1e-7, abs=1e-300)


def test_srm_holds_counts_against_the_weights_of_their_time():
    """90/10 for a week, then 50/50: right in each period, wrong against either weight for the whole."""
    first = ({"control": 9000, "offer": 1000}, {"control": 9, "offer": 1})
    second = ({"control": 5010, "offer": 4990}, {"control": 1, "offer": 1})
    assert srm_over_periods([first, second]).status == "pass"
    assert srm({"control": 14010, "offer": 5990}, HALVES).status == "fail"


def test_periods_with_the_same_weights_are_one_period():
    parts = [({"control": 480, "offer": 530}, HALVES), ({"control": 700, "offer": 790}, HALVES)]
    whole = srm({"control": 1180, "offer": 1320}, HALVES)
    assert srm_over_periods(parts).statistic == pytest.approx(whole.statistic, rel=1e-12)


def test_srm_by_segment_names_the_worst():
    found = srm_by_segment(
        {"app": {"control": 500, "offer": 700}, "web": {"control": 900, "offer": 905}}, HALVES, "device"
    )
    assert found.status == "fail"
    assert found.check == "srm_by_device"
    assert found.detail.startswith("device = app")
    assert srm_by_segment({"app": {"control": 1, "offer": 0}}, HALVES, "device").status == "unknown"


def test_srm_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(5)
    draws = rng.multinomial(30_000, [0.5, 0.3, 0.2], size=4000)
    p = np.array([srm(named(row.tolist()), named([5, 3, 2])).p_value for row in draws])
    for level in (0.05, 0.01):
        assert abs(np.mean(p < level) - level) < 5 * math.sqrt(level * (1 - level) / 4000)


def test_sequential_srm_may_be_read_after_every_batch():
    """2,000 honest experiments read 200 times each: an alarm ever in at most one of a hundred at 0.01."""
    rng = np.random.default_rng(6)
    ever = 0
    for _ in range(2000):
        counts = rng.binomial(500, 0.5, size=200)
        batches = [{"control": int(c), "offer": 500 - int(c)} for c in counts]
        ever += sequential_p_values(batches, HALVES)[-1] < 0.01
    assert ever / 2000 < 0.01 + 5 * math.sqrt(0.01 * 0.99 / 2000)
    assert sequential_srm([{"control": 400, "offer": 600}] * 20, HALVES).status == "fail"
    assert sequential_srm([{"control": 5, "off": 1}], HALVES).status == "fail"
    assert sequential_srm([], HALVES).status == "unknown"


def test_crossovers_are_expected_where_there_is_somewhere_to_cross_to():
    """At 90/10 a redraw takes 10% of control's units away and 90% of the offer's: equal counts, unequal shares."""
    assert crossovers({"control": 40, "offer": 41}, {"control": 90_000, "offer": 10_000}).status == "pass"
    assert crossovers({"control": 400, "offer": 40}, {"control": 10_000, "offer": 10_000}).status == "fail"
    assert crossovers({"control": 150, "offer": 160}, {"control": 10_000, "offer": 10_000}).status == "warn"
    assert crossovers({"control": 1500, "offer": 1510}, {"control": 10_000, "offer": 10_000}).status == "fail"
    assert crossovers({}, {"control": 10, "offer": 10}).status == "pass"
    assert crossovers({}, {}).status == "unknown"


def test_missing_data_matters_when_much_or_uneven():
    units = {"control": 10_000, "offer": 10_000}
    assert missing_data({"control": 10, "offer": 12}, units, "revenue").status == "pass"
    assert missing_data({"control": 600, "offer": 610}, units, "revenue").status == "warn"
    assert missing_data({"control": 100, "offer": 200}, units, "revenue").status == "fail"
    with pytest.raises(Invalid):
        missing_data({"control": 11}, {"control": 10}, "revenue")


def test_eligibility_is_decided_before_the_variant():
    asked = {"control": 10_000, "offer": 10_000}
    assert eligibility({"control": 6000, "offer": 6050}, asked).status == "pass"
    found = eligibility({"control": 6000, "offer": 6400}, asked)
    assert found.status == "fail"
    # Pearson's chi-square of the two-by-two table, by hand
    assert found.statistic == pytest.approx(20_000 * (6000 * 3600 - 6400 * 4000) ** 2 / (12_400 * 7600 * 10_000**2))


def test_pre_exposure_is_the_plain_z_test_for_two_variants():
    found = pre_exposure("revenue", {"control": 10.0, "offer": 10.3}, {"control": 0.01, "offer": 0.02})
    assert found.statistic == pytest.approx(0.3**2 / 0.03)
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(3.0 / 2)), rel=1e-10)
    values = {"control": 10.0, "offer": 10.6, "bundle": 10.0}
    assert pre_exposure("revenue", values, dict.fromkeys(values, 0.01)).status == "fail"
    assert pre_exposure("revenue", values, dict.fromkeys(values, 0.0)).status == "unknown"
    with pytest.raises(Invalid):
        pre_exposure("revenue", {"control": math.nan, "offer": 1.0}, {"control": 1.0, "offer": 1.0})


def test_novelty_is_weighted_least_squares():
    days, effects, errors = [0, 1, 2, 3, 4], [5.0, 4.1, 2.8, 2.2, 0.9], [0.5, 0.4, 0.6, 0.5, 0.3]
    found = novelty("aov", days, effects, errors)
    design = np.column_stack([np.ones(5), days])
    precision = np.diag(1 / np.square(errors))
    covariance = np.linalg.inv(design.T @ precision @ design)
    slope = (covariance @ design.T @ precision @ effects)[1]
    assert found.statistic == pytest.approx(slope / math.sqrt(covariance[1, 1]), rel=1e-10)
    assert found.status == "warn"
    assert novelty("aov", days, [1.0] * 5, errors).status == "pass"
    assert novelty("aov", days[:2], effects[:2], errors[:2]).status == "unknown"
    assert novelty("aov", days, effects, [0.0] * 5).status == "unknown"


def test_day_effects_is_cochrans_q():
    found = day_effects("aov", [1.0, 1.0, 1.0, 9.0], [1.0, 1.0, 1.0, 1.0])
    assert found.statistic == pytest.approx(48.0)
    assert found.status == "warn"
    assert "9" in found.detail
    assert day_effects("aov", [1.0, 1.1, 0.9, 1.0], [1.0] * 4).status == "pass"
    assert day_effects("aov", [1.0], [1.0]).status == "unknown"


def test_skew_cancels_in_balance_and_warns_out_of_it():
    thousand, few = Arm(10_000, 8.0, third_moment=4e5), Arm(500, 8.0, third_moment=4e5)
    error = math.sqrt(27.0**2 / 10_000 + 27.0**2 / 10_000)
    assert skew("revenue", thousand, thousand, error).statistic == 0
    uneven = skew("revenue", thousand, few, math.sqrt(27.0**2 / 10_000 + 27.0**2 / 500))
    assert uneven.status == "warn"
    assert uneven.statistic == pytest.approx(
        4e5 * (1 / 500**2 - 1 / 10_000**2) / (27.0**2 / 10_000 + 27.0**2 / 500) ** 1.5
    )
    assert skew("revenue", Arm(1, 1.0), thousand, 1.0).status == "unknown"
    assert skew("revenue", thousand, thousand, 0.0).status == "unknown"


def test_one_unit_that_decides_is_named():
    calm = Arm(1000, 8.0, smallest=0.0, largest=400.0)
    wild = Arm(1000, 8.0, smallest=-20.0, largest=9000.0)
    found = outliers("revenue", {"control": calm, "offer": wild}, 1.0)
    assert (found.status, found.statistic) == ("warn", pytest.approx(8992 / 999))
    assert "offer" in found.detail
    assert outliers("revenue", {"control": calm, "offer": calm}, 1.0).status == "pass"
    assert outliers("revenue", {"control": calm}, 0.0).status == "unknown"


def test_nonsense_is_refused_at_the_door():
    for counts, weights in (
        ({"control": -1}, HALVES),
        ({"control": math.nan}, HALVES),
        ({"control": 1}, {"control": 0}),
        ({"control": 1}, {"control": -1, "offer": 2}),
        ({"control": 1}, {"control": math.inf}),
    ):
        with pytest.raises(Invalid):
            srm(counts, weights)
