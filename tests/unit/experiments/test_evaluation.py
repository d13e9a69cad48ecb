"""Features: what the evaluation says of itself, and when."""

from typing import Any

from experiments.evaluation import Context, Experiment, Features, Step, Trace
from experiments.stickiness import StickyBuckets

CART: dict[str, Any] = {
    "defaultValue": "none",
    "rules": [
        {"id": "winner", "condition": {"country": "AT"}, "force": "bundle"},
        {"id": "vip", "force": "upsell", "coverage": 0.0},
        {"id": "needs", "parentConditions": [{"id": "open", "condition": {"value": True}}], "force": "upsell"},
        {
            "id": "layered", "key": "layered", "variations": ["none", "upsell"],
            "filters": [{"seed": "layer", "ranges": [[0, 0]]}],
        },
        {
            "id": "offer", "key": "exp_cart_offer", "hashVersion": 2, "variations": ["none", "upsell", "bundle"],
            "meta": [{"key": "control"}, {"key": "upsell", "name": "Upsell"}, {"key": "bundle"}],
            "condition": {"country": {"$in": ["DE", "FR"]}},
        },
    ],
}  # fmt: skip
FEATURES = Features({"cart": CART, "open": {"defaultValue": False}})


def test_the_result_says_what_was_drawn_and_by_which_rule() -> None:
    result = FEATURES.evaluate("cart", Context({"id": "visitor-42", "country": "DE"}))
    assert (result.value, result.source, result.rule_id) == ("upsell", "experiment", "offer")
    assert result.experiment is not None
    assert result.experiment.key == "exp_cart_offer"
    drawn = result.drawn
    assert drawn is not None
    assert (drawn.variation_index, drawn.variation_key, drawn.name) == (1, "upsell", "Upsell")
    assert (drawn.bucket, drawn.hash_used, drawn.in_experiment, drawn.reason) == (0.4785, True, True, "drawn")
    assert (drawn.hash_attribute, drawn.hash_value) == ("id", "visitor-42")


def test_a_trace_says_why_each_rule_was_passed_over() -> None:
    trace: Trace = []
    result = FEATURES.evaluate("cart", Context({"id": "visitor-42", "country": "US"}), trace)
    assert result.source == "defaultValue"
    assert trace == [
        Step("cart", 0, "winner", "condition"),
        Step("cart", 1, "vip", "rollout"),
        Step("cart", 2, "needs", "prerequisite"),
        Step("cart", 3, "layered", "filters"),
        Step("cart", 4, "offer", "condition"),
    ]


def test_a_trace_ends_with_the_rule_that_decided() -> None:
    trace: Trace = []
    FEATURES.evaluate("cart", Context({"id": "visitor-42", "country": "AT"}), trace)
    assert trace == [Step("cart", 0, "winner", "force")]


def test_a_trace_changes_nothing() -> None:
    for number in range(200):
        context = Context({"id": f"v{number}", "country": "DE"})
        assert FEATURES.evaluate("cart", context, []) == FEATURES.evaluate("cart", context)


def outcome(definition: dict[str, Any], context: Context) -> str:
    return Experiment({"key": "e", "variations": [0, 1], **definition}).draw(context).reason


def test_every_way_past_an_experiment_has_its_reason() -> None:
    visitor = Context({"id": "1"})
    assert outcome({}, visitor) == "drawn"
    assert outcome({"variations": [0]}, visitor) == "too_few_variations"
    assert outcome({}, Context({"id": "1"}, enabled=False)) == "disabled"
    assert outcome({}, Context({"id": "1"}, url="https://shop.example/?e=1")) == "forced"
    assert outcome({}, Context({"id": "1"}, forced_variations={"e": 1})) == "forced"
    assert outcome({}, Context({"id": "1"}, forced_variations={"e": 2})) == "no_such_variation"
    assert outcome({"active": False}, visitor) == "inactive"
    assert outcome({"status": "draft"}, visitor) == "inactive"
    assert outcome({}, Context({"id": ""})) == "no_hash_value"
    assert outcome({"filters": [{"seed": "s", "ranges": [[0, 0]]}]}, visitor) == "filters"
    assert outcome({"namespace": ["layer", 0, 0]}, visitor) == "namespace"
    assert outcome({"condition": {"country": "DE"}}, visitor) == "condition"
    assert outcome({"hashVersion": 9}, visitor) == "unknown_hash_version"
    assert outcome({"coverage": 0}, visitor) == "coverage"
    assert outcome({"force": 1}, visitor) == "forced"
    assert outcome({}, Context({"id": "1"}, qa_mode=True)) == "qa_mode"
    assert outcome({"status": "stopped"}, visitor) == "stopped"


def test_an_experiment_beside_the_features_may_have_them_as_prerequisites() -> None:
    definition = {"key": "e", "variations": [0, 1], "parentConditions": [{"id": "open", "condition": {"value": True}}]}
    visitor = Context({"id": "1"})
    assert FEATURES.draw(Experiment(definition), visitor).reason == "prerequisite"
    opened = Features({"open": {"defaultValue": True}})
    assert opened.draw(Experiment(definition), visitor).reason == "drawn"


def test_a_unit_exactly_at_the_coverage_of_a_rollout_is_inside_as_the_specification_has_it() -> None:
    rule = {"force": 1, "coverage": 0.4785, "hashVersion": 2, "seed": "exp_cart_offer"}
    feature = Features({"f": {"defaultValue": 0, "rules": [rule]}})
    assert feature.evaluate("f", Context({"id": "visitor-42"})).value == 1
    below = Features({"f": {"defaultValue": 0, "rules": [{**rule, "coverage": 0.4784}]}})
    assert below.evaluate("f", Context({"id": "visitor-42"})).value == 0


def test_a_passthrough_variation_lets_the_next_rule_decide() -> None:
    holdout = {"key": "holdout", "variations": [0, 0], "meta": [{"passthrough": True}, {"passthrough": True}]}
    feature = Features({"f": {"rules": [holdout, {"force": "next"}]}})
    trace: Trace = []
    assert feature.evaluate("f", Context({"id": "1"}), trace).value == "next"
    assert [step.outcome for step in trace] == ["passthrough", "force"]


def test_an_unknown_feature_has_no_value() -> None:
    assert FEATURES.evaluate("nope", Context({})).source == "unknownFeature"


def sticky(**variants: str) -> StickyBuckets:
    return StickyBuckets(
        {
            f"{attribute}||1": {"attributeName": attribute, "attributeValue": "1", "assignments": {"e__0": variant}}
            for attribute, variant in variants.items()
        }
    )


def test_a_unit_keeps_the_variant_of_its_own_document_before_that_of_the_fallback() -> None:
    meta = [{"key": "a"}, {"key": "b"}, {"key": "c"}]
    experiment = Experiment({"key": "e", "variations": [0, 1, 2], "meta": meta, "fallbackAttribute": "device"})
    both = Context({"id": "1", "device": "1"}, sticky=sticky(id="b", device="c"))
    assert (experiment.draw(both).variation_key, experiment.draw(both).reason) == ("b", "sticky")
    fallback = Context({"id": "1", "device": "1"}, sticky=sticky(device="c"))
    assert experiment.draw(fallback).variation_key == "c"
    assert fallback.sticky is not None
    assert fallback.sticky.changed["id||1"]["assignments"] == {"e__0": "c"}


def test_a_unit_of_a_barred_bucket_version_is_out() -> None:
    definition = {"key": "e", "variations": [0, 1], "meta": [{"key": "a"}, {"key": "b"}], "bucketVersion": 1}
    context = Context({"id": "1"}, sticky=sticky(id="b"))
    assert Experiment({**definition, "minBucketVersion": 1}).draw(context).reason == "older_bucket_version"
    assert Experiment(definition).draw(context).reason == "drawn"
