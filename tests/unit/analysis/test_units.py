import gzip
import json
import lzma

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet
from scipy import stats

from analysis import AnalysisPlan, Metric, analyze, read_table
from analysis.frames import labels
from experiments.errors import Invalid, Malformed, NotFound

RPV = Metric("rpv", "mean", "money")
CSV = "variant,money,bought\na,1.5,0\na,,1\nb,2.25,1\nb,4,1\n"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv", lambda p: p.write_text(CSV)),
        ("t.csv.gz", lambda p: p.write_bytes(gzip.compress(CSV.encode()))),
        ("t.csv.xz", lambda p: p.write_bytes(lzma.compress(CSV.encode()))),
        ("t.tsv", lambda p: p.write_text(CSV.replace(",", "\t"))),
        ("t.ndjson", lambda p: p.write_text(_ndjson())),
        ("t.ndjson.gz", lambda p: p.write_bytes(gzip.compress(_ndjson().encode()))),
        ("t.parquet", lambda p: parquet.write_table(pa.Table.from_pylist(_rows()), p)),
    ],
)
def test_every_kind_of_file_holds_the_same_test(tmp_path, name, write):
    write(tmp_path / name)
    found = analyze(tmp_path / name, metrics=[RPV, Metric("c", "proportion", "bought")], control="a")
    assert found["rpv"].variant("a").value == 1.5
    assert found["rpv"].variant("b").value == 3.125
    assert found["c"].unit_count == 4
    assert {c.check: c.statistic for c in found.checks}["missing_data"] == 1.0


def _rows():
    cells = [line.split(",") for line in CSV.splitlines()[1:]]
    return [{"variant": v, "money": float(m) if m else None, "bought": int(b)} for v, m, b in cells]


def _ndjson():
    return "".join(json.dumps(row) + "\n" for row in _rows())


def test_a_file_that_is_not_there_or_not_a_table(tmp_path):
    with pytest.raises(NotFound):
        read_table(tmp_path / "none.csv")
    (tmp_path / "bad.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(Malformed):
        read_table(tmp_path / "bad.csv.gz")
    (tmp_path / "bad.docx").write_bytes(b"")
    with pytest.raises(Malformed, match="neither"):
        read_table(tmp_path / "bad.docx")


def test_a_column_that_is_not_there_is_named(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    with pytest.raises(Invalid, match=r"profit.*variant, money, bought"):
        analyze(tmp_path / "t.csv", metrics=[Metric("p", "mean", "profit")], control="a")


def test_variants_named_by_numbers_are_kept_as_written(tmp_path):
    (tmp_path / "t.csv").write_text("variant,y\n01,1\n1,2\n01,3\n1,5\n")
    found = analyze(tmp_path / "t.csv", metrics=[Metric("y", "mean", "y")], control="01")
    assert {variant for variant, _, _ in found.variants} == {"01", "1"}


def test_pandas_and_arrow_give_one_report():
    import pandas as pd

    frame = pd.DataFrame({"variant": ["a", "a", "b", "b"], "money": [1.0, np.nan, 2.0, 3.0]})
    one = analyze(frame, metrics=[RPV], control="a")
    assert one.to_dict() == analyze(pa.Table.from_pandas(frame), metrics=[RPV], control="a").to_dict()
    assert one["rpv"].unit_count == 3


def test_something_else_is_refused():
    with pytest.raises(Invalid, match="DataFrame"):
        analyze([1, 2], metrics=[RPV], control="a")


ORDERS = pa.table({
    "who": ["u1", "u2", "u1", "u3", "u4", "u4", "u2"],
    "variant": ["a", "a", "a", "b", "b", "b", "b"],
    "money": [10.0, 0.0, 5.0, 7.0, 1.0, 2.0, 100.0],
    "before": [3, 4, 99, 1, 2, 99, 99],
})  # fmt: skip


def test_rows_are_summed_to_their_unit():
    found = analyze(ORDERS, metrics=[RPV, Metric("aov", "ratio", "money", "count()"),
               Metric("rows", "mean", "count()")],
                    control="a", unit="who")  # fmt: skip
    assert found["rpv"].variant("a").units == 2
    assert found["rpv"].variant("a").numerator == 115.0
    assert found["aov"].variant("b").denominator == 3.0
    assert found["rows"].variant("a").value == 2.0


def test_a_unit_under_two_variants_is_counted_and_kept_under_its_first():
    found = analyze(ORDERS, metrics=[RPV], control="a", unit="who")
    check = next(c for c in found.checks if c.check == "crossovers")
    assert (check.status, check.detail.startswith("1 units")) == ("fail", True)
    assert found["rpv"].variant("a").numerator == 115.0


def test_a_covariate_is_taken_from_the_first_row():
    metric = Metric("rpv", "mean", "money", covariates=("before",))
    found = analyze(ORDERS, metrics=[metric], control="a", unit="who")
    before = next(c for c in found.checks if c.check == "pre_exposure_before")
    assert "a 3.5, b 1.5" in before.detail


def test_a_unit_that_converts_in_any_row_converts_once():
    table = pa.table({"who": [1, 1, 2, 3], "variant": ["a", "a", "a", "b"], "bought": [1, 1, 0, 0]})
    found = analyze(table, metrics=[Metric("c", "proportion", "bought")], control="a", unit="who")
    assert (found["c"].variant("a").numerator, found["c"].variant("a").units) == (1.0, 2)


def test_a_proportion_holds_zero_and_one():
    table = pa.table({"variant": ["a", "b"], "bought": [0.5, 1.0]})
    with pytest.raises(Invalid, match="0 and 1"):
        analyze(table, metrics=[Metric("c", "proportion", "bought")], control="a")


def test_a_control_that_is_no_variant_is_refused():
    with pytest.raises(Invalid, match="holds a, b"):
        analyze(ORDERS, metrics=[RPV], control="x")


def test_rows_without_a_variant_are_counted():
    table = pa.table({"variant": ["a", None, "b", ""], "money": [1.0, 2.0, 3.0, 4.0]})
    found = analyze(table, metrics=[RPV], control="a")
    assert [v for v, _, _ in found.variants] == ["a", "b"]
    assert next(c.statistic for c in found.checks if c.check == "missing_variant") == 2.0


def test_the_order_of_rows_changes_no_number():
    rng = np.random.default_rng(1)
    table = pa.table({"variant": rng.choice(list("abc"), 500), "money": np.round(rng.gamma(1, 20, 500), 2)})
    metrics = [RPV, Metric("p", "quantile", "money", quantile=0.8)]
    one, other = (
        analyze(t, metrics=metrics, control="b", correction="dunnett").to_dict()
        for t in (table, table.take(rng.permutation(500)))
    )
    assert (one["metrics"], one["variants"], one["verdict"]) == (other["metrics"], other["variants"], other["verdict"])


def test_control_has_the_same_numbers_in_every_comparison():
    rng = np.random.default_rng(2)
    x = rng.gamma(1, 10, 900)
    table = pa.table({"variant": rng.choice(list("abc"), 900), "money": x + rng.normal(size=900), "x": x})
    found = analyze(table, metrics=[Metric("rpv", "mean", "money", covariates=("x",))], control="a")
    values = [c.cuped.values for c in found["rpv"].comparisons]
    assert values[0] == values[1]
    assert all(c.cuped.variance_reduction > 0.9 for c in found["rpv"].comparisons)


def test_no_history_is_not_a_history_of_zero():
    """A blank covariate is 0 beside an indicator: the same as regressing on both."""
    rng = np.random.default_rng(3)
    n = 2_000
    known = rng.random(n) < 0.5
    x = np.where(known, rng.normal(50, 10, n), np.nan)
    y = np.where(known, x, 20) + rng.normal(size=n)
    table = pa.table({"variant": rng.choice(["a", "b"], n), "y": y, "x": pa.array(x, mask=~known)})
    found = analyze(table, metrics=[Metric("y", "mean", "y", covariates=("x",))], control="a")
    cuped = found["y"].comparison("b").cuped
    assert cuped.slopes["x"] == pytest.approx(1, abs=0.02)
    assert cuped.slopes["x is blank"] == pytest.approx(20, abs=0.7)
    assert cuped.variance_reduction > 0.99


def test_a_covariate_that_the_offer_moved_is_refused():
    rng = np.random.default_rng(4)
    variant = np.repeat(["a", "b"], 1_000)
    after = rng.normal(size=2_000) + (variant == "b")
    table = pa.table({"variant": variant, "y": after + rng.normal(size=2_000), "after": after})
    found = analyze(table, metrics=[Metric("y", "mean", "y", covariates=("after",))], control="a")
    assert "differs between variants" in found["y"].comparison("b").cuped.reason
    assert found.verdict.decision == "fix_first"


def test_a_covariate_that_says_nothing_is_refused():
    rng = np.random.default_rng(5)
    table = pa.table({"variant": ["a", "b"] * 50, "y": rng.normal(size=100), "x": np.ones(100)})
    found = analyze(table, metrics=[Metric("y", "mean", "y", covariates=("x",))], control="a")
    assert found["y"].comparison("b").cuped.reason


def test_a_cap_is_found_on_pooled_buyers_never_over_zeros():
    money = np.zeros(1_000)
    money[:100] = np.arange(1, 101)
    table = pa.table({"variant": ["a", "b"] * 500, "money": money, "orders": (money > 0).astype(int)})
    metrics = [Metric("rpv", "mean", "money", cap=0.9), Metric("aov", "ratio", "money", "orders", cap=0.9)]
    found = analyze(table, metrics=metrics, control="a")
    cap = float(np.quantile(np.arange(1, 101), 0.9))
    assert found["rpv"].cap == {"percentile": 0.9, "value": cap}
    assert [v.capped_units for v in found["rpv"].variants] == [5, 5]
    assert found["rpv"].variant("a").numerator == pytest.approx(np.minimum(money[::2], cap).sum())
    assert found["aov"].variant("a").denominator == 50.0
    plain = stats.ttest_ind(money[1::2], money[::2], equal_var=False)
    c = found["rpv"].comparison("b")
    assert c.uncapped.estimate == pytest.approx(money[1::2].mean() - money[::2].mean())
    assert c.p_value != pytest.approx(plain.pvalue)


def test_segments_are_held_to_one_interaction_test():
    rng = np.random.default_rng(6)
    n = 8_000
    country, variant = rng.choice(["DE", "FR", "IT"], n), rng.choice(["a", "b"], n)
    bought = rng.random(n) < 0.1 + 0.1 * ((variant == "b") & (country == "DE"))
    table = pa.table({"variant": variant, "country": country, "bought": bought})
    found = analyze(table, metrics=[Metric("c", "proportion", "bought")], control="a", segments=["country"])
    (segment,) = found.to_dict()["segments"]
    assert segment["interaction"]["p_value"] < 1e-4
    assert [level["level"] for level in segment["levels"]] == ["DE", "FR", "IT"]
    german = segment["levels"][0]
    assert german["p_value_adjusted"] < 1e-6
    assert 0 < german["shrunken"]["estimate"] < german["difference"]["estimate"]


def test_a_segment_that_tells_of_the_metric_takes_variance_off():
    rng = np.random.default_rng(7)
    n = 4_000
    level = rng.choice(["low", "high"], n)
    y = np.where(level == "high", 100.0, 10.0) + rng.normal(size=n)
    table = pa.table({"variant": rng.choice(["a", "b"], n), "level": level, "y": y})
    found = analyze(table, metrics=[Metric("y", "mean", "y")], control="a", segments=["level"])
    plain = found["y"].comparison("b").difference.standard_error
    (segment,) = found.to_dict()["segments"]
    assert segment["post_stratified"]["difference"]["standard_error"] < 0.05 * plain
    assert abs(segment["post_stratified"]["difference"]["estimate"]) < 0.2


def test_plan_or_metrics_not_both():
    plan = AnalysisPlan((RPV,), "a")
    with pytest.raises(Invalid):
        analyze(ORDERS, plan, metrics=[RPV])


def test_a_level_that_no_row_has_is_no_variant():
    """A filtered table keeps the levels that it lost; they are no variants without units."""
    table = pa.table({"arm": pa.array(["a", "b", "c", None] * 3).dictionary_encode(), "y": range(12)})
    kept = table.filter(pc.fill_null(pc.not_equal(table["arm"], "a"), True))
    found = labels(kept, "arm")
    assert found.words == ("b", "c")
    assert found.codes.tolist() == [0, 1, -1] * 3
