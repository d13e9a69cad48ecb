"""Karlan and List (2007), on the file that ships: rates, amounts, differences, p-values."""

import json
from importlib.resources import files

import pytest

from analysis import Metric, Moments, analyze, read_table
from analysis.frames import labels, numbers

METRICS = (
    Metric("response", "proportion", "gave"),
    Metric("amount", "mean", "amount"),
    Metric("aov", "ratio", "amount", "gave"),
)
FILE = files("experiments") / "data" / "karlan_list_2007.csv.gz"


@pytest.fixture(scope="module")
def letters():
    return read_table(str(FILE), text=["arm"])


@pytest.fixture(scope="module")
def against(letters):
    return {arm: analyze(letters, metrics=METRICS, control=arm, variant="arm") for arm in ("control", "match_1:1")}


@pytest.mark.parametrize(
    ("arm", "units", "rate", "amount", "error", "gift"),
    [
        ("control", 16687, 0.017858212980164198, 0.8132678132678133, 0.06329615788170384, 45.54026845637584),
        ("match_1:1", 11133, 0.020749124225276205, 0.9366747507410401, 0.08852231632270198, 45.142857142857146),
        ("match_2:1", 11134, 0.0226333752469912, 1.0261361595114065, 0.08873688619903046, 45.33730158730159),
    ],
)
def test_rates_and_amounts_of_each_arm(against, arm, units, rate, amount, error, gift):
    found = against["control"]
    assert (found["response"].variant(arm).units, found["response"].variant(arm).value) == (units, rate)
    assert found["amount"].variant(arm).value == pytest.approx(amount, rel=1e-12)
    assert found["amount"].variant(arm).standard_error == pytest.approx(error, rel=1e-10)
    assert found["aov"].variant(arm).value == pytest.approx(gift, rel=1e-12)


@pytest.mark.parametrize(
    ("control", "variant", "difference", "lift", "error", "p_value"),
    [
        (
            "match_1:1",
            "match_2:1",
            0.0018842510217149944,
            0.09081111092966682,
            0.001952404953242592,
            0.3345096049374843,
        ),
        (
            "match_1:1",
            "match_3:1",
            0.0019842750019679334,
            0.09563174717276625,
            0.0019548293206704376,
            0.3100830935527278,
        ),
    ],
)
def test_response_by_the_pooled_z_of_statsmodels(against, control, variant, difference, lift, error, p_value):
    c = against[control]["response"].comparison(variant)
    assert c.difference.estimate == pytest.approx(difference, rel=1e-12)
    assert c.difference.standard_error == pytest.approx(error, rel=1e-12)
    assert c.lift.estimate == pytest.approx(lift, rel=1e-12)
    assert c.p_value == pytest.approx(p_value, rel=1e-10)


@pytest.fixture(scope="module")
def any_match(letters):
    """All three offers as one variant, by adding their Moments."""
    arms = labels(letters, "arm")
    gave, amount = numbers(letters, "gave"), numbers(letters, "amount")
    whole = gave.known is None

    def of(name, known):
        here = (arms.codes == arms.words.index(name)) & known
        return Moments.from_rows({"gave": gave.values[here], "amount": amount.values[here]})

    def both(known):
        one, two, three = (of(f"match_{k}:1", known) for k in (1, 2, 3))
        return {"control": of("control", known), "match": one + two + three}

    assert whole
    return both(arms.codes >= 0), both(amount.known)


def test_any_offer_against_none_by_the_pooled_z_of_statsmodels(any_match):
    c = analyze(any_match[0], metrics=METRICS[:1], control="control")["response"].comparison("match")
    assert c.difference.estimate == pytest.approx(0.00418035451294875, rel=1e-12)
    assert c.lift.estimate == pytest.approx(0.23408582468985167, rel=1e-12)
    assert c.p_value == pytest.approx(0.0019278679518297975, rel=1e-10)


def test_amount_of_any_offer_against_none_by_scipy_welch(any_match):
    c = analyze(any_match[1], metrics=METRICS[1:2], control="control")["amount"].comparison("match")
    assert c.difference.estimate == pytest.approx(0.15190557117250536, rel=1e-10)
    assert c.difference.standard_error == pytest.approx(0.08006273344668947, rel=1e-10)
    assert c.p_value == pytest.approx(0.057792108261895285, rel=1e-9)
    assert [c.difference.low, c.difference.high] == pytest.approx([-0.005019749434352183, 0.3088308917793629], rel=1e-9)


def test_the_two_blank_amounts_are_left_out_and_counted(against):
    check = next(c for c in against["control"].checks if c.check == "missing_data")
    assert (check.status, check.statistic) == ("warn", 2.0)
    assert against["control"]["amount"].unit_count == 50_081
    assert against["control"]["response"].unit_count == 50_083


def test_the_split_agrees_with_the_plan_of_a_third_for_control(letters):
    weights = {"control": 3, "match_1:1": 2, "match_2:1": 2, "match_3:1": 2}
    found = analyze(letters, metrics=METRICS[:1], control="control", variant="arm", weights=weights)
    assert found.checks[0].status == "pass"
    assert found.variants[0] == ("control", 16687, pytest.approx(1 / 3))


def test_the_report_is_json_at_full_precision(against):
    out = json.loads(json.dumps(against["control"].to_dict(), allow_nan=False))
    assert set(out) >= {"experiment", "as_of", "confidence", "variants", "checks", "metrics", "verdict"}
    c = out["metrics"][0]["comparisons"][0]
    assert set(c) >= {"variant", "control", "difference", "lift", "p_value", "p_value_adjusted", "chance_to_win",
                      "expected_loss", "sequential", "cuped", "estimable", "reason"}  # fmt: skip
    assert set(c["difference"]) >= {"estimate", "standard_error", "low", "high"}
    assert out["verdict"]["decision"] in {"ship", "do_not_ship", "keep_running", "fix_first"}
