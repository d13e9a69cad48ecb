"""The offer library, products page by page, and previews, over a socket."""

from tests.protocols.starting import start
from tests.serving import Tenant
from tests.shop import experiment

BUNDLE = {"type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}}


def test_an_offer_is_saved_taken_changed_and_told_who_uses_it(tenant: Tenant) -> None:
    made = tenant.admin.post("/api/v1/offers", {"key": "set", "name": "The set", "offer": BUNDLE})
    assert (made.status_code, made.json()["version"], made.json()["used_by"]) == (201, 1, [])
    variants = [*experiment()["variants"][:1], {"key": "shown", "weight": 7500, "offer": {"saved": "set"}}]
    draft = tenant.admin.post("/api/v1/experiments", experiment("uses", variants=variants)).json()
    assert draft["variants"][1]["offer"] == BUNDLE | {"pick": "explicit"} or draft["variants"][1]["offer"] == BUNDLE
    assert draft["saved_offers"] == {"shown": "set"}
    changed = tenant.admin.call("PUT", "/api/v1/offers/set", {"offer": BUNDLE | {"headline": "Both"}, "version": 1})
    assert changed.json()["version"] == 2
    assert changed.json()["used_by"] == [
        {"experiment": "uses", "variant": "shown", "state": "draft", "current": False}
    ]  # fmt: skip
    (listed,) = tenant.admin.get("/api/v1/offers").json()["offers"]
    assert listed == tenant.admin.get("/api/v1/offers/set").json() == changed.json()
    trail = tenant.admin.get("/api/v1/offers/set/audit").json()["audit"]
    assert [entry["action"] for entry in trail] == ["edit", "create"]


def test_an_offer_leaves_the_library_once_no_draft_takes_it(tenant: Tenant) -> None:
    tenant.admin.post("/api/v1/offers", {"key": "set", "offer": BUNDLE})
    variants = [*experiment()["variants"][:1], {"key": "shown", "weight": 7500, "offer": {"saved": "set"}}]
    tenant.admin.post("/api/v1/experiments", experiment("uses", variants=variants))
    refused = tenant.admin.call("DELETE", "/api/v1/offers/set")
    assert (refused.status_code, refused.json()["code"]) == (409, "offer_in_use")
    assert tenant.admin.post("/api/v1/experiments/uses/start").status_code == 200
    gone = tenant.admin.call("DELETE", "/api/v1/offers/set")
    assert (gone.status_code, gone.json()["key"]) == (200, "set")
    assert gone.json()["used_by"][0]["state"] == "running"
    assert tenant.admin.call("DELETE", "/api/v1/offers/set").status_code == 404
    held = tenant.admin.get("/api/v1/experiments/uses").json()
    assert held["variants"][1]["offer"]["items"] == BUNDLE["items"]
    again = tenant.admin.post("/api/v1/experiments/uses/duplicate", {"key": "again"})
    assert (again.status_code, again.json()["saved_offers"]) == (201, {})


def test_refusals_of_the_library_are_the_one_error_shape(tenant: Tenant) -> None:
    tenant.admin.post("/api/v1/offers", {"key": "set", "offer": BUNDLE})
    for method, path, body, status in (
        ("POST", "/api/v1/offers", {"key": "set", "offer": BUNDLE}, 409),
        ("POST", "/api/v1/offers", {"key": "b", "offer": {"type": "bundle", "items": ["A1"]}}, 422),
        ("POST", "/api/v1/offers", [], 422),
        ("PUT", "/api/v1/offers/set", {"offer": BUNDLE, "version": 9}, 409),
        ("PUT", "/api/v1/offers/set", [], 422),
        ("GET", "/api/v1/offers/gone", None, 404),
        ("GET", "/api/v1/offers/gone/audit", None, 404),
        ("POST", "/api/v1/previews", {}, 422),
        ("POST", "/api/v1/previews", {"experiment": "gone"}, 404),
        ("GET", "/api/v1/products?limit=0", None, 422),
        ("GET", "/api/v1/products?limit=x", None, 422),
        ("GET", "/api/v1/products/gone", None, 404),
        ("GET", "/api/v1/products/gone/versions", None, 404),
    ):
        answer = tenant.admin.call(method, path, body)
        assert answer.status_code == status, (method, path, answer.text)
        assert {"type", "title", "status", "detail", "code", "message"} <= answer.json().keys()
    assert tenant.public.get("/api/v1/offers").status_code == 403


def test_products_page_by_page_and_their_versions(tenant: Tenant) -> None:
    first = tenant.admin.get("/api/v1/products?limit=4").json()
    rest = tenant.admin.get(f"/api/v1/products?after={first['next']}").json()
    ids = [p["product_id"] for p in first["products"] + rest["products"]]
    assert ids == sorted(ids) == ["A1", "A2", "A3", "B1", "B2", "C1"]
    assert (first["total"], first["next"], rest["next"]) == (6, "B1", None)
    mug = tenant.admin.get("/api/v1/products/A1").json()
    dearer = {"product_id": "A1", "title": "Mug", "price": "11.00", "category": "Mugs", "cost": "4.00"}
    assert tenant.admin.post("/api/v1/products", dearer).json()["accepted"] == 1
    versions = tenant.admin.get("/api/v1/products/A1/versions").json()
    assert [v["price"] for v in versions["versions"]] == ["11.00", mug["price"]] == ["11.00", "10.00"]
    assert versions["total"] == 2
    one = tenant.admin.get("/api/v1/products/A1/versions?limit=1&offset=1").json()
    assert ([v["price"] for v in one["versions"]], one["next"]) == (["10.00"], None)


def test_a_preview_of_what_nobody_has_saved(tenant: Tenant) -> None:
    body = {"definition": experiment(), "context": {"product_id": "A1", "discounts": ["WELCOME"]}}
    found = tenant.admin.post("/api/v1/previews", body)
    assert found.status_code == 200, found.text
    assert [v["variant"] for v in found.json()["variants"]] == ["control", "upsell", "cross-sell", "bundle"]
    assert found.json()["past"]["carts"] == 0
    assert tenant.admin.get("/api/v1/experiments").json()["experiments"] == []


def test_tiers_and_steps_come_with_a_proof_of_each_price(tenant: Tenant) -> None:
    offer = {
        "type": "bundle", "items": ["A1", "B1"], "discount": {"percent": "5"}, "tier_name": "Good",
        "tiers": [{"name": "Better", "items": ["A2", "B1"]}], "instalments": {"count": 3, "text": "{count} x {amount}"},
        "if_declined": {"type": "cross_sell", "pick": "explicit", "products": {"*": ["C1"]}},
    }  # fmt: skip
    variants = [
        {"key": "control", "weight": 5000, "offer": offer},
        {"key": "same", "weight": 5000, "offer": offer},
    ]
    start(tenant, experiment("steps", variants=variants))
    answer = tenant.public.post("/v1/assignments", {"visitor_id": "v1", "placement": "cart"}).json()
    shown = answer["offer"]
    assert [tier["name"] for tier in shown["tiers"]] == ["Good", "Better"]
    assert [tier["price"] for tier in shown["tiers"]] == ["14.72", "18.52"]
    assert shown["instalments"] == {"count": 3, "amount": "4.91", "last": "4.90", "text": "3 x 4.91"}
    assert shown["if_declined"]["price"] == "3.00"
    ids = {shown["offer_id"], *(t["offer_id"] for t in shown["tiers"]), shown["if_declined"]["offer_id"]}
    assert answer["price_tokens"].keys() == ids
    assert answer["price_tokens"][shown["offer_id"]] == answer["price_token"]
    for offer_id, token in answer["price_tokens"].items():
        check = tenant.public.post(f"/v1/offers/{offer_id}/check", {"price_token": token, "visitor_id": "v1"}).json()
        assert (check["valid"], check["offer_id"]) == (True, offer_id)
