"""The laws of conditions, and their agreement with GrowthBook's SDK for Python."""

import logging
import string
from collections.abc import Iterator
from typing import Any

import pytest
from growthbook.common_types import EvaluationContext, Feature, GlobalContext, Options, StackContext, UserContext
from growthbook.core import eval_feature, evalCondition
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from experiments.bucketing import bucket
from experiments.evaluation import Context, Features
from experiments.targeting import check_condition, compile_condition

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1", "1.2.3", "DE", "de", "null"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_lowercase, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OPERATOR_NAMES = [
    "$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$veq", "$vne", "$vlt", "$vlte", "$vgt", "$vgte", "$in", "$nin",
    "$ini", "$nini", "$exists", "$type", "$regex", "$regexi", "$not", "$size", "$elemMatch", "$all", "$alli",
    "$inGroup", "$notInGroup", "$or", "$and", "$nor", "$savedGroup", "$bogus",
]  # fmt: skip
NAMES = st.sampled_from(["country", "age", "vip", "tags", "app", "cart.total", "cart.items", "note"])
ANYTHING = st.recursive(
    JSON,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.sampled_from(OPERATOR_NAMES), inner, max_size=3)
    ),
    max_leaves=12,
)
CONDITION_LIKE = st.dictionaries(NAMES | st.sampled_from(OPERATOR_NAMES), ANYTHING, max_size=3)
ANY_ATTRIBUTES = st.dictionaries(st.sampled_from(["country", "age", "vip", "tags", "app", "cart", "note"]), JSON)

COUNTRIES = st.sampled_from(["DE", "FR", "AT", "de", "", "Österreich"])
AGES = st.integers(-5, 120) | st.sampled_from([18.0, 17.5])
TAGS = st.sampled_from(["new", "NEW", "vip", "b2b", "ß"])
VERSIONS = st.sampled_from(["1.2.3", "1.10.0", "v2.0.0", "2.0.0-rc.1", "2.0.0+b7", "10.0", "1.2.3-alpha"])
VISITOR = st.fixed_dictionaries(
    {
        "id": st.integers(0, 300).map("visitor-{}".format),
        "country": COUNTRIES,
        "age": AGES,
        "vip": st.booleans(),
        "tags": st.lists(TAGS, max_size=4),
        "app": VERSIONS,
        "cart": st.fixed_dictionaries(
            {
                "total": st.sampled_from([0, 19.99, 20, 50.0]),
                "items": st.lists(
                    st.fixed_dictionaries({"sku": st.sampled_from("AB"), "qty": st.integers(0, 3)}), max_size=3
                ),
            }
        ),
    }
)
GROUPS = {
    "dach": ["DE", "AT", "CH"],
    "vips": {"type": "list", "attributeKey": "id", "values": ["visitor-1", "visitor-2"]},
}


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """The SDK warns of every experiment with one variation and of every unknown operator."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def one_of_each(values: st.SearchStrategy[Any], names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=2)


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=3)


# conditions in which the operand has the attribute's type, as a person writes them: here all SDKs should agree
MEMBERSHIP, ORDER = ["$in", "$nin"], ["$lt", "$lte", "$gt", "$gte"]
ON_TEXT = (
    COUNTRIES
    | one_of_each(COUNTRIES, ["$eq", "$ne", *ORDER])
    | one_of_each(lists(COUNTRIES), [*MEMBERSHIP, "$ini", "$nini"])
    | st.sampled_from(["^D", "E$", "[A-Z]{2}", "d|f", "^$", "(", "ö"]).flatmap(
        lambda pattern: st.sampled_from([{"$regex": pattern}, {"$regexi": pattern}, {"$not": {"$regex": pattern}}])
    )
    | st.sampled_from([{"$inGroup": "dach"}, {"$notInGroup": "dach"}, {"$inGroup": "none"}, {"$type": "string"}])
)
ON_NUMBER = AGES | one_of_each(AGES, ["$eq", "$ne", *ORDER]) | one_of_each(lists(AGES), MEMBERSHIP)
ON_FLAG = st.booleans() | one_of_each(st.booleans(), ["$eq", "$ne"]) | st.just({"$type": "boolean"})
ON_TAGS = (
    one_of_each(lists(TAGS), [*MEMBERSHIP, "$ini", "$nini", "$all", "$alli"])
    | st.builds(lambda size: {"$size": size}, st.integers(0, 3) | one_of_each(st.integers(0, 4), ORDER))
    | st.builds(lambda tag: {"$elemMatch": tag}, one_of_each(TAGS, ["$eq", "$ne", *ORDER]))
    | st.lists(TAGS, max_size=3)
)
ON_VERSION = one_of_each(VERSIONS, ["$veq", "$vne", "$vlt", "$vlte", "$vgt", "$vgte"])
ON_ITEMS = st.builds(
    lambda sku, quantity: {"$elemMatch": {"sku": sku, "qty": quantity}},
    st.sampled_from("AB"),
    one_of_each(st.integers(0, 3), ORDER),
)
ON_ABSENT = st.sampled_from(
    [None, {"$exists": False}, {"$exists": True}, {"$type": "null"}, {"$in": ["x"]}, {"$ne": "x"}]
)
LEAVES = st.one_of(
    *(
        st.builds(lambda operand, path=path: {path: operand}, operands)
        for path, operands in [
            ("country", ON_TEXT), ("age", ON_NUMBER), ("vip", ON_FLAG), ("tags", ON_TAGS), ("app", ON_VERSION),
            ("cart.total", ON_NUMBER), ("cart.items", ON_ITEMS), ("gone", ON_ABSENT), ("cart.gone.deeper", ON_ABSENT),
        ]
    ),
    st.just({"$savedGroup": {"id": "vips"}}),
)  # fmt: skip
TYPED = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda key, each: {key: each}, st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, max_size=3))
        | st.builds(lambda each: {"$not": each}, inner)
        | st.builds(lambda one, other: {**one, **other}, inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=1_000)
@given(TYPED, st.lists(VISITOR, min_size=3, max_size=3))
def test_conditions_agree_with_the_pypi_growthbook_sdk(
    condition: dict[str, Any], visitors: list[dict[str, Any]]
) -> None:
    compiled = compile_condition(condition, GROUPS)
    for visitor in visitors:
        assert compiled.matches(visitor) is evalCondition(visitor, condition, GROUPS)


@pytest.mark.parametrize(
    ("condition", "attributes", "ours"),
    [
        ({"n": {"$gt": "5", "$lt": "10"}}, {"n": 8}, True),
        ({"n": {"$lt": 18}}, {}, True),
        ({"n": 5}, {"n": "5"}, True),
        ({"n": 0}, {}, True),
        ({"vip": True}, {"vip": "yes"}, True),
        ({"app": {"$vlt": "1.0.0"}}, {}, True),
        ({"name": {"$regex": "null"}}, {}, True),
        ({"tags": {"$alli": ["5"]}}, {"tags": [5]}, True),
        ({"$not": {"name": {"$bogus": 1}}}, {"name": "x"}, True),
        ({"name": {"$notRegex": "a"}}, {"name": "b"}, False),
        ({"name": {}}, {"name": "x"}, False),
    ],
)
def test_where_the_pypi_growthbook_sdk_leaves_the_specification_we_do_not(
    condition: dict[str, Any], attributes: dict[str, Any], ours: bool
) -> None:
    """Version 4.0.0 compares no values of different types; the specification's cases and the JavaScript SDK do."""
    assert compile_condition(condition).matches(attributes) is ours
    assert evalCondition(attributes, condition) is not ours


@given(CONDITION_LIKE, ANY_ATTRIBUTES)
def test_every_condition_can_be_asked_of_everybody(condition: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert compile_condition(condition, GROUPS).matches(attributes) in (True, False)
    assert isinstance(check_condition(condition), list)


@given(CONDITION_LIKE | TYPED, ANY_ATTRIBUTES)
def test_what_the_door_lets_in_matches_a_unit_or_its_negation_does(
    condition: dict[str, Any], attributes: dict[str, Any]
) -> None:
    assume(not check_condition(condition))
    matches = compile_condition(condition, GROUPS).matches(attributes)
    assert compile_condition({"$not": condition}, GROUPS).matches(attributes) is not matches
    assert compile_condition({"$not": {"$not": condition}}, GROUPS).matches(attributes) is matches


@given(st.lists(TYPED, min_size=1, max_size=3), VISITOR)
def test_and_or_and_nor_are_those_of_logic(conditions: list[dict[str, Any]], visitor: dict[str, Any]) -> None:
    each = [compile_condition(condition, GROUPS).matches(visitor) for condition in conditions]
    assert compile_condition({"$and": conditions}, GROUPS).matches(visitor) is all(each)
    assert compile_condition({"$or": conditions}, GROUPS).matches(visitor) is any(each)
    assert compile_condition({"$nor": conditions}, GROUPS).matches(visitor) is not any(each)


@given(st.lists(SCALARS, max_size=4), SCALARS)
def test_in_is_equal_to_one_of_them(values: list[Any], value: Any) -> None:
    among = compile_condition({"a": {"$in": values}}).matches({"a": value})
    assert among is any(compile_condition({"a": {"$eq": each}}).matches({"a": value}) for each in values)
    assert compile_condition({"a": {"$nin": values}}).matches({"a": value}) is not among


SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
SPAN = st.tuples(SHARES, SHARES).map(sorted)
FILTER = st.fixed_dictionaries({"seed": st.just("layer"), "ranges": st.lists(SPAN, min_size=1, max_size=2)})
RULE_PARTS = {
    "hashVersion": st.sampled_from([1, 2]),
    "seed": st.sampled_from(["s", "t"]),
    "condition": TYPED,
    "hashAttribute": st.sampled_from(["id", "country", "gone"]),
    "filters": st.lists(FILTER, min_size=1, max_size=2),
    "parentConditions": st.just([{"id": "parent", "condition": {"value": True}}])
    | st.just([{"id": "parent", "condition": {"value": True}, "gate": True}]),
    "id": st.just("rule"),
}  # fmt: skip
FORCED = st.fixed_dictionaries(
    {"force": st.sampled_from(["x", 0, False])}, optional={**RULE_PARTS, "coverage": SHARES, "range": SPAN}
)
DRAWN = st.integers(1, 4).flatmap(
    lambda count: st.fixed_dictionaries(
        {"variations": st.just([f"v{index}" for index in range(count)])},
        optional={
            **RULE_PARTS,
            "coverage": SHARES,
            "weights": st.lists(SHARES, min_size=count, max_size=count),
            "ranges": st.lists(SPAN, min_size=count, max_size=count),
            "namespace": st.tuples(st.just("layer"), SHARES, SHARES).map(list),
            "meta": st.just([{"key": f"k{index}", "passthrough": index == 3} for index in range(count)]),
            "key": st.just("experiment"),
        },
    )
)


PARENT = {"defaultValue": False, "rules": [{"force": True, "condition": {"vip": True}}]}


def by_the_sdk(features: dict[str, Any], context: Context) -> tuple[Any, ...]:
    compiled = {key: Feature(**definition) for key, definition in features.items()}
    shared = GlobalContext(options=Options(), features=compiled, saved_groups=GROUPS)
    user = UserContext(attributes=dict(context.attributes), forced_variations=dict(context.forced_variations))
    result = eval_feature("feature", EvaluationContext(user=user, global_ctx=shared, stack=StackContext()))
    drawn = result.experimentResult
    facts = drawn and (drawn.variationId, drawn.key, drawn.bucket, drawn.hashUsed, drawn.hashAttribute, drawn.hashValue)
    return result.value, result.source, result.ruleId or "", facts


def by_us(features: dict[str, Any], context: Context) -> tuple[Any, ...]:
    result = Features(features, GROUPS).evaluate("feature", context)
    facts = None
    if drawn := result.drawn:
        place = (drawn.bucket, drawn.hash_used, drawn.hash_attribute, drawn.hash_value)
        facts = (drawn.variation_index, drawn.variation_key, *place)
    return result.value, result.source, result.rule_id, facts


def differs_in_the_sdk(rule: dict[str, Any], context: Context) -> bool:
    """The two differences that `test_where_the_sdk_evaluates_features_otherwise...` shows."""
    if "force" not in rule:
        return bool(context.forced_variations) and "condition" in rule
    value = context.attributes.get(rule.get("hashAttribute", "id"), "")
    return rule.get("coverage") == bucket(rule.get("seed", "feature"), str(value), rule.get("hashVersion", 1))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(FORCED | DRAWN, min_size=1, max_size=3),
    st.lists(VISITOR, min_size=4, max_size=4),
    st.sampled_from([{}, {}, {"experiment": 1}]),
)
def test_features_agree_with_the_pypi_growthbook_sdk(
    rules: list[dict[str, Any]], visitors: list[dict[str, Any]], forced: dict[str, int]
) -> None:
    features = {"feature": {"defaultValue": "default", "rules": rules}, "parent": PARENT}
    for visitor in visitors:
        context = Context(visitor, forced)
        if not any(differs_in_the_sdk(rule, context) for rule in rules):
            assert by_us(features, context) == by_the_sdk(features, context)


@pytest.mark.parametrize(
    ("rule", "context", "ours"),
    [
        # up to and with the coverage; the SDK ends before it
        (
            {"force": "in", "coverage": 0.4785, "hashVersion": 2, "seed": "exp_cart_offer"},
            Context({"id": "visitor-42"}),
            "in",
        ),
        # a forced variation is for testing, and comes before targeting; the SDK targets first
        (
            {"key": "e", "variations": ["out", "in"], "condition": {"country": "DE"}},
            Context({"id": "1"}, {"e": 1}),
            "in",
        ),
        # a rule may force null; to the SDK that is no rule
        ({"force": None}, Context({"id": "1"}), None),
    ],
)
def test_where_the_sdk_evaluates_features_otherwise_we_follow_the_specification(
    rule: dict[str, Any], context: Context, ours: object
) -> None:
    """The three differences of version 4.0.0 from the JavaScript SDK that its payload can show."""
    features = {"feature": {"defaultValue": "out", "rules": [rule]}, "parent": PARENT}
    assert by_us(features, context)[0] == ours
    assert by_the_sdk(features, context)[0] != ours
