import json
from importlib.resources import files

import pytest
from click.testing import CliRunner

from experiments.errors import Invalid, NotFound
from webapp.cli.analyze import command

FILE = str(files("experiments") / "data" / "karlan_list_2007.csv.gz")
BASE = [FILE, "--variant", "arm", "--control", "control", "--metric", "response=proportion:gave"]


def run(*arguments):
    return CliRunner().invoke(command, [*BASE, *arguments], catch_exceptions=False)


def as_json(*arguments):
    return json.loads(run(*arguments, "--format", "json").stdout)


def test_every_flag_of_the_contract_at_once():
    out = as_json(
        "--metric", "amount=mean:amount", "--metric", "aov=ratio:amount/gave", "--metric", "p90=quantile:amount:0.999",
        "--metric", "rows=mean:count()", "--covariate", "n_prior_gifts", "--segment", "dormant",
        "--weights", "control=3",
        "--weights", "match_1:1=2", "--weights", "match_2:1=2", "--weights", "match_3:1=2", "--confidence", "0.9",
        "--sequential", "--correction", "dunnett", "--cap", "99",
    )  # fmt: skip
    assert out["confidence"] == 0.9
    assert [m["metric"] for m in out["metrics"]] == ["response", "amount", "aov", "p90", "rows"]
    response, amount = out["metrics"][0]["comparisons"][1], out["metrics"][1]["comparisons"][1]
    assert response["sequential"]["low"] < response["difference"]["low"]
    assert response["p_value"] < response["p_value_adjusted"]
    assert response["cuped"]["variance_reduction"] > 0
    assert amount["uncapped"]["difference"]["estimate"] != amount["difference"]["estimate"]
    assert out["metrics"][4]["comparisons"][0]["estimable"] is False
    assert out["segments"]


@pytest.mark.parametrize("correction", ["none", "holm", "bh"])
def test_corrections_leave_the_plain_p_value(correction):
    plain, corrected = as_json("--correction", "none"), as_json("--correction", correction)
    for one, other in zip(plain["metrics"][0]["comparisons"], corrected["metrics"][0]["comparisons"], strict=True):
        assert one["p_value"] == other["p_value"] == one["p_value_adjusted"] <= other["p_value_adjusted"]


def test_an_interim_look_that_shows_nothing_keeps_running():
    out = as_json("--metric", "amount=mean:amount", "--primary", "amount", "--sequential", "--planned-units", "100000")
    assert out["verdict"]["decision"] == "keep_running"


def test_a_guardrail_is_tested_against_its_margin():
    out = as_json("--metric", "amount=mean:amount", "--guardrail", "amount=20%")
    guard = out["metrics"][1]
    assert guard["role"] == "guardrail"
    assert guard["comparisons"][1]["non_inferiority"]["margin"] == 0.2


def test_table_and_page():
    assert "verdict:" in run().stdout
    assert run("--format", "html").stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metric", "x=mean:nothing"], "nothing"),
        (["--metric", "x=median:gave"], "proportion, mean, ratio, quantile"),
        (["--metric", "gave"], "NAME=VALUE"),
        (["--metric", "r=ratio:gave"], "NUMERATOR/DENOMINATOR"),
        (["--metric", "q=quantile:gave:2"], "between 0 and 1"),
        (["--weights", "control=x"], "not a number"),
        (["--confidence", "95"], "confidence"),
        (["--cap", "100"], "percentile"),
        (["--metric", "response=mean:gave"], "twice"),
        (["--metric", "x=mean:arm"], "words"),
        (["--primary", "none"], "no metric"),
    ],
)
def test_a_mistake_is_named(arguments, said):
    with pytest.raises(Invalid, match="(?s).*" + said.replace("/", ".")):
        run(*arguments)


def test_no_file():
    with pytest.raises(NotFound):
        CliRunner().invoke(command, ["/none.csv", *BASE[1:]], catch_exceptions=False)


def test_a_quantile_has_its_sequence_too():
    out = as_json("--metric", "p=quantile:years_since_first:0.9", "--sequential")
    c = out["metrics"][1]["comparisons"][0]
    assert c["sequential"] is not None or c["estimable"] is False


def sequential(*arguments):
    return as_json("--sequential", *arguments)["metrics"][0]["comparisons"][0]["sequential"]


def test_the_method_of_looking_may_follow_the_flag_or_not():
    assert sequential()["method"] == "confidence_sequence"
    assert sequential("confidence-sequence") == sequential()
    assert sequential("msprt", "--target-lift", "20%")["method"] == "msprt"
    looks = sequential("group-sequential", "--planned-units", "40000", "--looks", "0.25,0.5,1", "--spending", "pocock")
    assert (looks["method"], looks["look"], looks["looks"]) == ("group_sequential", 2, 3)
    derived = sequential("group-sequential", "--target-lift", "20%", "--looks", "4")
    assert (derived["looks"], derived["planned_units"] > 20_000) == (4, True)
    assert as_json("--sequential", "fixed")["metrics"][0]["comparisons"][0]["sequential"] is None


def test_the_flag_alone_does_not_take_the_file_for_its_method():
    found = CliRunner().invoke(command, ["--sequential", *BASE, "--format", "json"], catch_exceptions=False)
    assert json.loads(found.stdout)["metrics"][0]["comparisons"][0]["sequential"] == sequential()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["group-sequential"], "planned_units"),
        (["msprt"], "target_lift"),
        (["group-sequential", "--looks", "x"], "looks"),
    ],
)
def test_a_method_without_what_it_needs_is_refused(arguments, said):
    with pytest.raises(Invalid, match=said):
        run("--sequential", *arguments)
