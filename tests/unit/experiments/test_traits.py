"""What is kept of a request when a unit enters: few words, coarse, and nothing that was not told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.catalogue import Catalogue, Product
from experiments.context import ContextInput
from experiments.devices import DEVICES, device_named, device_of
from experiments.money import LARGEST_MINOR
from experiments.segments import BUILT_IN, check_segments
from experiments.shape import convert
from experiments.traits import LONGEST, UNKNOWN, Traits, traits_of

SHOP = Catalogue(
    {
        "bag": Product("bag", "Bag", 2_000, "Gear/Bags"),
        "strap": Product("strap", "Strap", 500, "Gear/Bags/Straps"),
        "tea": Product("tea", "Tea", 900, "Tea"),
        "gift": Product("gift", "Gift", 100),
    },
    "EUR",
)

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
PIXEL = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
)
GALAXY_TAB = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
IPAD = "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Version/12.1 Mobile/15E148 Safari/604.1"
FIREFOX_TABLET = "Mozilla/5.0 (Android 14; Tablet; rv:144.0) Gecko/144.0 Firefox/144.0"
FIREFOX_PHONE = "Mozilla/5.0 (Android 14; Mobile; rv:144.0) Gecko/144.0 Firefox/144.0"
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


def told(attributes: dict[str, object], context: object = None, agent: str | None = None, *planned: str) -> Traits:
    read = None if context is None else convert(context, ContextInput)
    return traits_of(SHOP, planned, attributes, read, agent)


@pytest.mark.parametrize(
    ("agent", "device"),
    [(IPHONE, "mobile"), (PIXEL, "mobile"), (FIREFOX_PHONE, "mobile"), (GALAXY_TAB, "tablet"), (IPAD, "tablet"),
     (FIREFOX_TABLET, "tablet"), (WINDOWS, "desktop"), (MAC, "desktop"), (LINUX, "desktop"), ("curl/8.5.0", None),
     ("okhttp/4.12", None), ("", None), (None, None)],
)  # fmt: skip
def test_a_user_agent_tells_a_device_or_nothing(agent: str | None, device: str | None) -> None:
    assert device_of(agent) == device
    assert told({}, None, agent).device == device
    assert told({"user_agent": agent}).device == device


def test_the_shops_own_word_comes_before_the_user_agent() -> None:
    assert told({"device": "Desktop"}, None, IPHONE).device == "desktop"
    assert told({"deviceType": "smartphone"}, None, WINDOWS).device == "mobile"
    assert told({"device": "smart fridge"}, None, WINDOWS).device == "other"
    assert told({"device": ""}, None, WINDOWS).device == "desktop"
    assert told({"device": 7}, None, None).device is None


def test_the_category_is_the_top_of_the_path_of_what_is_looked_at_else_of_the_cart() -> None:
    cart = [{"product_id": "bag"}, {"product_id": "strap"}]
    assert told({}, {"product_id": "tea", "cart": cart}).category == "Tea"
    assert told({}, {"cart": cart}).category == "Gear"
    assert told({}, {"cart": [*cart, {"product_id": "tea"}]}).category == "several"
    assert told({}, {"product_id": "gift"}).category is None
    assert told({}, {"product_id": "unheard"}).category is None
    assert told({}, {"cart": []}).category is None


def test_the_cart_is_worth_what_the_catalogue_says() -> None:
    cart = [{"product_id": "bag", "quantity": 2, "price": "1.00"}, {"product_id": "tea"}]
    assert told({}, {"cart": cart}).cart == 4_900


def test_a_cart_that_is_empty_is_known_and_one_that_is_not_told_is_not() -> None:
    assert told({}, {"cart": []}).cart == 0
    assert told({}, {"product_id": "bag"}).cart is None
    assert told({}).cart is None


def test_a_cart_of_which_a_price_is_not_known_has_no_value() -> None:
    assert told({}, {"cart": [{"product_id": "bag"}, {"product_id": "unheard"}]}).cart is None


def test_only_attributes_that_the_plan_names_are_kept() -> None:
    given = {"country": "DE", "email": "a@b.c", "tier": 3, "vip": True, "company": {"size": "large"}, "list": [1]}
    kept = told(given, None, None, "device", "country", "tier", "vip", "company.size", "list", "absent").attributes
    assert json.loads(kept or "") == {"country": "DE", "tier": "3", "vip": "yes", "company.size": "large"}
    assert told(given).attributes is None
    assert told({"email": "a@b.c"}, None, None, "country").attributes is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["device", "deviceType", "user_agent", "a", "a.b"]), anything), st.text())
def test_whatever_is_told_what_is_kept_is_small_and_can_be_written(given: dict[str, object], agent: str) -> None:
    kept = told(given, None, agent, "a", "a.b", "device")
    assert kept.device is None or kept.device in DEVICES
    if kept.attributes is not None:
        read = json.loads(kept.attributes.encode("utf-8"))
        assert set(read) <= {"a", "a.b"}
        assert all(0 < len(text) <= LONGEST and text.isprintable() for text in read.values())


@given(st.lists(st.tuples(st.sampled_from(["bag", "tea", "unheard"]), st.integers(1, 10**6)), max_size=6))
def test_a_carts_value_is_the_sum_or_unknown(cart: list[tuple[str, int]]) -> None:
    found = told({}, {"cart": [{"product_id": p, "quantity": n} for p, n in cart]}).cart
    prices = {"bag": 2_000, "tea": 900}
    if any(p not in prices for p, _ in cart):
        assert found is None
    else:
        total = sum(prices[p] * n for p, n in cart)
        assert found == (total if total <= LARGEST_MINOR else None)


def test_nothing_told_is_nothing_known() -> None:
    assert told({}) == UNKNOWN == Traits(None, None, None, None)


def test_a_plan_names_groups_once_and_no_person() -> None:
    assert list(check_segments([*BUILT_IN[:3], "country"], "s")) == []
    assert [e.field for e in check_segments(["device", "country", "device"], "s")] == ["s[2]"]
    assert [e.field for e in check_segments(["Email", "customer_id", "device"], "s")] == ["s[0]", "s[1]"]
    assert device_named("TABLET ") == "tablet"
