"""OFREP on the wire: each shape that one of the real providers breaks without (Python, Node, web)."""

import json
from typing import Any

import pytest
import requests
from sqlalchemy import select
from werkzeug.test import Client

from experiments.errors import Unavailable
from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import metadata
from tests.protocols.starting import act, settle, start
from tests.serving import Tenant
from tests.shop import NOW, a_a, experiment, open_shop
from webapp import create_app
from webapp.api.intake import Call
from webapp.clock import now
from webapp.config import Settings
from webapp.errors import problem_of
from webapp.front import Front
from webapp.lab import new_token
from webapp.protocols.ofrep import evaluate_one

ONE, ALL = "/ofrep/v1/evaluate/flags/cart", "/ofrep/v1/evaluate/flags"
IN_SPECIFICATION = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"}
ORIGIN = {"Origin": "https://shop.example"}


def context(visitor: str, **more: Any) -> dict[str, Any]:
    return {"context": {"targetingKey": visitor, "product_id": "A1", "cart": [], **more}}


def flag(tenant: Tenant, visitor: str, **more: Any) -> dict[str, Any]:
    answer = tenant.public.post(ONE, context(visitor, **more))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"  # JavaScript's providers read nothing else
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def check_flag(found: dict[str, Any]) -> None:
    """Complete for every provider: Python fails without variant, Node without value, both on unknown reasons."""
    assert found.keys() == {"key", "value", "variant", "reason", "metadata"}
    assert found["value"]["type"] in {"none", "upsell", "cross_sell", "bundle"}
    assert isinstance(found["variant"], str)
    assert found["variant"]
    assert found["reason"] in IN_SPECIFICATION
    assert all(isinstance(value, bool | str | int | float) for value in found["metadata"].values())
    assert isinstance(found["metadata"]["inExperiment"], bool)


def test_an_assigned_visitor_is_a_split_with_its_experiment(tenant: Tenant) -> None:
    start(tenant, experiment())
    seen = {}
    for i in range(40):
        found = flag(tenant, f"v{i}")
        check_flag(found)
        assert found["reason"] == "SPLIT"
        assert found["metadata"]["experiment"] == found["metadata"]["experimentId"] == "offers"
        assert found["metadata"]["inExperiment"]
        seen[found["variant"]] = found["value"]
    assert seen.keys() == {"control", "upsell", "cross-sell", "bundle"}
    assert seen["control"] == {"type": "none"}
    assert seen["bundle"]["price"] == "17.55"


def test_money_is_text_so_that_no_client_takes_a_whole_amount_for_an_integer(tenant: Tenant) -> None:
    start(tenant, experiment())

    def numbers(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [n for key, inner in value.items() if key != "quantity" for n in numbers(inner)]
        if isinstance(value, list):
            return [n for inner in value for n in numbers(inner)]
        return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []

    assert not [n for i in range(20) for n in numbers(flag(tenant, f"v{i}")["value"])]


def test_where_nothing_applies_there_are_still_value_and_variant(tenant: Tenant) -> None:
    nothing = flag(tenant, "v1")
    check_flag(nothing)
    assert (nothing["value"], nothing["variant"], nothing["reason"]) == ({"type": "none"}, "none", "DISABLED")
    assert nothing["metadata"] == {"inExperiment": False, "offerlabReason": "no_experiment"}


def test_reasons_are_those_of_the_specification_and_ours_is_in_the_metadata(tenant: Tenant) -> None:
    start(tenant, a_a("few", coverage=1, targeting={"country": "DE"}))
    reasons = {}
    for country in ("DE", "FR"):
        for i in range(20):
            found = flag(tenant, f"v{i}", country=country)
            check_flag(found)
            reasons[found["metadata"]["offerlabReason"]] = found["reason"]
    assert reasons == {"not_targeted": "DISABLED", "not_in_coverage": "DISABLED"}


def test_a_winner_is_static(tenant: Tenant) -> None:
    start(tenant, a_a())
    act(tenant, "same", "stop")
    act(tenant, "same", "decide", {"decision": "ship", "variant": "t1"})
    settle(lambda: flag(tenant, "v1")["metadata"]["offerlabReason"] == "winner")
    found = flag(tenant, "v1")
    check_flag(found)
    assert (found["variant"], found["reason"], found["metadata"]["inExperiment"]) == ("t1", "STATIC", False)


BAD = [
    ({}, "TARGETING_KEY_MISSING"),
    ({"context": {}}, "TARGETING_KEY_MISSING"),
    ({"context": {"targetingKey": ""}}, "TARGETING_KEY_MISSING"),
    ({"context": {"targetingKey": None}}, "TARGETING_KEY_MISSING"),
    ({"context": {"targetingKey": 7}}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": "Zoë"}}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": "a b"}}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": "v1", "customerId": {"a": 1}}}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": "v1", "cart": [{"quantity": 2}]}}, "INVALID_CONTEXT"),
    ({"context": {"targetingKey": "v1", "currency": 3}}, "INVALID_CONTEXT"),
    ({"context": [1]}, "INVALID_CONTEXT"),
    ([], "PARSE_ERROR"),
    ("{", "PARSE_ERROR"),
    ("\xff", "PARSE_ERROR"),
    ("[" * 5000, "PARSE_ERROR"),
]


@pytest.mark.parametrize(("path", "key"), [(ONE, {"key": "cart"}), (ALL, {})])
@pytest.mark.parametrize(("body", "code"), BAD)
def test_a_bad_request_names_its_code_its_details_and_its_key(
    tenant_once: Tenant, body: Any, code: str, path: str, key: dict[str, str]
) -> None:
    sent = body.encode("latin-1") if isinstance(body, str) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {tenant_once.public.key}", "Content-Type": "application/json; charset=utf-8"}
    answer = requests.post(tenant_once.public.url + path, data=sent, headers=headers, timeout=10)
    refusal = answer.json()
    assert (answer.status_code, refusal["status"], refusal["errorCode"]) == (400, 400, code)
    assert isinstance(refusal["errorDetails"], str)
    assert refusal["errorDetails"]
    assert {name: refusal[name] for name in ("key",) if name in refusal} == key
    assert refusal.keys() >= {"type", "title", "status", "detail", "code", "message"}
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.fixture(scope="module")
def tenant_once(server: Any) -> Any:
    """One storefront for all that change nothing."""
    from tests.serving import add_tenant

    made = add_tenant(server, "ofrep-shapes")
    yield made
    for client in (made.public, made.secret, made.admin):
        client.session.close()
    made.engine.dispose()


@pytest.mark.parametrize("key", ["nowhere", "a/b c", "a/b%20c", "%E6%97%A5"])
def test_an_unknown_placement_is_not_found_with_its_key(tenant_once: Tenant, key: str) -> None:
    answer = tenant_once.public.post(f"{ALL}/{key}", context("v1"))
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert answer.json()["key"] == requests.utils.unquote(key)
    assert answer.json()["errorDetails"]


def test_keys_are_refused_with_a_shape_too(tenant_once: Tenant) -> None:
    for headers, status in (({}, 401), ({"X-API-Key": "pk_wrong"}, 401)):
        for path in (ONE, ALL):
            answer = requests.post(tenant_once.public.url + path, json=context("v1"), headers=headers, timeout=10)
            assert (answer.status_code, answer.json()["errorCode"]) == (status, "GENERAL")
    browser = tenant_once.secret.post(ONE, context("v1"), headers=ORIGIN)
    assert (browser.status_code, browser.json()["errorCode"]) == (403, "GENERAL")


def test_what_nobody_foresaw_is_a_500_with_details(tenant_once: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None  # no lab at all: whatever is asked of it fails
    reply = evaluate_one(nothing, Call({"X-API-Key": "pk_1"}, b"{}", now()), "cart")
    refusal = json.loads(reply.body)
    assert (reply.status, refusal["key"], refusal["errorCode"]) == (500, "cart", "GENERAL")
    assert refusal["errorDetails"]
    assert "unforeseen" in caplog.text


def test_when_to_try_again_is_said_in_whole_seconds() -> None:
    # an ISO date, the specification's own example, stops Node for 2,099 seconds and Python not at all
    assert problem_of(Unavailable("away", retry_after=3))[1] == {"Retry-After": "3"}


DOORS = [
    ("/cart", {"context": {"targetingKey": "v1", "product_id": "A1"}}),
    ("/cart", {"context": {}}),
    ("/cart", []),
    ("/nowhere", {"context": {"targetingKey": "v1"}}),
    ("/a/b%20c", {"context": {"targetingKey": "v1"}}),
    ("/%E6%97%A5", {"context": {"targetingKey": "v1"}}),
    ("", {"context": {"targetingKey": "v1"}}),
]


@pytest.mark.parametrize("origin", [{}, ORIGIN])
@pytest.mark.parametrize(("path", "body"), DOORS)
def test_both_doors_answer_alike(sqlite_url: str, path: str, body: Any, origin: dict[str, str]) -> None:
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    shop.define(experiment())
    with writing(engine) as conn:
        key = create_key(conn, shop.storefront.id, "public", new_token(), NOW, "test")
    engine.dispose()
    app = create_app(Settings(database_url=sqlite_url, secret_key="test"))
    for headers in ({"X-API-Key": key}, {"X-API-Key": "pk_wrong"}, {}):
        one, other = (
            Client(door).post(ALL + path, json=body, headers=headers | origin) for door in (app.wsgi_app, Front(app))
        )
        assert (one.status_code, one.data, dict(one.headers)) == (other.status_code, other.data, dict(other.headers))
    app.extensions["offerlab"].close()


def test_bulk_has_every_placement_complete_and_no_errors(tenant: Tenant) -> None:
    start(tenant, experiment())
    answer = tenant.public.post(ALL, context("v1")).json()
    assert answer.keys() == {"flags", "metadata", "eventStreams"}
    assert [found["key"] for found in answer["flags"]] == ["cart", "checkout", "post_purchase", "product_page"]
    for found in answer["flags"]:
        check_flag(found)
    [cart, *_] = answer["flags"]
    assert cart == flag(tenant, "v1")


def test_the_etag_is_of_the_evaluated_answer(tenant: Tenant) -> None:
    """A provider sends the old ETag after the context changed: the answer must then be the new one."""
    start(tenant, experiment())
    first = tenant.public.post(ALL, context("v1"))
    etag = {"If-None-Match": first.headers["ETag"]}
    same = tenant.public.post(ALL, context("v1"), headers=etag)
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    moved = tenant.public.post(ALL, {"context": {"targetingKey": "v1", "product_id": "C1"}}, headers=etag)
    assert moved.status_code == 200
    assert moved.json()["flags"][0]["value"] == {"type": "none"}
    after_event = f"{ALL}?flagConfigEtag=%22red%22&flagConfigLastModified=1771622898"
    assert tenant.public.post(after_event, context("v1"), headers=etag).status_code == 304
    weak = {"If-None-Match": f'"x", W/{first.headers["ETag"]}'}
    assert tenant.public.post(ALL, context("v1"), headers=weak).status_code == 304
    act(tenant, "offers", "pause")
    settle(lambda: tenant.public.post(ALL, context("v1"), headers=etag).status_code == 200)


def test_a_page_of_another_origin_may_ask_and_read_the_etag(tenant_once: Tenant) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,if-none-match",
    }
    for path in (ONE, ALL):
        preflight = requests.options(tenant_once.public.url + path, headers=ORIGIN | asked, timeout=10)
        assert preflight.status_code == 204
        allowed = set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
        assert allowed >= {"authorization", "content-type", "if-none-match", "x-api-key"}
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
        for body in (context("v1"), {}):  # an error must be readable too
            answer = tenant_once.public.post(path, body, headers=ORIGIN)
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
            assert "Origin" in answer.headers["Vary"]
    assert "ETag" in tenant_once.public.post(ALL, context("v1"), headers=ORIGIN).headers


def test_evaluating_is_no_exposure(tenant: Tenant) -> None:
    start(tenant, experiment())
    for i in range(20):
        flag(tenant, f"v{i}")
        tenant.public.post(ALL, context(f"v{i}"))
    with tenant.engine.connect() as conn:
        storefront = get_storefront(conn, tenant.name).id
        query = select(metadata.tables["exposure"]).join(metadata.tables["experiment"])
        assert not conn.execute(query.where(metadata.tables["experiment"].c.storefront_id == storefront)).all()


def test_the_flat_context_is_lifted_and_stays_to_be_targeted_by(tenant: Tenant) -> None:
    start(tenant, experiment(targeting={"currency": "EUR", "cart.total": {"$gt": 5}}))
    body = {"targetingKey": "v1", "productId": "A1", "currency": "EUR", "cart": {"total": 12.5}}
    assert tenant.public.post(ONE, {"context": body}).json()["reason"] == "SPLIT"
    act(tenant, "offers", "stop")
    since = "2026-11-20T10:00:00.000Z"
    in_cart = {"type": "cross_sell", "pick": "explicit", "products": {"A1": ["B1"]}}
    both = [{"key": key, "weight": 5000, "offer": in_cart} for key in ("control", "same")]
    start(tenant, a_a("customers", unit="customer"), experiment("lines", targeting={"since": since}, variants=both))
    for name in ("customerId", "customer_id"):
        found = tenant.public.post(ONE, {"context": {"targetingKey": "v1", name: "c1"}}).json()
        assert found["metadata"]["experiment"] == "customers"
    # a date in a context arrives as text; lines may be bare ids, and may say more than is needed
    lines = {"targetingKey": "v2", "since": since, "cart": ["A1", {"product_id": "C1", "title": "x"}]}
    found = tenant.public.post(ONE, {"context": lines}).json()["metadata"]
    assert (found["offerlabReason"], found["experiment"]) == ("assigned", "lines")
    assert tenant.public.post(ONE, {"context": lines | {"cart": ["B1"]}}).json()["variant"] == "none"
