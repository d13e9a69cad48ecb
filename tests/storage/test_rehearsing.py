"""A rehearsal shows what a visitor would be shown, and counts what past carts would have met."""

from typing import Any

import pytest
from sqlalchemy import Engine

from experiments.context import ContextInput
from experiments.definition import parse
from experiments.moment import DAY, Micros, iso
from experiments.resolution import Context
from experiments.service.rehearsing import MOST_CARTS, parse_draft, rehearsal_json, rehearsed
from experiments.service.serving import AssignmentRequest, decide
from experiments.storage.carts import past_carts
from experiments.storage.database import reading
from tests.shop import NOW, Shop, experiment, open_shop, order


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop with a few orders, one of them old, one cancelled, one with a coupon."""
    opened = open_shop(engine)
    for name, products, ago, changes in (
        ("o1", ["A1"], 1, {}),
        ("o2", ["A1", "B1", "A1"], 2, {}),
        ("o3", ["C1"], 3, {"discount": "1.00"}),
        ("o4", ["A1"], 20, {}),
        ("o5", ["A1"], 1, {}),
    ):
        lines = [{"product_id": p, "quantity": 1, "price": 5} for p in products]
        at = iso(Micros(NOW - ago * DAY))
        opened.convert(order(name, "v", 10, items=lines, occurred_at=at, **changes))
    opened.convert({"type": "order_cancelled", "order_id": "o5"})
    return opened


def rehearsal(shop: Shop, value: dict[str, Any], context: Context) -> dict[str, Any]:
    with reading(shop.engine) as conn:
        definition = parse_draft(conn, shop.storefront, value)
        return rehearsal_json(rehearsed(conn, shop.view, definition, context, NOW), "EUR")


def test_past_carts_are_the_orders_that_stand(shop: Shop) -> None:
    with reading(shop.engine) as conn:
        found = past_carts(conn, shop.storefront.id, Micros(NOW - 14 * DAY), NOW, MOST_CARTS)
        newest = past_carts(conn, shop.storefront.id, Micros(NOW - 14 * DAY), NOW, 1)
    assert [(sorted(cart.product_ids), cart.discounted) for cart in found] == [
        (["A1"], False), (["A1", "B1"], False), (["C1"], True),
    ]  # fmt: skip
    assert newest == found[:1]


def test_it_says_price_saving_margin_and_refusals(shop: Shop) -> None:
    found = rehearsal(shop, experiment(), Context("A1"))
    shown = {v["variant"]: v for v in found["variants"]}
    assert found["could_enter"] is True
    assert shown["control"] == {"variant": "control", "offer": {"type": "none"}, "refusal": None, "margin": None}
    assert shown["bundle"]["offer"]["price"] == "17.55"
    assert shown["bundle"]["offer"]["saving"] == "1.95"
    assert shown["bundle"]["margin"]["amount"] == "10.55"
    assert shown["bundle"]["margin"]["share"] == pytest.approx(10.55 / 17.55)
    assert shown["cross-sell"]["margin"] is None, "nobody knows what the spoon costs"
    assert found["past"] | {"variants": []} == {"days": 14, "carts": 3, "eligible": 1, "variants": []}
    met = {m["variant"]: m for m in found["past"]["variants"]}
    assert met["control"] == {"variant": "control", "shown": 3, "refusals": {}}
    assert met["upsell"] == {"variant": "upsell", "shown": 2, "refusals": {"no_candidate": 1}}
    assert met["bundle"] == {"variant": "bundle", "shown": 2, "refusals": {"already_in_cart": 1}}


def test_the_touchpoint_says_where_the_buyers_stood(shop: Shop) -> None:
    found = rehearsal(shop, experiment(placement="product_page"), Context())
    assert found["past"]["carts"] == 4, "each product of each cart had its page"
    assert found["could_enter"] is False
    (refused,) = [v for v in found["variants"] if v["refusal"]]
    assert (refused["variant"], refused["refusal"]) == ("upsell", "no_candidate")


def test_a_rehearsal_is_what_a_visitor_is_shown(shop: Shop) -> None:
    shop.define(experiment())
    with reading(shop.engine) as conn:
        scenes = rehearsed(conn, shop.view, parse(experiment()), Context("A1"), NOW).scenes
    expected = {s.variant.key: s.served.price for s in scenes if s.served}
    met = set()
    for n in range(60):
        asked = AssignmentRequest(f"v{n}", "cart", context=ContextInput("A1"))
        made = decide(shop.view, asked, NOW, lambda rule, unit: None)
        assert made.variant is not None
        assert made.offer is not None
        assert made.offer.price == expected[made.variant.key]
        met.add(made.variant.key)
    assert met == expected.keys()
