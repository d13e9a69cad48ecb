from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from experiments.definition import WHOLE, parse, to_json
from experiments.errors import FieldError
from experiments.metrics import BUILT_IN
from webapp.ui.definition_form import DefinitionForm, free_key, slug
from webapp.ui.form_errors import anchor, label, place
from webapp.ui.targeting_rows import Row, in_words, parse_value, to_condition, to_rows, value_text
from webapp.ui.typed import Typed, equal_split, percent_text
from webapp.ui.words import METRICS

BERLIN = ZoneInfo("Europe/Berlin")

words = st.text("aZ é\"'<&,1€", max_size=8).map(str.strip)
products = st.from_regex(r"[A-Z][0-9]{1,3}", fullmatch=True)
scalars = st.one_of(
    st.booleans(), st.integers(-(10**9), 10**9), st.text(max_size=12), st.sampled_from(["5", "true", "a, b", '"q"', ""])
)
_YEAR = datetime.fromisoformat("2026-01-01")  # as Hypothesis wants it: without a zone, which is added below
moments = st.none() | st.datetimes(_YEAR, _YEAR.replace(year=2027)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC).isoformat()
)


monitorings = st.one_of(
    st.fixed_dictionaries({
        "sequential": st.booleans(),
        "segments": st.lists(st.sampled_from(["device", "cart_value", "country", "company.size"]), unique=True),
    }),
    st.fixed_dictionaries({
        "monitoring": st.just("group_sequential"), "planned_units": st.integers(2, 10**9),
        "looks": st.integers(1, 100) | st.just([0.25, 0.5, 1]), "spending": st.sampled_from(["pocock", "power"]),
    }),
)  # fmt: skip


@st.composite
def offers(draw: st.DrawFn) -> dict[str, object]:
    kind = draw(st.sampled_from(["none", "upsell", "cross_sell", "bundle"]))
    if kind == "none":
        return {"type": "none"}
    offer: dict[str, object] = {"type": kind, "headline": draw(words), "body": draw(words)}
    if draw(st.booleans()):
        offer |= {"frequency_cap": {"views": draw(st.integers(1, 9)), "days": draw(st.integers(1, 9))}}
    if draw(st.booleans()):
        offer |= {"stacks_with_discounts": False, "minimum_margin": "20%", "free_shipping_over": "49.90"}
    offer |= {"valid_from": draw(moments)}
    discount = st.sampled_from([{"percent": "10"}, {"amount": "2.50"}])
    match kind:
        case "upsell":
            pairs = draw(st.dictionaries(products, products.map("D{}".format), max_size=3))
            offer |= {"pick": "explicit", "pairs": pairs} if pairs else {"pick": "next_tier", "max_price_ratio": "1.5"}
        case "cross_sell":
            bases = st.sampled_from(["*", "A1", "A2"])
            added = st.lists(products.map("D{}".format), min_size=1, max_size=3, unique=True)
            chosen = draw(st.dictionaries(bases, added, max_size=2))
            picks = st.sampled_from(["bought_together", "bestsellers", "most_viewed", "similar"])
            offer |= {"pick": "explicit", "products": chosen} if chosen else {"pick": draw(picks)}
            offer |= {"limit": draw(st.integers(1, 12)), "discount": draw(st.none() | discount)}
        case _:
            items = draw(st.lists(products, min_size=2, max_size=4, unique=True))
            offer |= {"items": items, "discount": draw(discount | st.just({"price": "9.99"}))}
    return offer


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, object]:
    shown = draw(st.lists(offers(), min_size=2, max_size=4))
    weights = equal_split(len(shown)) if draw(st.booleans()) else [5000, 5000] + [0] * (len(shown) - 2)
    metrics = draw(st.lists(st.sampled_from(sorted(BUILT_IN)), min_size=4, max_size=4, unique=True))
    return {
        "key": "an-experiment",
        "name": draw(words) or "an-experiment",
        "hypothesis": draw(words),
        "placement": "cart",
        "unit": draw(st.sampled_from(["visitor", "customer"])),
        "coverage": draw(st.integers(0, WHOLE)),
        "layer": draw(st.none() | st.just({"key": "l", "start": 100, "end": 4250})),
        "targeting": draw(st.dictionaries(st.sampled_from(["country", "vip", "age"]), scalars, max_size=3)),
        "variants": [
            {"key": f"v{i}", "name": draw(words), "weight": weight, "offer": offer}
            for i, (weight, offer) in enumerate(zip(weights, shown, strict=True))
        ],
        "metrics": {
            "primary": metrics[0],
            "secondary": sorted(metrics[1:3]),
            "guardrails": [{"metric": metrics[3], "margin": "2.5%"}],
        },
        "analysis": {
            "confidence": draw(st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.999])),
            **draw(monitorings),
            "correction": draw(st.sampled_from(["none", "bonferroni", "holm", "bh", "dunnett"])),
            "window_days": draw(st.integers(1, 365)),
            "minimum_days": draw(st.integers(0, 365)),
            "target_mde": draw(st.none() | st.just("5%")),
        },
        "schedule": {
            "start_at": draw(moments),
            "end_at": None,
            "pause_when": draw(st.lists(st.just("sample_ratio_mismatch"), max_size=1)),
        },
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(definitions())
def test_a_definition_shown_and_read_again_is_the_same_definition(value: dict[str, object]) -> None:
    definition = parse(value)
    built, errors = DefinitionForm.of(definition, ZoneInfo("Asia/Tokyo")).to_json(ZoneInfo("Asia/Tokyo"), str)
    assert errors == []
    again = parse(built)
    assert _comparable(again) == _comparable(definition)


@given(st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1, max_size=5), scalars, max_size=3))
def test_targeting_that_rows_can_say_reads_back_exactly(condition: dict[str, object]) -> None:
    rows = to_rows(condition)
    assert rows is None or to_condition(rows) == condition


@given(scalars)
def test_a_value_shown_is_read_as_the_same_value(value: object) -> None:
    read = parse_value(value_text(value))
    assert (type(read), read) == (type(value), value)


@given(st.lists(st.sampled_from(["DE", "5", "a, b", "true", 'say "hi"', "x\\y"]), min_size=1, max_size=4))
def test_a_list_of_values_is_read_as_the_same_list(values: list[str]) -> None:
    rows = to_rows({"country": {"$in": values}})
    assert rows is not None
    assert to_condition(rows) == {"country": {"$in": values}}


def test_rows_about_one_attribute_are_joined_and_contradictions_kept_apart() -> None:
    between = [Row("age", "$gte", "18"), Row("age", "$lt", "65"), Row("country", "is", "DE")]
    assert to_condition(between) == {"age": {"$gte": 18, "$lt": 65}, "country": "DE"}
    twice = [Row("tag", "is", "a"), Row("tag", "is", "b")]
    assert to_condition(twice) == {"$and": [{"tag": "a"}, {"tag": "b"}]}
    assert to_rows(to_condition(twice)) == twice
    assert in_words({"age": {"$gte": 18}}) == ["age is at least 18"]


def test_what_rows_cannot_say_is_left_to_json() -> None:
    for condition in ({"$or": [{"a": 1}]}, {"a": {"$elemMatch": {"b": 1}}}, {"a": {"$gt": 1, "$veq": "1"}}):
        assert to_rows(condition) is None


@given(st.integers(1, 20))
def test_an_equal_split_is_whole_and_as_equal_as_it_can_be(parts: int) -> None:
    split = equal_split(parts)
    assert sum(split) == WHOLE
    assert max(split) - min(split) <= 1


@given(st.integers(0, WHOLE))
def test_a_percent_shown_is_read_as_the_same_hundredths(hundredths: int) -> None:
    typed = Typed(BERLIN)
    assert typed.hundredths(percent_text(hundredths) + " %", "coverage", -1) == hundredths
    assert typed.errors == []


def test_local_times_that_the_clock_skips_are_refused_and_others_carry_their_offset() -> None:
    typed = Typed(BERLIN)
    assert typed.moment("2026-03-29T02:30", "at") is None
    assert "does not exist" in typed.errors[0].message
    assert typed.moment("2026-07-01T09:00", "at") == "2026-07-01T09:00:00+02:00"
    assert typed.moment("2026-10-25T02:30", "at") == "2026-10-25T02:30:00+02:00"


@pytest.mark.parametrize(
    ("field", "text", "where"),
    [
        ("coverage", "many", "coverage"),
        ("coverage", "101", "coverage"),
        ("coverage", "33.333", "coverage"),
        ("confidence", "100", "analysis.confidence"),
        ("window_days", "two", "analysis.window_days"),
        ("planned_units", "many", "analysis.planned_units"),
        ("looks", "0.5; 1", "analysis.looks"),
        ("start_at", "tomorrow", "schedule.start_at"),
        ("targeting_json", "{", "targeting_json"),
        ("targeting_json", "[]", "targeting_json"),
        ("key", "no spaces", "key"),
    ],
)
def test_what_cannot_be_read_is_an_error_at_its_field_and_stays_as_typed(field: str, text: str, where: str) -> None:
    form = DefinitionForm.read(MultiDict({"name": "A test", "placement": "cart", "confidence": "95", field: text}))
    _, errors = form.to_json(BERLIN, str)
    assert [e.field for e in errors] == [where]
    assert getattr(form, field) == text


def test_errors_of_the_definition_stand_at_the_inputs_that_made_them() -> None:
    value = {"metrics": {"secondary": ["aov"], "guardrails": [{"metric": "refund_rate", "margin": "x"}]}}
    fields = {
        "variants[1].offer.discount.percent": "variants[1].offer.discount",
        "variants[0].offer.items[3]": "variants[0].offer.items",
        "metrics.secondary[0]": "metrics.aov",
        "metrics.guardrails[0].margin": "metrics.refund_rate",
        "targeting.country.$in": "targeting",
        "targeting[2]": "targeting[2]",
        "variants": "variants",
    }
    placed = place([FieldError(field, "is wrong") for field in fields], value)
    assert list(placed) == list(dict.fromkeys(fields.values()))
    assert anchor("variants[1].offer.items") == "variants-1-offer-items"
    assert label("variants[1].offer.items") == "Variant 2, products"


def test_keys_are_made_of_names() -> None:
    assert slug("Cart: which offer?") == "cart-which-offer"
    assert slug("Ünïcode!") == "n-code"
    assert free_key("a", {"a", "a-2"}) == "a-3"
    assert free_key("", ()) == "experiment"


def test_every_built_in_metric_has_words() -> None:
    assert set(METRICS) == set(BUILT_IN)


def _comparable(definition: object) -> object:
    value = to_json(definition)  # type: ignore[arg-type]  # both sides are definitions
    value["metrics"]["secondary"].sort()
    schedule = value["schedule"]
    schedule["start_at"] = schedule["start_at"] and datetime.fromisoformat(schedule["start_at"]).astimezone(UTC)
    for variant in value["variants"]:
        offer = variant["offer"]
        for name in ("valid_from", "valid_until"):
            if name in offer:
                offer[name] = datetime.fromisoformat(offer[name]).astimezone(UTC)
    return value
