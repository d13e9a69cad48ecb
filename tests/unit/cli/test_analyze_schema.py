"""The JSON of `offerlab analyze` has the contract's shape, whatever the table."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from webapp.cli.analyze import command

NUMBER = {"type": ["number", "null"]}
TEXT = {"type": ["string", "null"]}


def whole(**fields):
    """An object that has at least these."""
    return {"type": "object", "required": list(fields), "properties": fields}


def many(item):
    return {"type": "array", "items": item}


def maybe(schema):
    return {"anyOf": [{"type": "null"}, schema]}


COUNT = {"type": "integer", "minimum": 0}
CHANCE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
LIFT = whole(estimate=NUMBER, low=NUMBER, high=NUMBER)
DIFFERENCE = whole(estimate=NUMBER, standard_error=NUMBER, low=NUMBER, high=NUMBER)
COMPARISON = whole(
    variant={"type": "string"}, control={"type": "string"}, difference=DIFFERENCE, lift=LIFT, p_value=CHANCE,
    p_value_adjusted=CHANCE, chance_to_win=CHANCE, expected_loss=NUMBER,
    sequential=maybe(whole(low=NUMBER, high=NUMBER, p_value=CHANCE)),
    cuped=maybe(whole(variance_reduction=NUMBER, difference=DIFFERENCE)),
    estimable={"type": "boolean"}, reason=TEXT,
) | {
    "if": {"properties": {"estimable": {"const": False}}},
    "then": {"properties": {"reason": {"type": "string", "minLength": 1}, "p_value": {"type": "null"}}},
    "else": {"properties": {"p_value": {"type": "number"}}},
}  # fmt: skip
METRIC = whole(
    metric={"type": "string"}, type={"enum": ["proportion", "mean", "ratio", "quantile"]},
    role={"enum": ["primary", "secondary", "guardrail", None]}, unit_count=COUNT,
    variants=many(whole(
        variant={"type": "string"}, units=COUNT, value=NUMBER, standard_error=NUMBER, numerator=NUMBER,
        denominator=NUMBER,
    )),
    comparisons=many(COMPARISON),
)  # fmt: skip
REPORT = whole(
    experiment={"type": "null"}, as_of={"type": "null"}, confidence={"type": "number"},
    variants=many(whole(variant={"type": "string"}, units=COUNT, weight=NUMBER)),
    checks=many(whole(
        check={"type": "string"}, status={"enum": ["pass", "warn", "fail", "unknown"]}, p_value=CHANCE,
        statistic=NUMBER, detail={"type": "string"},
    )),
    metrics=many(METRIC),
    verdict=whole(
        decision={"enum": ["ship", "do_not_ship", "keep_running", "fix_first"]}, variant=TEXT,
        rule={"type": "string"}, because=many({"type": "string"}),
    ),
)  # fmt: skip
CONTRACT = Draft202012Validator(REPORT)


def money(rng, kind, n):
    return {
        "usual": np.where(rng.random(n) < 0.2, np.round(rng.lognormal(3, 1, n), 2), 0.0),
        "none": np.zeros(n),
        "alike": np.full(n, 9.99),
        "huge": rng.normal(size=n) * 1e12,
        "refunds": -np.round(rng.lognormal(3, 2, n), 2),
        "blank": np.full(n, np.nan),
        "sparse": np.where(rng.random(n) < 0.5, rng.normal(size=n), np.nan),
    }[kind]


@pytest.mark.parametrize("kind", ["usual", "none", "alike", "huge", "refunds", "blank", "sparse"])
@pytest.mark.parametrize("n", [1, 2, 7, 400])
@pytest.mark.parametrize("rich", [False, True], ids=["plain", "every option"])
def test_the_json_has_the_contracts_shape(tmp_path, kind, n, rich):
    rng = np.random.default_rng(n)
    orders = rng.poisson(0.3, n)
    frame = pd.DataFrame({
        "v": ["a", *rng.choice(["a", "b", "c"], n - 1)], "m": money(rng, kind, n), "o": orders,
        "b": (orders > 0).astype(int), "x": rng.normal(size=n), "s": rng.choice(["p", "q"], n),
        "u": rng.integers(0, max(n // 2, 1), n),
    })  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    arguments = [
        str(tmp_path / "t.csv"), "--variant", "v", "--control", "a", "--metric", "c=proportion:b", "--metric",
        "rpv=mean:m", "--metric", "aov=ratio:m/o", "--metric", "p=quantile:m:0.5", "--format", "json",
    ]  # fmt: skip
    if rich:
        arguments += [
            "--unit", "u", "--covariate", "x", "--segment", "s", "--sequential", "--correction", "dunnett",
            "--cap", "99", "--weights", "a=1", "--weights", "b=1", "--weights", "c=1", "--guardrail", "rpv=2%",
        ]  # fmt: skip
    out = CliRunner().invoke(command, arguments, catch_exceptions=False).stdout

    def no_number(text):
        pytest.fail(f"{text} is no JSON")

    report = json.loads(out, parse_constant=no_number)
    assert [e.message for e in CONTRACT.iter_errors(report)] == []
