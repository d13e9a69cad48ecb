import numpy as np
import pytest

from analysis import Metric, Moments, lift
from analysis.quantiles import clustered_variance, standard_error, summarise


def test_clustered_quantile_against_gbstats(cases):
    told = cases["gb_quantile_clustered_p90"]
    given, out = told["inputs"], told["outputs"]
    units = Moments.from_aggregates(
        given["n_clusters"],
        {"below": given["main_sum"], "rows": given["denominator_sum"]},
        {
            ("below", "below"): given["main_sum_squares"],
            ("rows", "rows"): given["denominator_sum_squares"],
            ("below", "rows"): given["main_denominator_sum_product"],
        },
    )
    share = float(lift.estimate(Metric("share", "ratio", "below", "rows"), [units]).own[0])
    errors = [
        standard_error(given[arm][1], given[arm][2], given["nu"], given["n"], share, given["n_star"])
        for arm in ("control", "treatment")
    ]
    assert [given["n"] * e**2 for e in errors] == pytest.approx(out["variance"], rel=1e-10)
    assert float(np.hypot(*errors)) == pytest.approx(out["se"], rel=1e-10)


def test_without_repeated_units_clusters_change_little():
    values = np.random.default_rng(1).lognormal(size=4_000)
    alone, clustered = summarise(values, 0.9), summarise(values, 0.9, np.arange(4_000))
    assert clustered.standard_error == pytest.approx(alone.standard_error, rel=2e-3)


def test_rows_that_repeat_a_unit_add_no_information():
    values = np.random.default_rng(1).lognormal(size=2_000)
    twice, units = np.repeat(values, 4), np.repeat(np.arange(2_000), 4)
    assert summarise(twice, 0.5, units).standard_error == pytest.approx(summarise(values, 0.5).standard_error, rel=0.1)
    assert summarise(twice, 0.5).standard_error < 0.6 * summarise(values, 0.5).standard_error


def test_clustered_variance_is_the_ratio_estimator():
    rng = np.random.default_rng(4)
    units = rng.integers(0, 300, 2_000)
    below = rng.random(2_000) < 0.3
    m = Moments.from_rows({"b": np.bincount(units, weights=below), "n": np.bincount(units)})
    told = float(lift.estimate(Metric("r", "ratio", "b", "n"), [m]).own[0])
    assert clustered_variance(below, units) == pytest.approx(told, rel=1e-10)


def test_too_few_rows_have_a_value_but_no_error():
    found = summarise(np.arange(20.0), 0.9)
    assert found.value == 17.0
    assert found.standard_error is None
    assert "too few" in found.reason


def test_no_rows():
    assert summarise(np.zeros(0), 0.5).value is None


def test_one_unit_of_several_rows_has_no_error():
    found = summarise(np.array([1.0, 2.0, 5.0, 9.0] * 9), 0.5, np.zeros(36, dtype=np.int64))
    assert (found.units, found.standard_error) == (1, None)
    assert "single unit" in found.reason
