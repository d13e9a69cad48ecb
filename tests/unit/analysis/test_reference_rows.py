"""The reference rows through the whole way: file, report, JSON."""

from pathlib import Path

import pytest

from analysis import Metric, analyze

ROWS = Path(__file__).parents[2] / "reference" / "microdata.csv"
METRICS = (
    Metric("rpv", "mean", "revenue", covariates=("revenue_pre",)),
    Metric("conversion", "proportion", "converted"),
    Metric("aov", "ratio", "revenue", "orders", covariates=("revenue_pre", "orders_pre")),
)
close = lambda x: pytest.approx(x, rel=1e-9)  # noqa: E731 - reads as a word in the assertions


@pytest.fixture(scope="module")
def read():
    out = analyze(ROWS, metrics=METRICS, control="control", sequential=True, planned_units=5000, correction="dunnett")
    return {m["metric"]: {c["variant"]: c for c in m["comparisons"]} for m in out.to_dict()["metrics"]}


def test_revenue_per_visitor_by_welch_as_scipy_r_and_gbstats_have_it(read, cases):
    told, c = cases["gb_mean_absolute"]["outputs"], read["rpv"]["t1"]
    assert c["difference"]["estimate"] == close(told["effect"])
    assert [c["difference"]["low"], c["difference"]["high"]] == close(told["ci"])
    assert c["p_value"] == close(told["p_value"])
    assert c["lift"]["estimate"] == close(0.19875440374858994)


def test_conversion_by_the_pooled_z_of_statsmodels(read):
    assert read["conversion"]["t1"]["p_value"] == close(0.15095690722862082)


def test_order_value_by_the_delta_method_of_gbstats_and_tea_tasting(read):
    c = read["aov"]["t1"]
    assert c["difference"]["estimate"] == close(0.44057725374599954)
    assert c["difference"]["standard_error"] == close(1.9956832828022049)
    assert c["p_value"] == pytest.approx(0.825295, abs=1e-6)


@pytest.mark.parametrize(("metric", "case"), [("rpv", "mean"), ("aov", "ratio"), ("conversion", "proportion")])
def test_lifts_by_fieller_and_several_variants_by_dunnett_against_closed_forms(read, cases, metric, case):
    told = cases[f"spec_multiarm_{case}"]["outputs"]
    for i, variant in enumerate(("t1", "t2")):
        c = read[metric][variant]
        assert c["lift"]["estimate"] == close(told["lift"][i])
        assert [c["lift"]["low"], c["lift"]["high"]] == close(told["fieller"][i])
        assert c["p_value_adjusted"] == pytest.approx(told["p_dunnett"][i], rel=1e-7)


def test_cuped_over_all_variants_against_r_and_closed_forms(read, cases):
    told = cases["r_ancova_3arm"]["outputs"]["effect"]
    assert [read["rpv"][v]["cuped"]["difference"]["estimate"] for v in ("t1", "t2")] == pytest.approx(told, rel=1e-10)
    told = cases["spec_regadj_ratio_2cov"]["outputs"]
    found = [read["aov"][v]["cuped"]["difference"] for v in ("t1", "t2")]
    assert [d["estimate"] for d in found] == close(told["effect"])
    assert [d["standard_error"] for d in found] == close(told["se"])


def test_confidence_sequence_of_gbstats(read):
    c = read["rpv"]["t1"]["sequential"]
    assert [c["low"], c["high"]] == pytest.approx([-1.68053465, 4.93470075], abs=1e-8)
    assert c["p_value"] == pytest.approx(0.876185, abs=1e-6)
