"""Saved offers: taken by key, kept as they were by what runs; and offers that do not fit their touchpoint."""

from typing import Any

import pytest
from sqlalchemy import Engine

from experiments.definition import to_json
from experiments.errors import Conflict, FieldError, Invalid, NotFound
from experiments.service import defining, library, settings
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit
from experiments.storage.savedoffers import get_saved_offer, saved_offers
from tests.shop import NOW, Shop, experiment, open_shop

BUNDLE = {"type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}}
SMALLER = BUNDLE | {"discount": {"percent": "5"}}


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop with one saved offer."""
    opened = open_shop(engine)
    with writing(engine) as conn:
        library.save_offer(conn, opened.storefront.id, {"key": "set", "offer": BUNDLE}, "ann", NOW)
    return opened


def two(key: str, offer: Any, **changes: Any) -> dict[str, Any]:
    variants = [
        {"key": "control", "weight": 5000, "offer": {"type": "none"}},
        {"key": "shown", "weight": 5000, "offer": offer},
    ]
    return experiment(key, variants=variants, **changes)


def errors(shop: Shop, value: dict[str, Any]) -> list[FieldError]:
    with pytest.raises(Invalid) as refused, writing(shop.engine) as conn:
        defining.create(conn, shop.storefront, value, "ann", NOW)
    return list(refused.value.errors)


def test_a_variant_takes_a_saved_offer_and_a_running_experiment_keeps_it(shop: Shop) -> None:
    shop.define(two("running", {"saved": "set"}))
    shop.define(two("draft", {"saved": "set"}), start=False)
    here = shop.storefront.id
    with writing(shop.engine) as conn:
        changed = library.change_offer(conn, here, "set", {"key": "set", "offer": SMALLER, "version": 1}, "bob", NOW)
        assert (changed.version, changed.name) == (2, "set")
        used = library.uses(conn, here, {"set": changed})["set"]
        assert [(u.experiment, u.variant, u.state, u.current) for u in used] == [
            ("draft", "shown", "draft", False),
            ("running", "shown", "running", False),
        ]
        draft = get_experiment(conn, here, "draft")
        again = defining.edit(conn, shop.storefront, "draft", to_json(draft.definition), "bob", NOW)
        assert again.definition.variants[1].offer == changed.offer
        assert again.definition.saved_offers == {"shown": "set"}
        assert get_experiment(conn, here, "running").definition.variants[1].offer != changed.offer
        assert [(e.action, e.actor) for e in read_audit(conn, here, "offer:set")] == [
            ("edit", "bob"),
            ("create", "ann"),
        ]


def test_taking_an_offer_makes_the_same_fingerprint_as_writing_it_out(shop: Shop) -> None:
    shop.define(two("same", {"saved": "set"}), start=False)
    shop.define(two("copy", BUNDLE), start=False)
    with reading(shop.engine) as conn:
        taken, written = (get_experiment(conn, shop.storefront.id, key).definition for key in ("same", "copy"))
    assert taken.variants == written.variants


def test_a_key_that_is_not_there_and_an_offer_that_breaks_a_rule_are_named(shop: Shop) -> None:
    assert [e.field for e in errors(shop, two("x", {"saved": "gone"}))] == ["variants[1].offer.saved"]
    here = shop.storefront.id
    for value, field in (
        ({"key": "set 2", "offer": BUNDLE}, "key"),
        ({"key": "b", "offer": {"type": "bundle", "items": ["A1"]}}, "offer.discount"),
        ({"key": "b", "offer": {"type": "none"}}, "offer"),
    ):
        with pytest.raises(Invalid) as refused, writing(shop.engine) as conn:
            library.save_offer(conn, here, value, "ann", NOW)
        assert refused.value.errors[0].field.startswith(field)
    with pytest.raises(Conflict), writing(shop.engine) as conn:
        library.save_offer(conn, here, {"key": "set", "offer": BUNDLE}, "ann", NOW)
    with pytest.raises(Conflict), writing(shop.engine) as conn:
        library.change_offer(conn, here, "set", {"key": "set", "offer": BUNDLE, "version": 7}, "ann", NOW)


def test_no_storefront_sees_anothers_library(shop: Shop) -> None:
    other = open_shop(shop.engine, "other")
    with reading(shop.engine) as conn:
        assert saved_offers(conn, other.storefront.id) == []
        with pytest.raises(NotFound):
            get_saved_offer(conn, other.storefront.id, "set")
    with pytest.raises(Invalid), writing(shop.engine) as conn:
        defining.create(conn, other.storefront, two("x", {"saved": "set"}), "ann", NOW)


UPSELL = {"type": "upsell"}
SIMILAR = {"type": "cross_sell", "pick": "similar"}
ADDED = {"type": "cross_sell", "pick": "bestsellers"}


@pytest.mark.parametrize(
    ("placement", "offer", "fields"),
    [
        ("post_purchase", UPSELL, ["type"]),
        ("post_purchase", BUNDLE | {"pick": "bought_together", "items": []}, ["pick"]),
        ("post_purchase", ADDED | {"free_shipping_over": "20"}, ["free_shipping_over"]),
        ("post_purchase", ADDED | {"if_accepted": BUNDLE}, []),
        ("post_purchase", ADDED | {"if_declined": UPSELL}, ["if_declined.type"]),
        ("cart", SIMILAR, ["pick"]),
        ("cart", ADDED | {"if_accepted": BUNDLE}, ["if_accepted"]),
        ("product_page", SIMILAR, []),
        ("checkout", UPSELL | {"if_declined": ADDED}, []),
        ("somewhere-new", SIMILAR | {"if_accepted": UPSELL}, []),
    ],
)
def test_the_touchpoint_says_which_offers_fit(
    engine: Engine, placement: str, offer: dict[str, Any], fields: list[str]
) -> None:
    shop = open_shop(engine)
    value = two("fit", offer, placement=placement)
    if not fields:
        shop.define(value, start=False)
        return
    found = errors(shop, value)
    assert [e.field for e in found] == [f"variants[1].offer.{name}" for name in fields]
    assert all(len(e.message) > 20 for e in found)


def test_a_placement_does_not_move_under_offers_that_would_not_fit(shop: Shop) -> None:
    shop.define(two("up", UPSELL, placement="slot"))
    here = shop.storefront.id
    with pytest.raises(Conflict) as refused, writing(shop.engine) as conn:
        settings.edit_placement(conn, here, "slot", {"touchpoint": "post_purchase"}, "ann", NOW)
    assert refused.value.code == "offers_do_not_fit"
    with writing(shop.engine) as conn:
        settings.edit_placement(conn, here, "slot", {"touchpoint": "cart"}, "ann", NOW)
