"""`offerlab analyze` on tables of every kind, against pandas, scipy and statsmodels on the same rows."""

import gzip
import json
import lzma
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from click.testing import CliRunner
from scipy import optimize, stats
from statsmodels.stats.proportion import proportions_ztest

from analysis import Metric, analyze
from experiments.errors import Invalid
from webapp.cli.analyze import command

REFERENCE = Path(__file__).parents[2] / "reference"
close = partial(pytest.approx, rel=1e-9, abs=1e-12)


def cli(path, *arguments):
    out = CliRunner().invoke(command, [str(path), *arguments, "--format", "json"], catch_exceptions=False)
    return json.loads(out.stdout)


def compared(report, metric, variant):
    found = next(m for m in report["metrics"] if m["metric"] == metric)
    return next(c for c in found["comparisons"] if c["variant"] == variant)


def shop(seed, n=4_000):
    """Visitors of a shop, with refunds, blanks, a history for some, and names that no program expects."""
    rng = np.random.default_rng(seed)
    bought = rng.random(n) < 0.12
    orders = np.where(bought, 1 + rng.poisson(0.4, n), 0)
    before = np.where(rng.random(n) < 0.4, np.round(rng.lognormal(3, 1, n), 2), 0.0)
    spent = np.where(bought, np.round(rng.lognormal(3.5, 0.9, n) * orders + 0.2 * before, 2), 0.0)
    spent = np.where(bought & (rng.random(n) < 0.03), -spent, spent)  # refunds of earlier orders
    return pd.DataFrame({
        "Gruppe, Ü": rng.choice(["Kontrolle", "Angebot “A”", "B, mit Komma"], n, p=[0.5, 0.3, 0.2]),
        "gekauft": bought.astype(int), "Bestellungen": orders, "Umsatz €": spent,
        "vorher": before, "n vorher": rng.poisson(before / 40), "Land": rng.choice(["DE", "ÖS", "日本"], n),
    })  # fmt: skip


VARIANT = ["--variant", "Gruppe, Ü", "--control", "Kontrolle"]
METRICS = [
    "--metric", "conv=proportion:gekauft", "--metric", "rpv=mean:Umsatz €",
    "--metric", "aov=ratio:Umsatz €/Bestellungen",
]  # fmt: skip


def welch(control, treatment, confidence=0.95):
    found = stats.ttest_ind(treatment, control, equal_var=False)
    bounds = found.confidence_interval(confidence)
    error = np.sqrt(treatment.var(ddof=1) / len(treatment) + control.var(ddof=1) / len(control))
    return {
        "estimate": treatment.mean() - control.mean(), "standard_error": error, "low": bounds.low, "high": bounds.high,
    }, found.pvalue  # fmt: skip


def same_effect(found, told):
    assert {key: found[key] for key in told} == {key: close(value) for key, value in told.items()}


def write(frame, path):
    """The frame as the file's name says, its text as awkward as the format allows."""
    kind = path.name.partition(".")[2]
    if kind == "parquet":
        return frame.to_parquet(path, row_group_size=700)
    if kind.startswith("ndjson"):
        text = frame.to_json(orient="records", lines=True, force_ascii=False)
    else:
        text = "\ufeff" + frame.to_csv(index=False, lineterminator="\r\n", sep="\t" if kind == "tsv" else ",")
    pack = {"gz": gzip.compress, "xz": lzma.compress}.get(kind.rpartition(".")[2], bytes)
    return path.write_bytes(pack(text.encode()))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.xz", "t.tsv", "t.ndjson", "t.ndjson.gz", "t.parquet"])
def test_every_kind_of_file_against_scipy_and_statsmodels(tmp_path, name):
    frame = shop(1)
    write(frame, tmp_path / name)
    report = cli(tmp_path / name, *VARIANT, *METRICS, "--confidence", "0.9", "--correction", "none")
    arms = dict(list(frame.groupby("Gruppe, Ü")))
    assert {v["variant"]: v["units"] for v in report["variants"]} == {k: len(a) for k, a in arms.items()}
    control = arms.pop("Kontrolle")
    for key, arm in arms.items():
        told, p = welch(control["Umsatz €"], arm["Umsatz €"], 0.9)
        found = compared(report, "rpv", key)
        same_effect(found["difference"], told)
        assert found["p_value"] == found["p_value_adjusted"] == close(p)
        counts = [arm["gekauft"].sum(), control["gekauft"].sum()], [len(arm), len(control)]
        found = compared(report, "conv", key)
        assert found["p_value"] == close(proportions_ztest(*counts)[1])
        (x_t, x_c), (n_t, n_c) = counts
        for bound, side in ((found["difference"]["low"], 1), (found["difference"]["high"], -1)):
            assert score(x_c, n_c, x_t, n_t, bound) == pytest.approx(side * stats.norm.ppf(0.95), rel=1e-5)


def score(x_c, n_c, x_t, n_t, delta):
    """Miettinen and Nurminen's (1985), with the likelihood maximised by search: statsmodels' closed form is off."""

    def against(p):
        return -(
            x_c * np.log(p) + (n_c - x_c) * np.log1p(-p) + x_t * np.log(p + delta) + (n_t - x_t) * np.log1p(-p - delta)
        )

    ends = (max(0, -delta) + 1e-12, min(1, 1 - delta) - 1e-12)
    p = optimize.minimize_scalar(against, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    n = n_c + n_t
    variance = (p * (1 - p) / n_c + (p + delta) * (1 - p - delta) / n_t) * n / (n - 1)
    return (x_t / n_t - x_c / n_c - delta) / np.sqrt(variance)


def linearised(arm):
    ratio = arm["Umsatz €"].sum() / arm["Bestellungen"].sum()
    return ratio, (arm["Umsatz €"] - ratio * arm["Bestellungen"]) / arm["Bestellungen"].mean()


def test_order_value_against_the_linearised_ratio(tmp_path):
    """Budylin et al. 2018: the delta method is Welch on the linearised visitors."""
    frame = shop(2)
    write(frame, tmp_path / "t.csv")
    report = cli(tmp_path / "t.csv", *VARIANT, *METRICS)
    arms = {key: linearised(arm) for key, arm in frame.groupby("Gruppe, Ü")}
    r_c, l_c = arms.pop("Kontrolle")
    for key, (r_t, l_t) in arms.items():
        told, _ = welch(l_c + r_c, l_t + r_t)
        same_effect(compared(report, "aov", key)["difference"], told)


def test_lifts_against_a_scan_of_fiellers_pivot(tmp_path):
    """The lift's bounds are where (m_t - rho m_c)^2 / (v_t + rho^2 v_c) crosses the normal quantile's square."""
    frame = shop(3)
    write(frame, tmp_path / "t.csv")
    found = compared(cli(tmp_path / "t.csv", *VARIANT, *METRICS), "rpv", "B, mit Komma")["lift"]
    arms = {key: (a.mean(), a.var(ddof=1) / len(a)) for key, a in frame.groupby("Gruppe, Ü")["Umsatz €"]}
    (m_c, v_c), (m_t, v_t) = arms["Kontrolle"], arms["B, mit Komma"]
    assert found["estimate"] == close(m_t / m_c - 1)
    for bound in (found["low"], found["high"]):
        rho = 1 + bound
        assert (m_t - rho * m_c) ** 2 / (v_t + rho**2 * v_c) == close(stats.norm.ppf(0.975) ** 2)


def test_several_covariates_against_ols(tmp_path):
    frame = shop(4)
    write(frame, tmp_path / "t.parquet")
    report = cli(tmp_path / "t.parquet", *VARIANT, *METRICS, "--covariate", "vorher", "--covariate", "n vorher")
    renamed = frame.set_axis(["arm", "bought", "orders", "spent", "before", "n_before", "land"], axis=1)
    told = smf.ols("spent ~ C(arm, Treatment('Kontrolle')) + before + n_before", renamed).fit(cov_type="HC2")
    for key in ("Angebot “A”", "B, mit Komma"):
        name = f"C(arm, Treatment('Kontrolle'))[T.{key}]"
        cuped = compared(report, "rpv", key)["cuped"]
        assert cuped["difference"]["estimate"] == close(told.params[name])
        assert cuped["difference"]["standard_error"] == pytest.approx(told.bse[name], rel=1e-2)
        assert 0 < cuped["variance_reduction"] < 1


def test_a_cap_against_clipping_in_pandas(tmp_path):
    frame = shop(5)
    write(frame, tmp_path / "t.csv")
    report = cli(tmp_path / "t.csv", *VARIANT, *METRICS, "--cap", "95")
    cap = frame.loc[frame["Umsatz €"] > 0, "Umsatz €"].quantile(0.95)
    arms = dict(list(frame.assign(y=frame["Umsatz €"].clip(upper=cap)).groupby("Gruppe, Ü")))
    found = compared(report, "rpv", "B, mit Komma")
    same_effect(found["difference"], welch(arms["Kontrolle"]["y"], arms["B, mit Komma"]["y"])[0])
    plain, _ = welch(arms["Kontrolle"]["Umsatz €"], arms["B, mit Komma"]["Umsatz €"])
    same_effect(found["uncapped"]["difference"], plain)
    metric = next(m for m in report["metrics"] if m["metric"] == "rpv")
    assert metric["cap"]["value"] == close(cap)
    assert {v["variant"]: v["capped_units"] for v in metric["variants"]} == {
        key: int((arm["Umsatz €"] > cap).sum()) for key, arm in arms.items()
    }


def orders_of(frame, rng):
    """Several rows a visitor, shuffled: one an order, and one without an order where there is none."""
    rows = frame.assign(wer=[f"v{i}" for i in range(len(frame))]).loc[frame.index.repeat(frame["Bestellungen"].clip(1))]
    rows = rows.assign(**{"Umsatz €": np.round(rng.lognormal(3, 1, len(rows)), 2) * rows["gekauft"]})
    rows["Bestellungen"] = rows["gekauft"]
    return rows.sample(frac=1, random_state=1)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet", "t.ndjson"])
def test_rows_of_a_unit_against_groupby(tmp_path, name):
    rows = orders_of(shop(6), np.random.default_rng(6))
    write(rows, tmp_path / name)
    extra = ["--unit", "wer", "--metric", "rows=mean:count()", "--metric", "p75=quantile:Umsatz €:0.75"]
    report = cli(tmp_path / name, *VARIANT, *METRICS, *extra)
    summed = rows.groupby(["Gruppe, Ü", "wer"]).agg(y=("Umsatz €", "sum"), n=("Umsatz €", "size"), b=("gekauft", "max"))
    control, treatment = summed.loc["Kontrolle"], summed.loc["B, mit Komma"]
    same_effect(compared(report, "rpv", "B, mit Komma")["difference"], welch(control["y"], treatment["y"])[0])
    same_effect(compared(report, "rows", "B, mit Komma")["difference"], welch(control["n"], treatment["n"])[0])
    told = proportions_ztest([treatment["b"].sum(), control["b"].sum()], [len(treatment), len(control)])[1]
    assert compared(report, "conv", "B, mit Komma")["p_value"] == close(told)
    quantile = next(m for m in report["metrics"] if m["metric"] == "p75")
    for found in quantile["variants"]:
        values = rows.loc[rows["Gruppe, Ü"] == found["variant"], "Umsatz €"]
        assert found["value"] == close(values.quantile(0.75, interpolation="higher")) or found["value"] == close(
            values.quantile(0.75, interpolation="lower")
        )


def test_a_segment_against_its_own_rows(tmp_path):
    frame = shop(7)
    frame.loc[::50, "Land"] = None
    write(frame, tmp_path / "t.csv")
    report = cli(tmp_path / "t.csv", *VARIANT, *METRICS, "--segment", "Land")
    here = frame[frame["Land"] == "日本"].groupby("Gruppe, Ü")["Umsatz €"]
    told, p = welch(here.get_group("Kontrolle"), here.get_group("Angebot “A”"))
    found = next(
        level for s in report["segments"] if s["metric"] == "rpv" and s["variant"] == "Angebot “A”"
        for level in s["levels"] if level["level"] == "日本"
    )  # fmt: skip
    same_effect(found["difference"], told)
    assert found["p_value"] == close(p)


def test_weights_against_the_chi_square(tmp_path):
    frame = shop(8)
    write(frame, tmp_path / "t.csv")
    weights = ["--weights", "Kontrolle=5", "--weights", "Angebot “A”=3", "--weights", "B, mit Komma=2"]
    report = cli(tmp_path / "t.csv", *VARIANT, *METRICS, *weights)
    counts = frame["Gruppe, Ü"].value_counts()
    told = stats.chisquare(
        [counts[k] for k in ("Kontrolle", "Angebot “A”", "B, mit Komma")], np.array([0.5, 0.3, 0.2]) * 4_000
    )
    srm = next(c for c in report["checks"] if c["check"] == "srm")
    assert (srm["statistic"], srm["p_value"]) == (close(told.statistic), close(told.pvalue))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_blanks_leave_their_rows_out_of_the_metrics_that_need_them(tmp_path, kind):
    frame = shop(9)
    frame.loc[frame.index % 7 == 0, "Umsatz €"] = np.nan
    frame.loc[frame.index % 11 == 0, "Gruppe, Ü"] = None
    write(frame, tmp_path / f"t.{kind}")
    report = cli(tmp_path / f"t.{kind}", *VARIANT, *METRICS)
    arms = frame.groupby("Gruppe, Ü")
    known = {key: arm["Umsatz €"].dropna() for key, arm in arms}
    told, p = welch(known["Kontrolle"], known["B, mit Komma"])
    same_effect(compared(report, "rpv", "B, mit Komma")["difference"], told)
    assert compared(report, "rpv", "B, mit Komma")["p_value"] == close(p)
    conv = next(m for m in report["metrics"] if m["metric"] == "conv")
    assert conv["unit_count"] == int(frame["Gruppe, Ü"].notna().sum())
    missing = {c["check"]: c["statistic"] for c in report["checks"]}
    assert missing["missing_variant"] == float(frame["Gruppe, Ü"].isna().sum())
    assert missing["missing_data"] == float(frame.dropna(subset="Gruppe, Ü")["Umsatz €"].isna().sum())


@pytest.mark.parametrize(("scale", "shift"), [(1e12, 0.0), (1.0, 1e12), (1.0, -1e8), (1e-9, 0.0), (-1e6, 5.0)])
def test_huge_tiny_and_negative_values_against_scipy(tmp_path, scale, shift):
    rng = np.random.default_rng(10)
    frame = pd.DataFrame({"arm": rng.choice(["a", "b"], 900), "y": shift + scale * rng.normal(1, 1, 900)})
    frame.to_parquet(tmp_path / "t.parquet")
    found = compared(
        cli(tmp_path / "t.parquet", "--variant", "arm", "--control", "a", "--metric", "y=mean:y"), "y", "b"
    )
    arms = {key: arm["y"] - shift for key, arm in frame.groupby("arm")}  # what scipy's own sums can bear
    told, p = welch(arms["a"], arms["b"])
    assert found["p_value"] == pytest.approx(p, rel=1e-5)
    assert found["difference"]["estimate"] == pytest.approx(told["estimate"], rel=1e-5)
    assert found["difference"]["standard_error"] == pytest.approx(told["standard_error"], rel=1e-5)


def test_thousands_of_variants(tmp_path):
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"arm": [f"v{i}" for i in rng.integers(0, 1_500, 30_000)], "y": rng.normal(size=30_000)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    arguments = ["--variant", "arm", "--control", "v7", "--metric", "y=mean:y", "--correction", "bh"]
    report = cli(tmp_path / "t.csv", *arguments)
    assert len(report["variants"]) == 1_500
    arms = frame.groupby("arm")["y"]
    _, p = welch(arms.get_group("v7"), arms.get_group("v1234"))
    assert compared(report, "y", "v1234")["p_value"] == close(p)
    family = {c["variant"]: c["p_value"] for c in report["metrics"][0]["comparisons"]}
    adjusted = stats.false_discovery_control(list(family.values()))
    found = [c["p_value_adjusted"] for c in report["metrics"][0]["comparisons"]]
    assert found == [close(q) for q in adjusted]


def test_a_single_variant_has_no_comparison(tmp_path):
    (tmp_path / "t.csv").write_text("v,y\na,1\na,0\na,1\n")
    report = cli(tmp_path / "t.csv", "--variant", "v", "--control", "a", "--metric", "y=proportion:y")
    assert report["metrics"][0]["comparisons"] == []
    assert report["metrics"][0]["variants"][0]["value"] == close(2 / 3)


def test_columns_of_one_name_are_refused_where_they_are_needed(tmp_path):
    (tmp_path / "t.csv").write_text("v,y,y,z\na,1,2,1\nb,0,1,0\n")
    report = cli(tmp_path / "t.csv", "--variant", "v", "--control", "a", "--metric", "z=mean:z")
    assert report["metrics"][0]["unit_count"] == 2
    with pytest.raises(Invalid, match=r"y: two columns have this name"):
        cli(tmp_path / "t.csv", "--variant", "v", "--control", "a", "--metric", "y=mean:y")


@pytest.mark.parametrize("table", ["", "v,y\n", "v,y\n\n", "v\n"])
def test_a_table_without_rows_is_refused_by_name(tmp_path, table):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(Invalid, match=r"control|no such column"):
        cli(tmp_path / "t.csv", "--variant", "v", "--control", "a", "--metric", "y=mean:y")


def test_a_line_break_inside_quotes_is_no_end_of_a_row(tmp_path):
    rows = "".join(f'"{"a" if i % 2 else "b"}","two\nlines, ""quoted""",{i % 5}\n' for i in range(200_000))
    (tmp_path / "t.csv").write_text("v,note,y\n" + rows)
    report = cli(tmp_path / "t.csv", "--variant", "v", "--control", "a", "--metric", "y=mean:y")
    assert [v["units"] for v in report["variants"]] == [100_000, 100_000]


def test_a_long_file_reads_as_a_short_one(tmp_path):
    """Pieces are joined under one scale, whatever each of them holds."""
    n = 700_000
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"v": rng.choice(["a", "b"], n), "y": np.where(np.arange(n) < 3e5, 0.0, 7.0)})
    frame.loc[n - 1, "y"] = 0.25
    frame.loc[5, "y"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=100_000)
    one, other = (
        cli(tmp_path / f"t.{kind}", "--variant", "v", "--control", "a", "--metric", "y=mean:y")
        for kind in ("csv", "parquet")
    )
    assert one == other
    arms = frame.dropna().groupby("v")["y"]
    assert compared(one, "y", "b")["p_value"] == close(welch(arms.get_group("a"), arms.get_group("b"))[1])


@pytest.mark.parametrize("name", ["prop_ztest_unbalanced", "prop_ztest_all", "prop_ztest_low", "prop_ztest_tiny"])
def test_counts_of_the_reference_against_statsmodels(tmp_path, name):
    """The score test where counts are not low, else the mid-p test, and said."""
    cases = {c["id"]: c for c in json.loads((REFERENCE / "estimates.json").read_text())["cases"]}
    given = cases[name]["inputs"]
    rows = [(arm, int(i < given[arm]["x"])) for arm in ("control", "treatment") for i in range(given[arm]["n"])]
    pd.DataFrame(rows, columns=["v", "y"]).to_parquet(tmp_path / "t.parquet")
    report = cli(tmp_path / "t.parquet", "--variant", "v", "--control", "control", "--metric", "y=proportion:y")
    found = compared(report, "y", "treatment")
    if found["method"] == "score":
        assert found["p_value"] == pytest.approx(cases[name]["outputs"]["p_value"], rel=1e-10)
    else:
        assert "mid-p" in found["method"]


def test_the_api_says_what_the_command_says(tmp_path):
    frame = shop(13)
    write(frame, tmp_path / "t.csv")
    metrics = [
        Metric("conv", "proportion", "gekauft"), Metric("rpv", "mean", "Umsatz €"),
        Metric("aov", "ratio", "Umsatz €", "Bestellungen"),
    ]  # fmt: skip
    told = cli(tmp_path / "t.csv", *VARIANT, *METRICS, "--confidence", "0.99")
    for source in (tmp_path / "t.csv", str(tmp_path / "t.csv"), frame):
        found = analyze(source, metrics=metrics, control="Kontrolle", variant="Gruppe, Ü", confidence=0.99)
        assert json.loads(json.dumps(found.to_dict())) == told
