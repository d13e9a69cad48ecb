import json

import pytest

from webapp.cli import main

A_MEAN = ("--metric", "mean", "--standard-deviation", "1")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def plan(capsys, *arguments):
    code, out, err = run(capsys, "plan", *arguments, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_plan_of_the_documentation(capsys):
    code, out, _ = run(
        capsys, "plan", "--baseline", "0.03", "--mde", "5%", "--daily-visitors", "4000", "--variants", "4"
    )
    assert code == 0
    assert "1,078,772 in all, 269,693 a variant" in out
    assert "cannot be detected in 8 weeks" in out
    assert "two-sided, 0.95 confidence, 0.8 power, Dunnett over 3 comparisons, read once, at the end" in out
    assert len(out.strip().splitlines()) == 14


def test_json_carries_full_precision_and_the_table_by_week(capsys):
    found = plan(capsys, "--baseline", "5%", "--mde", "10%", "--daily-visitors", "4000")
    assert found["units_per_variant"] == [31_234, 31_234]
    assert (found["weeks"], found["days"], found["detectable"], found["reason"]) == (3, 16, True, None)
    assert [week["week"] for week in found["by_week"]] == list(range(1, 9))
    assert found["mde"] == {"difference": pytest.approx(0.005), "lift": pytest.approx(0.1)}
    assert found["critical_value"] == pytest.approx(1.959963984540054, rel=1e-12)


def test_a_mean_a_ratio_and_cuped(capsys):
    mean = ("--metric", "mean", "--baseline", "8.19", "--standard-deviation", "26.9", "--mde", "5%")
    plain = plan(capsys, *mean, "--daily-visitors", "5000")
    helped = plan(capsys, *mean, "--daily-visitors", "5000", "--variance-reduction", "40%")
    assert helped["units"] == pytest.approx(0.6 * plain["units"], rel=1e-4)
    ratio = plan(
        capsys, "--metric", "ratio", "--baseline", "55", "--standard-deviation", "40", "--per-visitor", "0.05",
        "--mde", "5%", "--daily-visitors", "5000",
    )  # fmt: skip
    # as many orders as a mean over orders would need, at 0.05 orders a visitor
    assert ratio["units"] == pytest.approx(4 * 7.8489 * 40**2 / 2.75**2 / 0.05, rel=1e-3)


def test_what_costs_more_units_costs_more_units(capsys):
    base = ("--baseline", "5%", "--mde", "10%", "--daily-visitors", "4000")
    fixed = plan(capsys, *base)["units"]
    assert fixed < plan(capsys, *base, "--monitoring", "group-sequential")["units"]
    assert (
        plan(capsys, *base, "--monitoring", "group-sequential")["units"]
        < plan(capsys, *base, "--monitoring", "sequential")["units"]
    )
    assert plan(capsys, *base, "--one-sided")["units"] < fixed
    assert fixed < plan(capsys, *base, "--control-share", "80%")["units"]


def test_a_fall_is_planned_with_its_sign(capsys):
    found = plan(capsys, "--baseline", "5%", "--mde=-10%", "--daily-visitors", "4000")
    assert found["mde"]["difference"] < 0
    assert all(week["mde"]["lift"] < 0 for week in found["by_week"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--baseline", "1.3", "--mde", "5%", "--daily-visitors", "4000"], "baseline"),
        (["--baseline", "0.3", "--mde", "5x", "--daily-visitors", "4000"], "--mde"),
        (["--baseline", "0.3", "--mde", "nan", "--daily-visitors", "4000"], "--mde"),
        (["--baseline", "0.3", "--mde", "0%", "--daily-visitors", "4000"], "effect"),
        (["--baseline", "0.3", "--mde", "400%", "--daily-visitors", "4000"], "effect"),
        (["--baseline", "0.3", "--mde", "5%", "--daily-visitors", "0"], "--daily-visitors"),
        (["--baseline", "0.3", "--mde", "5%", "--daily-visitors", "nan"], "--daily-visitors"),
        (["--baseline", "0.3", "--mde", "5%", "--daily-visitors", "9", "--variants", "1"], "variants"),
        (["--baseline", "8", "--mde", "5%", "--daily-visitors", "9", "--metric", "mean"], "--standard-deviation"),
        (["--baseline", "0", "--mde", "5%", "--daily-visitors", "9", *A_MEAN], "--baseline"),
        (["--baseline", "0.3", "--mde", "5%", "--daily-visitors", "9", "--power", "2"], "power"),
        (["--baseline", "0.3", "--mde", "5%", "--daily-visitors", "9", "--confidence", "95"], "--confidence"),
        (["--baseline", "0.3", "--mde", "5%"], "--daily-visitors"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line_and_exit_code_2(capsys, arguments, named):
    code, out, err = run(capsys, "plan", *arguments)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    assert named in err


def test_simulate_says_what_the_tests_said(capsys):
    code, out, _ = run(capsys, "simulate", "--runs", "5", "--visitors", "900", "--variants", "3", "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert found["units"] == [300, 300, 300]
    assert [metric["metric"] for metric in found["metrics"]] == ["conversion", "revenue", "aov"]
    assert all(metric["comparisons"] == 10 for metric in found["metrics"])
    code, out, _ = run(capsys, "simulate", "--runs", "2", "--visitors", "400", "--sequential")
    assert code == 0
    assert "sample ratio alarms" in out
    for mistake in (["--variants", "1"], ["--lift", "500%"], ["--runs", "0"], ["--control-share", "1.5"]):
        code, _, err = run(capsys, "simulate", *mistake)
        assert code == 2
        assert len(err.strip().splitlines()) == 1


def test_simulate_draws_from_a_shops_own_history(capsys):
    past = ["--history", "experiments/data/karlan_list_2007.csv.gz", "--orders", "gave", "--revenue", "amount"]
    code, out, _ = run(capsys, "simulate", "--runs", "3", "--visitors", "4000", *past, "--format", "json")
    assert code == 0
    metric = json.loads(out)["metrics"][0]
    assert set(metric["errors"]) >= {"called", "covered", "mean_lift"}
    assert metric["true_lift"] == 0.0
    code, _, err = run(capsys, "simulate", "--storefront", "shop")
    assert code == 2
    assert "experiment" in err
    code, _, err = run(capsys, "simulate", "--history", "none.csv")
    assert code == 2
