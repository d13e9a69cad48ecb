"""The public face, over a socket: what storefronts and scripts rely on."""

import time
from collections.abc import Callable

import pytest
import requests

from tests.serving import Server, Tenant
from tests.shop import a_a, experiment, exposed, order

PROBLEM = {"type", "title", "status", "detail", "code", "message"}


def start(tenant: Tenant, value: dict) -> None:
    assert tenant.admin.post("/api/v1/experiments", value).status_code == 201
    answer = tenant.admin.post(f"/api/v1/experiments/{value['key']}/start")
    assert answer.status_code == 200, answer.text
    for _ in range(2 * 30):  # every worker has it within two seconds
        met = [tenant.public.post("/v1/assignments", ask("probe", record=False)).json()["reason"] for _ in range(6)]
        if "no_experiment" not in met:
            return
        time.sleep(0.1)
    raise AssertionError("the experiment did not reach every worker")


def ask(visitor: str, **changes) -> dict:
    context = {"product_id": "A1", "cart": []}
    return {"visitor_id": visitor, "placement": "cart", "context": context} | changes


def test_an_assignment_has_exactly_the_promised_fields(tenant: Tenant) -> None:
    start(tenant, experiment())
    seen = {}
    for i in range(60):
        answer = tenant.public.post("/v1/assignments", ask(f"v{i}")).json()
        promised = {"price_token"} if answer["offer"]["type"] != "none" else set()
        assert answer.keys() == promised | {
            "placement", "visitor_id", "experiment", "variant", "in_experiment", "reason", "offer",
        }  # fmt: skip
        seen[answer["variant"]] = answer
    assert seen.keys() == {"control", "upsell", "cross-sell", "bundle"}
    assert seen["control"]["offer"] == {"type": "none"}
    bundle = seen["bundle"]["offer"]
    assert bundle.pop("offer_id").startswith("of_")
    assert bundle == {
        "type": "bundle",
        "products": [
            {"product_id": "A2", "title": "Big mug", "price": "14.00", "quantity": 1, "url": "", "image": ""},
            {"product_id": "B1", "title": "Tea", "price": "5.50", "quantity": 1, "url": "", "image": ""},
        ],
        "base_product_id": "A2", "price": "17.55", "regular_price": "19.50", "saving": "1.95", "currency": "EUR",
    }  # fmt: skip
    assert seen["upsell"]["offer"]["base_product_id"] == "A1"
    assert seen["upsell"]["offer"]["price"] == "14.00"


def test_recording_is_durable_before_the_answer_and_can_be_left_out(tenant: Tenant) -> None:
    start(tenant, a_a())
    tenant.public.post("/v1/assignments", ask("quiet", record=False))
    variant = tenant.public.post("/v1/assignments", ask("loud")).json()["variant"]
    again = tenant.public.post("/v1/exposures", exposed("loud", variant, experiment="same", kind="assigned")).json()
    fresh = tenant.public.post("/v1/exposures", exposed("quiet", variant, experiment="same", kind="assigned")).json()
    assert (again, fresh) == (
        {"accepted": 0, "duplicate": 1, "rejected": []}, {"accepted": 1, "duplicate": 0, "rejected": []},
    )  # fmt: skip


def test_nobody_enters_where_a_variant_could_not_be_shown(tenant: Tenant) -> None:
    start(tenant, experiment())
    answer = tenant.public.post("/v1/assignments", ask("v1", context={"product_id": "C1"})).json()
    assert (answer["reason"], answer["experiment"], answer["offer"]) == ("not_eligible", None, {"type": "none"})
    assert [(r["variant"], r["refusal"]) for r in answer["refusals"]] == [("upsell", "no_candidate")]


def test_the_lifecycle_changes_what_visitors_meet(tenant: Tenant) -> None:
    start(tenant, a_a())
    variant = tenant.public.post("/v1/assignments", ask("old")).json()["variant"]

    def act(action: str, body: dict | None = None) -> str:
        answer = tenant.admin.post(f"/api/v1/experiments/same/{action}", body)
        assert answer.status_code == 200, answer.text
        time.sleep(0.15)
        return answer.json()["state"]

    assert act("close") == "closed"
    assert tenant.public.post("/v1/assignments", ask("old")).json()["variant"] == variant
    assert tenant.public.post("/v1/assignments", ask("new")).json()["reason"] == "not_running"
    assert act("reopen") == "running"
    assert act("stop") == "stopped"
    assert tenant.public.post("/v1/assignments", ask("old")).json()["variant"] is None
    conflict = tenant.admin.post("/api/v1/experiments/same/start")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "wrong_state")
    assert act("decide", {"decision": "ship", "variant": "t1", "reason": "clear"}) == "decided"
    answer = tenant.public.post("/v1/assignments", ask("anyone")).json()
    assert (answer["reason"], answer["variant"], answer["in_experiment"]) == ("winner", "t1", False)
    actions = [entry["action"] for entry in tenant.admin.get("/api/v1/experiments/same/audit").json()["audit"]]
    assert actions == ["decide", "stop", "reopen", "close", "start", "create"]


def test_no_key_of_one_storefront_sees_anything_of_another(new_tenant: Callable[[], Tenant]) -> None:
    ours, theirs = new_tenant(), new_tenant()
    start(theirs, experiment())
    theirs.public.post("/v1/conversions", order("o1", "v1", "20.00"))
    assert ours.admin.get("/api/v1/experiments").json() == {"experiments": []}
    for method, path in (
        ("GET", ""), ("PUT", ""), ("POST", "/start"), ("POST", "/stop"), ("POST", "/close"), ("POST", "/decide"),
        ("POST", "/archive"), ("GET", "/report"), ("GET", "/audit"),
    ):  # fmt: skip
        body = experiment() if method == "PUT" else {}
        assert ours.admin.call(method, f"/api/v1/experiments/offers{path}", body).status_code == 404, path
    assert ours.public.post("/v1/assignments", ask("v1")).json()["reason"] == "no_experiment"
    assert ours.public.post("/v1/exposures", exposed("v1", "upsell")).json()["errors"][0]["field"] == "experiment"
    assert ours.public.post("/v1/conversions", order("o1", "v1", "20.00")).json()["accepted"] == 1


EVERY_ROUTE = [
    ("POST", "/v1/assignments"), ("POST", "/v1/exposures"), ("POST", "/v1/conversions"), ("POST", "/v1/identities"),
    ("GET", "/api/v1/experiments"), ("POST", "/api/v1/experiments"), ("GET", "/api/v1/experiments/x"),
    ("POST", "/api/v1/experiments/x/start"), ("GET", "/api/v1/products"), ("GET", "/api/v1/placements"),
    ("GET", "/api/v1/metrics"), ("GET", "/api/v1/experiments/x/report"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
def test_every_route_wants_a_key_and_errs_in_one_shape(server: Server, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer pk_wrong"}, {"X-API-Key": "x"}, {"Authorization": "Basic %%%"}):
        answer = requests.request(method, server.url + path, headers=headers, json={}, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json().keys() >= PROBLEM


def test_keys_are_read_wherever_clients_put_them(tenant: Tenant, server: Server) -> None:
    key = tenant.public.key
    for headers, auth in (({"X-API-Key": key}, None), ({"Authorization": f"bearer {key}"}, None), ({}, (key, ""))):
        answer = requests.post(f"{server.url}/v1/assignments", headers=headers, auth=auth, json=ask("v1"), timeout=10)
        assert answer.status_code == 200


def test_public_and_secret_keys_do_not_manage(tenant: Tenant) -> None:
    for client in (tenant.public, tenant.secret):
        assert client.get("/api/v1/experiments").status_code == 403


def test_secret_keys_do_not_work_in_browsers(tenant: Tenant) -> None:
    origin = {"Origin": "https://shop.example"}
    assert tenant.secret.post("/v1/assignments", ask("v1"), headers=origin).status_code == 403
    answer = tenant.public.post("/v1/assignments", ask("v1"), headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]


BAD_BODIES = [
    (b"", 400, ""), (b"{", 400, ""), (b"\xff\xfe", 400, ""), (b"[" * 100_000, 422, ""),
    (b"null", 422, ""), (b"[]", 422, ""),
    (b'{"visitor_id": 7, "placement": "cart"}', 422, "visitor_id"),
    (b'{"visitor_id": "v", "placement": "cart", "extra": 1}', 422, "extra"),
    (b'{"visitor_id": "v"}', 422, "placement"),
    (b'{"visitor_id": "a b", "placement": "cart"}', 422, "visitor_id"),
    (b'{"visitor_id": "' + b"v" * 129 + b'", "placement": "cart"}', 422, "visitor_id"),
    (b'{"visitor_id": "v", "placement": "cart", "context": {"cart": [{"product_id": "A1", "quantity": 0}]}}', 422,
     "context.cart[0].quantity"),
    (b'{"visitor_id": "v", "placement": "cart", "attributes": {"x": NaN}}', 400, ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "field"), BAD_BODIES)
def test_bad_input_is_refused_by_name_never_with_500(tenant: Tenant, body: bytes, status: int, field: str) -> None:
    headers = {"Authorization": f"Bearer {tenant.public.key}", "Content-Type": "application/json"}
    answer = requests.post(f"{tenant.public.url}/v1/assignments", data=body, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() >= PROBLEM
    if field:
        assert field in [error["field"] for error in answer.json()["errors"]]


BAD_ORDERS = [
    ({"revenue": "1e400"}, "revenue"), ({"revenue": -1}, "revenue"), ({"revenue": 1e30}, "revenue"),
    ({"revenue": True}, "revenue"), ({"currency": "BTC"}, "currency"), ({"currency": "eur"}, "currency"),
    ({"occurred_at": "2026-11-20T10:00:00"}, "occurred_at"), ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
    ({"occurred_at": "1970-01-01T00:00:00Z"}, "occurred_at"), ({"order_id": ""}, "order_id"), ({"revenu": 1}, "revenu"),
    ({"items": [{"product_id": "A1", "quantity": 1.5, "price": 1}]}, "items[0].quantity"),
    ({"items": [{"product_id": "A1", "quantity": 1, "price": -1}]}, "items[0].price"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field"), BAD_ORDERS)
def test_an_absurd_order_is_refused_by_field(tenant: Tenant, change: dict, field: str) -> None:
    answer = tenant.public.post("/v1/conversions", order("o1", "v1", "20.00") | change)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


BAD_DEFINITIONS = [
    ({"coverage": 10_001}, "coverage"), ({"placement": "a/b"}, "placement"), ({"key": "a b"}, "key"),
    ({"variants": []}, "variants"), ({"metrics": {"primary": "luck"}}, "metrics.primary"),
    ({"targeting": {"country": {"$near": 1}}}, "targeting.country.$near"), ({"colour": "red"}, "colour"),
    ({"schedule": {"start_at": "2027-01-02T00:00:00Z", "end_at": "2027-01-01T00:00:00Z"}}, "schedule.end_at"),
    ({"analysis": {"confidence": 2}}, "analysis.confidence"),
    ({"analysis": {"target_mde": "much"}}, "analysis.target_mde"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field"), BAD_DEFINITIONS)
def test_a_broken_definition_is_refused_by_field(tenant: Tenant, change: dict, field: str) -> None:
    answer = tenant.admin.post("/api/v1/experiments", experiment() | change)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]], answer.text


def test_every_broken_rule_is_told_at_once(tenant: Tenant) -> None:
    variants = experiment()["variants"]
    variants[1]["offer"] = {"type": "upsell", "pick": "explicit", "pairs": {"A2": "A1"}}
    variants[3]["offer"] = {"type": "bundle", "items": ["A1"]}
    variants[2]["weight"] = 1
    answer = tenant.admin.post("/api/v1/experiments", experiment(variants=variants))
    assert {e["field"] for e in answer.json()["errors"]} == {
        "variants",
        "variants[3].offer.discount",
        "variants[3].offer.items",
    }
    variants[2]["weight"] = 2500
    variants[3]["offer"] = {"type": "none"}
    answer = tenant.admin.post("/api/v1/experiments", experiment(variants=variants))
    assert answer.json()["errors"][0]["field"] == "variants[1].offer.pairs"


def test_an_experiment_with_products_that_nobody_sells_does_not_start(tenant: Tenant) -> None:
    variants = experiment()["variants"]
    variants[3]["offer"]["items"] = ["A1", "ZZ"]
    assert tenant.admin.post("/api/v1/experiments", experiment(variants=variants)).status_code == 201
    answer = tenant.admin.post("/api/v1/experiments/offers/start")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "variants[3].offer.items")


def test_a_definition_comes_back_as_it_was_given(tenant: Tenant) -> None:
    given = experiment(targeting={"country": {"$in": ["DE", "FR"]}}, hypothesis="more tea")
    made = tenant.admin.post("/api/v1/experiments", given).json()
    for name, value in given.items():
        if name not in {"variants", "metrics"}:
            assert made[name] == value
    again = {k: v for k, v in made.items() if k in {"key", "placement", "variants", "metrics", "targeting", "analysis"}}
    assert tenant.admin.call("PUT", "/api/v1/experiments/offers", again).json()["version"] == 2


def test_too_large_a_body_is_413_and_another_media_type_415(tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.public.key}"}
    url = f"{tenant.public.url}/v1/conversions"
    assert requests.post(url, data=b"[" + b" " * 2_000_000 + b"]", headers=headers, timeout=10).status_code == 413
    form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(url, data=b"a=1", headers=form, timeout=10).status_code == 415


def test_the_report_speaks_the_contract(tenant: Tenant) -> None:
    start(tenant, a_a())
    for i in range(80):
        tenant.public.post("/v1/assignments", ask(f"v{i}"))
    tenant.public.post("/v1/conversions", [order(f"o{i}", f"v{i}", "10.00") for i in range(30)])
    found = tenant.admin.get("/api/v1/experiments/same/report").json()
    assert found.keys() >= {"experiment", "as_of", "confidence", "variants", "checks", "metrics", "verdict"}
    assert sum(v["units"] for v in found["variants"]) == 80
    conversion = next(m for m in found["metrics"] if m["metric"] == "conversion")
    assert sum(v["numerator"] for v in conversion["variants"]) == 30
    assert conversion["comparisons"][0].keys() >= {
        "variant", "control", "difference", "lift", "p_value", "p_value_adjusted", "chance_to_win", "expected_loss",
        "sequential", "cuped", "estimable", "reason",
    }  # fmt: skip
