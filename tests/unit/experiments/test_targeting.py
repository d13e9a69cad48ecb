"""What conditions mean, and which are refused at the door."""

from typing import Any

import pytest

from experiments.targeting import check_condition, compile_condition


def matches(condition: dict[str, Any], attributes: dict[str, Any], groups: dict[str, Any] | None = None) -> bool:
    return compile_condition(condition, groups).matches(attributes)


@pytest.mark.parametrize(
    ("condition", "attributes"),
    [
        ({"n": {"$gt": "5", "$lt": "10"}}, {"n": 8}),
        ({"n": {"$gt": 5}}, {"n": " 8 "}),
        ({"n": {"$lt": 1}}, {}),
        ({"n": {"$lte": 0, "$gte": 0}}, {"n": None}),
        ({"word": {"$gt": "\U0001f600"}}, {"word": "\uffff"}),
        ({"n": 5}, {"n": "5.0"}),
        ({"n": "5"}, {"n": 5.0}),
        ({"vip": True}, {"vip": "yes"}),
        ({"tags": "a,b"}, {"tags": ["a", "b"]}),
        ({"size": {"a": 1, "b": [1, 2]}}, {"size": {"a": 1.0, "b": [1, 2]}}),
        ({"app": {"$vlt": "1.0"}}, {}),
        ({"app": {"$veq": "2"}}, {"app": 2}),
        ({"gone": {"$regex": "^null$"}}, {}),
        ({"tags.1": "b", "tags.length": 2}, {"tags": ["a", "b"]}),
        ({"items": {"$elemMatch": {"sku": "A1", "qty": {"$gt": 1}}}}, {"items": [None, {"sku": "A1", "qty": 2}]}),
        ({"tags": {"$elemMatch": {"$eq": 0}}}, {"tags": ["", 0]}),
        ({"tags": {"$alli": ["A", {"$regex": "^b"}]}}, {"tags": ["a", "bc"]}),
        ({"$or": []}, {}),
        ({}, {}),
    ],
)
def test_values_are_converted_as_javascript_does(condition: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert matches(condition, attributes)


@pytest.mark.parametrize(
    ("condition", "attributes"),
    [
        ({"n": {"$gt": 5}}, {"n": "many"}),
        ({"n": {"$eq": 5}}, {"n": "5"}),
        ({"n": {"$in": [1]}}, {"n": True}),
        ({"n": {"$in": [0]}}, {"n": False}),
        ({"list": {"$eq": [1]}}, {"list": [1]}),
        ({"size": {"a": 1, "b": 2}}, {"size": {"b": 2, "a": 1}}),
        ({"vip": False}, {}),
        ({"n": {"$bogus": 1}}, {"n": 1}),
        ({"name": {}}, {"name": "x"}),
        ({"toString": {"$exists": True}}, {}),
        ({"a.b": 1}, {"a.b": 1}),
        ({"$nor": []}, {}),
        ({"n": {"$in": 1}}, {"n": 1}),
    ],
)
def test_values_of_other_types_do_not_match(condition: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert not matches(condition, attributes)


@pytest.mark.parametrize(
    "condition",
    [{"$or": "x"}, {"$and": [1]}, {"$not": None}, {"a": {"$elemMatch": 5}}, {"a": {"$regex": "(?=b)"}}],
)
def test_what_cannot_be_evaluated_matches_nobody_not_even_negated(condition: dict[str, Any]) -> None:
    attributes = {"a": ["b"]}
    assert not matches(condition, attributes)
    assert not matches({"$not": condition}, attributes)


def test_a_condition_nested_beyond_measure_matches_nobody() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(5_000):
        deep = {"$not": deep}
    assert not matches(deep, {"a": 1})
    assert "deep" in check_condition(deep)[0].message


def test_an_attribute_nested_beyond_measure_matches_nobody() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert not matches({"a": "x"}, {"a": deep})


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(Mobile|Tablet)", "a Tablet"),
        (r"^\d+$", "2024"),
        (r"[\w.-]+@shop\.example$", "a.b-c@shop.example"),
        (r"/cart\/?$", "https://shop.example/cart/"),
        ("a{,2}", "a{,2}"),
        (r"\u00eb", "Zoë"),
        ("[^]", "\n"),
        ("[[]", "["),
        (r"^\s$", "\u2003"),
    ],
)
def test_patterns_are_read_as_a_browser_reads_them(pattern: str, text: str) -> None:
    assert matches({"a": {"$regex": pattern}}, {"a": text})
    assert not check_condition({"a": {"$regex": pattern}})


@pytest.mark.parametrize(
    ("pattern", "text"), [("a$", "a\n"), (r"^\d$", "٣"), (r"^\w$", "ë"), ("a.b", "a\rb"), ("[]", "")]
)
def test_patterns_do_not_match_what_a_browsers_would_not(pattern: str, text: str) -> None:
    assert not matches({"a": {"$regex": pattern}}, {"a": text})


def test_case_is_ignored_where_asked() -> None:
    assert matches({"a": {"$regexi": "mobile"}}, {"a": "MOBILE"})
    assert matches({"a": {"$ini": ["us"]}}, {"a": "US"})
    assert not matches({"a": {"$nini": ["us"]}}, {"a": ["x", "US"]})


def test_no_pattern_takes_longer_than_its_text() -> None:
    """Under backtracking these two take longer than the universe has; the suite's time limit would end them."""
    assert not matches({"a": {"$regex": "^(a+)+$"}}, {"a": "a" * 50_000 + "!"})
    assert not matches({"a": {"$regex": "(x+x+)+y"}}, {"a": "x" * 50_000})


def test_saved_groups_of_both_shapes() -> None:
    groups = {
        "plain": ["v1", 5],
        "list": {"type": "list", "attributeKey": "id", "values": ["v1"]},
        "both": {"type": "condition", "condition": {"$savedGroup": {"id": "list"}, "$not": {"age": {"$lt": 18}}}},
        "loop": {"type": "condition", "condition": {"$savedGroup": {"id": "loop"}}},
        "newer": {"type": "radius"},
    }  # fmt: skip
    visitor = {"id": "v1", "age": 30, "friend": "v2"}
    assert matches({"id": {"$inGroup": "plain"}}, visitor, groups)
    assert matches({"id": {"$inGroup": "list"}}, visitor, groups)
    assert matches({"$savedGroup": {"id": "both"}}, visitor, groups)
    assert not matches({"$savedGroup": {"id": "list", "attributeKey": "friend"}}, visitor, groups)
    assert not matches({"$savedGroup": {"id": "loop"}}, visitor, groups)
    assert not matches({"$savedGroup": {"id": "plain"}}, visitor, groups)
    assert matches({"id": {"$notInGroup": "unknown"}}, visitor, groups)
    assert not matches({"id": {"$notInGroup": "newer"}}, visitor, groups)


@pytest.mark.parametrize(
    ("condition", "field", "says"),
    [
        ([], "targeting", "object"),
        ({"country": {"$inn": ["DE"]}}, "targeting.country.$inn", "no operator"),
        ({"$xor": []}, "targeting.$xor", "no operator"),
        ({"country": {"$or": []}}, "targeting.country.$or", "no operator"),
        ({"country": {"$in": "DE"}}, "targeting.country.$in", "needs a list"),
        ({"country": {"$in": []}}, "targeting.country.$in", "1 to"),
        ({"country": {"$in": [["DE"]]}}, "targeting.country.$in", "a list"),
        ({"$or": []}, "targeting.$or", "at least one"),
        ({"$or": [{"a": {"$gt": None}}]}, "targeting.$or[0].a.$gt", "number or a text"),
        ({"$not": {"a": {"$exists": "yes"}}}, "targeting.$not.a.$exists", "true or false"),
        ({"a": {"$regex": "(["}}, "targeting.a.$regex", "no regular expression"),
        ({"a": {"$regex": "(?!x)"}}, "targeting.a.$regex", "look-ahead"),
        ({"a": {"$regex": r"(a)\1"}}, "targeting.a.$regex", "back-reference"),
        ({"a": {"$regex": 5}}, "targeting.a.$regex", "as a text"),
        ({"a": {"$regex": "x" * 2_000}}, "targeting.a.$regex", "longer"),
        ({"a": {"$type": "int"}}, "targeting.a.$type", "one of"),
        ({"a": {"$type": []}}, "targeting.a.$type", "one of"),
        ({"a": {"$size": -1}}, "targeting.a.$size", "whole number"),
        ({"a": {"$vgt": "newest"}}, "targeting.a.$vgt", "version"),
        ({"a": {"$all": "x"}}, "targeting.a.$all", "list"),
        ({"a": {"$elemMatch": {"$gt": []}}}, "targeting.a.$elemMatch.$gt", "number or a text"),
        ({"a": {"$elemMatch": {"sku": {"$nope": 1}}}}, "targeting.a.$elemMatch.sku.$nope", "no operator"),
        ({"a": {"$gt": 1, "b": 2}}, "targeting.a.b", "among operators"),
        ({"a": {}}, "targeting.a", "empty object"),
        ({"a..b": 1}, "targeting.a..b", "empty"),
        ({"": 1}, "targeting.", "empty"),
        ({"a": float("nan")}, "targeting.a", "finite"),
        ({"a": 2**60}, "targeting.a", "2^53"),
        ({"a": {"$inGroup": 5}}, "targeting.a.$inGroup", "id of a saved group"),
        ({"$savedGroup": "vip"}, "targeting.$savedGroup", "object"),
        ({"$savedGroup": {"id": "vip", "attributeKey": 1}}, "targeting.$savedGroup.attributeKey", "name"),
    ],
)  # fmt: skip
def test_a_malformed_condition_is_refused_with_its_path(condition: Any, field: str, says: str) -> None:
    errors = check_condition(condition)
    assert [error.field for error in errors] == [field]
    assert says in errors[0].message


def test_every_broken_rule_is_named() -> None:
    errors = check_condition({"a": {"$in": 1, "$gt": None}, "$xor": 1}, "experiment.targeting")
    assert [error.field for error in errors] == [
        "experiment.targeting.a.$in",
        "experiment.targeting.a.$gt",
        "experiment.targeting.$xor",
    ]


def test_a_saved_group_must_be_known_where_they_are_given() -> None:
    assert not check_condition({"id": {"$inGroup": "vip"}})
    assert not check_condition({"id": {"$inGroup": "vip"}}, saved_groups=["vip"])
    assert "vip" in check_condition({"id": {"$inGroup": "vip"}}, saved_groups=[])[0].message
