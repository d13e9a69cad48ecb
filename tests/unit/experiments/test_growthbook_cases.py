"""GrowthBook's own cases and the answers of its JavaScript SDK, which settles what the specification leaves open."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.bucketing import bucket, bucket_ranges, choose, equal_weights, in_namespace, usable_weights
from experiments.draw import Context, DrawResult, Experiment, forced_by_url
from experiments.evaluation import FeatureResult, Features
from experiments.stickiness import StickyBuckets
from experiments.targeting import compile_condition

REFERENCE = Path(__file__).parents[2] / "reference"
CASES: dict[str, list[list[Any]]] = json.loads((REFERENCE / "growthbook-cases.json").read_text(encoding="utf-8"))
ANSWERS: dict[str, Any] = json.loads((REFERENCE / "growthbook-answers.json").read_text(encoding="utf-8"))


def cases(section: str) -> pytest.MarkDecorator:
    rows = CASES[section]
    names = [str(row[0]) if isinstance(row[0], str) and row[0] else str(number) for number, row in enumerate(rows)]
    return pytest.mark.parametrize("case", rows, ids=names)


def context_of(given: dict[str, Any]) -> Context:
    return Context(
        attributes=given.get("attributes", {}),
        forced_variations=given.get("forcedVariations", {}),
        url=given.get("url", ""),
        enabled=given.get("enabled", True),
        qa_mode=given.get("qaMode", False),
        sticky=StickyBuckets(given["sticky"]) if "sticky" in given else None,
    )


def drawn_json(drawn: DrawResult, feature: str | None) -> dict[str, Any]:
    optional = {"bucket": drawn.bucket, "name": drawn.name, "passthrough": drawn.passthrough or None}
    return {
        "key": drawn.variation_key,
        "featureId": feature,
        "inExperiment": drawn.in_experiment,
        "hashUsed": drawn.hash_used,
        "variationId": drawn.variation_index,
        "value": drawn.value,
        "hashAttribute": drawn.hash_attribute,
        "hashValue": drawn.hash_value,
        "stickyBucketUsed": drawn.sticky_bucket_used,
        **{name: value for name, value in optional.items() if value is not None},
    }


def result_json(result: FeatureResult, feature: str) -> dict[str, Any]:
    answer = {
        "value": result.value,
        "on": result.on,
        "off": not result.on,
        "source": result.source,
        "ruleId": result.rule_id,
    }
    if result.experiment is not None and result.drawn is not None:
        answer["experiment"] = result.experiment.definition
        answer["experimentResult"] = drawn_json(result.drawn, feature)
    return answer


@cases("hash")
def test_hash(case: list[Any]) -> None:
    seed, value, version, expected = case
    assert bucket(seed, value, version) == expected


@cases("getBucketRange")
def test_bucket_ranges(case: list[Any]) -> None:
    _, (count, coverage, weights), expected = case
    assert [list(each) for each in bucket_ranges(coverage, usable_weights(count, weights))] == [
        pytest.approx(each, abs=1e-6) for each in expected
    ]


@cases("chooseVariation")
def test_choose(case: list[Any]) -> None:
    _, n, ranges, expected = case
    assert choose(n, ranges) == expected


@cases("inNamespace")
def test_in_namespace(case: list[Any]) -> None:
    _, unit_id, namespace, expected = case
    assert in_namespace(unit_id, tuple(namespace)) is expected


@cases("getEqualWeights")
def test_equal_weights(case: list[Any]) -> None:
    count, expected = case
    assert equal_weights(count) == pytest.approx(expected)


@cases("getQueryStringOverride")
def test_forced_by_url(case: list[Any]) -> None:
    _, key, url, count, expected = case
    assert forced_by_url(key, url, count) == expected


@cases("evalCondition")
def test_condition(case: list[Any]) -> None:
    _, condition, attributes, expected, *groups = case
    assert compile_condition(condition, *groups).matches(attributes) is expected


@cases("run")
def test_run(case: list[Any]) -> None:
    _, given, definition, value, in_experiment, hash_used = case
    groups = given.get("savedGroups")
    drawn = Features(given.get("features", {}), groups).draw(Experiment(definition, groups), context_of(given))
    assert (drawn.value, drawn.in_experiment, drawn.hash_used) == (value, in_experiment, hash_used)


@cases("feature")
def test_feature(case: list[Any]) -> None:
    _, given, key, expected = case
    result = Features(given["features"], given.get("savedGroups")).evaluate(key, context_of(given))
    assert result_json(result, key) == expected


@cases("stickyBucket")
def test_sticky_bucket(case: list[Any]) -> None:
    _, given, documents, key, expected, after = case
    kept = {f"{each['attributeName']}||{each['attributeValue']}": each for each in documents}
    context = context_of({**given, "sticky": kept})
    drawn = Features(given["features"], given.get("savedGroups")).evaluate(key, context).drawn
    assert (None if drawn is None else drawn_json(drawn, key)) == expected
    assert context.sticky is not None
    assert context.sticky.documents == after


def test_conditions_mean_what_growthbooks_javascript_sdk_makes_of_them() -> None:
    groups = ANSWERS["savedGroups"]
    wrong = [
        (condition, attributes)
        for condition, attributes, expected in ANSWERS["conditions"]
        if compile_condition(condition, groups).matches(attributes) is not expected
    ]
    assert not wrong


@pytest.mark.parametrize("number", range(len(ANSWERS["features"])))
def test_features_evaluate_as_in_growthbooks_javascript_sdk(number: int) -> None:
    features, key, given, expected = ANSWERS["features"][number]
    context = context_of(given)
    result = Features(features, ANSWERS["featureGroups"]).evaluate(key, context)
    assert (result.value, result.source, result.rule_id) == (expected["value"], expected["source"], expected["ruleId"])
    assert (result.drawn and drawn_json(result.drawn, key)) == expected["experimentResult"]
    changed = context.sticky.changed if context.sticky else {}
    assert changed == {f"{each['attributeName']}||{each['attributeValue']}": each for each in expected["saved"]}


@pytest.mark.parametrize("number", range(len(ANSWERS["runs"])))
def test_experiments_run_as_in_growthbooks_javascript_sdk(number: int) -> None:
    definition, given, expected = ANSWERS["runs"][number]
    drawn = Experiment(definition, ANSWERS["featureGroups"]).draw(context_of(given))
    assert drawn_json(drawn, None) == expected["res"]
