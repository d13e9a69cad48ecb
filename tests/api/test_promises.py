"""Prices that hold, over a socket: shown once, true at checkout, and the same for the visitor all day."""

import time

from tests.api.test_contract import ask, start
from tests.serving import Tenant
from tests.shop import experiment

BUNDLE = {"type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}, "stacks_with_discounts": False}


def only_a_bundle(tenant: Tenant) -> dict:
    """Everybody meets the bundle."""
    variants = [{"key": key, "weight": 5000, "offer": BUNDLE} for key in ("control", "other")]
    start(tenant, experiment(variants=variants))
    return shown(tenant, "v1")


def shown(tenant: Tenant, visitor: str, **changes) -> dict:
    """The offer that a visitor meets, with the token that came with it."""
    answer = tenant.public.post("/v1/assignments", ask(visitor, **changes))
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()
    return found["offer"] | {"price_token": found["price_token"]}


def check(tenant: Tenant, offer: dict, visitor: str = "v1", **given) -> dict:
    body = {"price_token": offer["price_token"], "visitor_id": visitor} | given
    answer = tenant.secret.post(f"/v1/offers/{offer['offer_id']}/check", body)
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()
    return found


def change(tenant: Tenant, product_id: str, **changes) -> None:
    """Another price or stock in the catalogue, known to every worker."""
    found = tenant.admin.get("/api/v1/products").json()["products"]
    product = next(p for p in found if p["product_id"] == product_id) | changes
    answer = tenant.admin.post("/api/v1/products", {k: v for k, v in product.items() if v is not None})
    assert answer.status_code == 200, answer.text
    time.sleep(2)


def test_a_shown_price_is_confirmed_and_what_is_wrong_is_told(tenant: Tenant) -> None:
    offer = only_a_bundle(tenant)
    found = check(tenant, offer, price="17.55", cart=[{"product_id": "A2"}, {"product_id": "B1"}])
    assert found.pop("expires_at").endswith("Z")
    assert found == {
        "valid": True, "offer_id": offer["offer_id"], "products": ["A2", "B1"], "price": "17.55",
        "regular_price": "19.50", "currency": "EUR",
    }  # fmt: skip
    for given, reason in (
        ({"price": "17.54"}, "price_differs"),
        ({"cart": [{"product_id": "A2"}]}, "not_in_cart"),
        ({"discounts": ["WELCOME10"]}, "does_not_stack"),
        ({"visitor": "v2"}, "bad_token"),
    ):
        refused = check(tenant, offer, **given)
        assert (refused["valid"], refused["reason"]) == (False, reason)
    assert check(tenant, offer | {"price_token": offer["price_token"][:-2]})["reason"] == "bad_token"
    assert check(tenant, offer | {"offer_id": "of_0"})["reason"] == "other_offer"
    missing = tenant.secret.post(f"/v1/offers/{offer['offer_id']}/check", {"visitor_id": "v1"})
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "price_token")


def test_the_price_holds_for_its_visitor_when_the_catalogue_changes(tenant: Tenant) -> None:
    offer = only_a_bundle(tenant)
    change(tenant, "B1", price="9.50")
    anew = shown(tenant, "v1")
    assert anew["price"] == "21.15"
    held = shown(tenant, "v1", price_tokens=[offer["price_token"]])
    assert (held["price"], held["offer_id"]) == (offer["price"], offer["offer_id"])
    others = shown(tenant, "v2", price_tokens=[offer["price_token"]])
    assert others["price"] == "21.15"
    assert check(tenant, held)["valid"]
    change(tenant, "A2", stock=0)
    assert check(tenant, held)["reason"] == "out_of_stock"


def test_a_browser_may_ask_from_the_storefronts_pages(tenant: Tenant) -> None:
    answer = tenant.public.call("OPTIONS", "/v1/offers/of_1/check", headers={"Origin": "https://shop.example"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "https://shop.example")
