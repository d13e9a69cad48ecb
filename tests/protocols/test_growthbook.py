"""GrowthBook's payload, streams and tracking on the wire: what its SDKs (Python 4.0, JavaScript 1.8) rely on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from growthbook import GrowthBook
from sqlalchemy import func, select

from experiments.moment import SECOND, Micros
from experiments.service.snapshot import Snapshot
from experiments.storage.database import reading
from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import metadata
from tests.conftest import sqlite_copy
from tests.protocols.starting import act, payload, rules, settle, start
from tests.serving import Tenant
from tests.shop import NOW, Shop, a_a, experiment, open_shop
from webapp.protocols.features import features_of
from webapp.protocols.features import payload as payload_of

ORIGIN = {"Origin": "https://shop.example"}


def fetch(tenant: Tenant, **headers: str) -> requests.Response:
    return requests.get(f"{tenant.public.url}/api/features/{tenant.public.key}", headers=headers, timeout=10)


def track(tenant: Tenant, events: Any, **options: Any) -> requests.Response:
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    headers = {"Content-Type": "text/plain"} | ORIGIN
    key = options.get("key", tenant.public.key)
    return requests.post(f"{tenant.public.url}/track?client_key={key}", data=body, headers=headers, timeout=10)


def count(tenant: Tenant, table: str, **where: Any) -> int:
    columns = metadata.tables[table]
    experiment = metadata.tables["experiment"]
    query = (
        select(func.count())
        .select_from(columns.join(experiment))
        .where(*(columns.c[name] == value for name, value in where.items()))
    )
    with tenant.engine.connect() as conn:
        mine = experiment.c.storefront_id == get_storefront(conn, tenant.name).id
        return conn.execute(query.where(mine)).scalar_one()


def test_the_payload_needs_no_header_and_is_cached_by_anyone(tenant: Tenant) -> None:
    start(tenant, experiment())
    answer = fetch(tenant)
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "dateUpdated", "features", "experiments"}
    assert answer.json()["status"] == 200
    caching = answer.headers["Cache-Control"]
    for part in ("public", "max-age=30", "stale-while-revalidate=3600", "stale-if-error=86400"):
        assert part in caching
    assert "Vary" not in answer.headers  # or a cache would keep one answer for each page, or none
    assert "Set-Cookie" not in answer.headers


def test_the_payload_is_asked_for_conditionally(tenant: Tenant) -> None:
    start(tenant, a_a())
    etag = fetch(tenant).headers["ETag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}'):
        answer = fetch(tenant, **{"If-None-Match": condition})
        assert (answer.status_code, answer.content) == (304, b"")
    assert fetch(tenant, **{"If-None-Match": '"other"'}).status_code == 200


def test_a_browser_may_read_it_from_anywhere_and_learns_that_there_are_streams(tenant: Tenant) -> None:
    answer = fetch(tenant, **ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["x-sse-support"] == "enabled"
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert "x-sse-support" in exposed
    assert "ETag" in exposed


@pytest.mark.parametrize("path", ["/api/features/{}", "/sub/{}"])
def test_an_unknown_key_is_said_in_both_shapes(tenant: Tenant, path: str) -> None:
    for key in ("pk_unknown", tenant.secret.key, tenant.admin.key, "x"):
        answer = requests.get(tenant.public.url + path.format(key), timeout=10)
        refusal = answer.json()
        assert (answer.status_code, refusal["status"], refusal["error"]) == (401, 401, "Invalid API Key")
        assert refusal.keys() >= {"type", "title", "detail", "code", "message"}
        assert answer.headers["Cache-Control"] == "no-store"


def test_every_placement_is_a_feature_with_no_offer_as_its_default(tenant: Tenant) -> None:
    features = payload(tenant)["features"]
    assert features.keys() == {"cart", "checkout", "post_purchase", "product_page"}
    assert all(feature == {"defaultValue": {"type": "none"}, "rules": []} for feature in features.values())


def test_a_rule_says_everything_that_hashing_depends_on(tenant: Tenant) -> None:
    start(tenant, experiment(coverage=5000, targeting={"country": "DE"}), a_a("buyers", unit="customer"))
    offers, buyers = payload(tenant)["features"]["cart"]["rules"]
    assert (offers["hashVersion"], offers["seed"], offers["hashAttribute"]) == (2, "offers", "id")
    assert offers["ranges"] == [[0.0, 0.125], [0.25, 0.375], [0.5, 0.625], [0.75, 0.875]]
    assert offers["condition"] == {"country": "DE"}
    assert [one["key"] for one in offers["meta"]] == ["control", "upsell", "cross-sell", "bundle"]
    assert (offers["key"], offers["phase"]) == ("offers", "0")
    assert buyers["hashAttribute"] == "customer_id"


def test_values_are_resolved_where_no_context_matters_and_definitions_elsewhere(tenant: Tenant) -> None:
    margin = {"type": "upsell", "pick": "explicit", "pairs": {"A1": "A2"}, "minimum_margin": "20%"}
    changed = experiment()
    changed["variants"][1]["offer"] = margin
    start(tenant, changed)
    control, upsell, cross_sell, bundle = rules(tenant)[0]["variations"]
    assert control == {"type": "none"}
    assert upsell == {"type": "upsell", "pick": "explicit", "pairs": {"A1": "A2"}}  # its margin is not told
    assert [p["product_id"] for p in cross_sell["products"]] == ["B1", "C1"]
    assert bundle["price"] == "17.55"
    body = {"visitor_id": "v1", "placement": "cart", "context": {"product_id": "A1"}, "record": False}
    while True:
        served = tenant.public.post("/v1/assignments", body).json()
        if served["variant"] == "bundle":
            break
        body["visitor_id"] += "1"
    assert served["offer"] == bundle


def test_where_a_variant_can_be_shown_to_nobody_nobody_enters(tenant: Tenant) -> None:
    sold_out = experiment("sold-out")
    sold_out["variants"][3]["offer"]["items"] = ["A2", "B2"]
    start(tenant, a_a("there"))
    for definition in (sold_out,):
        assert tenant.admin.post("/api/v1/experiments", definition).status_code == 201
        act(tenant, "sold-out", "start")
    settle(lambda: [rule["key"] for rule in rules(tenant)] == ["there"])


def test_a_winner_is_forced_and_a_closed_experiment_takes_nobody_new(tenant: Tenant) -> None:
    start(tenant, a_a("won"), a_a("shut", placement="checkout"))
    act(tenant, "won", "stop")
    act(tenant, "won", "decide", {"decision": "ship", "variant": "t1"})
    act(tenant, "shut", "close")

    def settled() -> bool:
        features = payload(tenant)["features"]
        won, shut = features["cart"]["rules"], features["checkout"]["rules"]
        return won == [{"id": "won", "force": {"type": "none"}}] and [rule["coverage"] for rule in shut] == [0]

    settle(settled)
    features = payload(tenant)["features"]
    for i in range(50):
        evaluated = GrowthBook(attributes={"id": f"v{i}"}, features=features)
        assert evaluated.eval_feature("cart").source == "force"
        assert evaluated.eval_feature("checkout").source == "defaultValue"


def test_who_has_a_sticky_bucket_keeps_the_variant_of_a_closed_experiment(tenant: Tenant) -> None:
    from growthbook import InMemoryStickyBucketService

    start(tenant, a_a())
    service = InMemoryStickyBucketService()
    open_features = payload(tenant)["features"]
    before = GrowthBook(attributes={"id": "old"}, features=open_features, sticky_bucket_service=service)
    held = before.eval_feature("cart").experimentResult.key
    act(tenant, "same", "close")
    settle(lambda: rules(tenant)[0]["coverage"] == 0)
    closed = payload(tenant)["features"]
    after = GrowthBook(attributes={"id": "old"}, features=closed, sticky_bucket_service=service)
    assert after.eval_feature("cart").experimentResult.key == held
    new = GrowthBook(attributes={"id": "new"}, features=closed, sticky_bucket_service=service)
    assert new.eval_feature("cart").source == "defaultValue"


def test_the_date_changes_with_the_content_and_only_with_it(tenant: Tenant) -> None:
    """The SDKs keep what they have where the date is the same."""
    start(tenant, a_a())
    seen = {payload(tenant)["dateUpdated"] for _ in range(8)}
    assert len(seen) == 1
    act(tenant, "same", "pause")
    settle(lambda: not rules(tenant))
    paused = {payload(tenant)["dateUpdated"] for _ in range(8)}
    assert len(paused) == 1
    assert paused != seen


@pytest.fixture
def shop(template: Any, tmp_path: Any) -> Any:
    from experiments.storage.database import connect

    engine = connect(sqlite_copy(template, tmp_path))
    yield open_shop(engine)
    engine.dispose()


def test_schedules_are_followed_without_any_change_in_the_registry(shop: Shop) -> None:
    start_at = datetime.fromtimestamp(NOW / SECOND, UTC) + timedelta(hours=1)
    planned = {"start_at": start_at.isoformat(), "end_at": (start_at + timedelta(hours=1)).isoformat()}
    shop.define(a_a(schedule=planned))
    with reading(shop.engine) as conn:
        view = Snapshot.load(conn).storefronts[shop.storefront.id]
    hour = 3600 * SECOND
    shown = [
        bool(features_of(view, Micros(NOW + t))["cart"]["rules"]) for t in (0, hour - 1, hour, 2 * hour - 1, 2 * hour)
    ]
    assert shown == [False, False, True, True, False]
    dates = [json.loads(payload_of(view, Micros(NOW + t)).json)["dateUpdated"] for t in (0, hour, 2 * hour)]
    assert len(set(dates)) == 3


def test_a_ramp_widens_the_ranges_at_its_hour(shop: Shop) -> None:
    start_at = datetime.fromtimestamp(NOW / SECOND, UTC)
    step = {"at": (start_at + timedelta(hours=1)).isoformat(), "coverage": 10_000}
    shop.define(a_a(coverage=1_000, schedule={"start_at": start_at.isoformat(), "ramp": [step]}))
    with reading(shop.engine) as conn:
        view = Snapshot.load(conn).storefronts[shop.storefront.id]
    hour = 3600 * SECOND
    before, after = (features_of(view, Micros(NOW + t))["cart"]["rules"][0]["ranges"] for t in (hour - 1, hour))
    assert (before, after) == ([(0.0, 0.05), (0.5, 0.55)], [(0.0, 0.5), (0.5, 1.0)])


def test_a_placement_that_is_switched_off_has_no_rules(tenant: Tenant) -> None:
    start(tenant, a_a())
    answer = tenant.admin.call("PATCH", "/api/v1/placements/cart", {"paused": True})
    assert answer.status_code == 200, answer.text
    settle(lambda: not rules(tenant))
    flag = tenant.public.post("/ofrep/v1/evaluate/flags/cart", {"context": {"targetingKey": "v1"}}).json()
    assert (flag["variant"], flag["reason"], flag["value"]) == ("none", "DISABLED", {"type": "none"})


# --- the tracking plugin

VIEWED_BY_JS = {
    "event_name": "Experiment Viewed",
    "properties_json": {"experimentId": "same", "variationId": "t1", "hashAttribute": "id", "hashValue": "js-1"},
    "device_id": "js-1", "user_id": None, "session_id": None, "page_id": None, "url": "https://shop.example/cart",
    "sdk_language": "js", "sdk_version": "1.8.0", "context_json": {},
}  # fmt: skip
VIEWED_BY_PYTHON = VIEWED_BY_JS | {
    "event_name": "$$experiment_viewed",
    "properties_json": {
        "experiment_id": "same", "variation_id": 1, "variation_key": "t1", "in_experiment": True, "hash_used": True,
        "hash_attribute": "id", "hash_value": "py-1",
    },
    "device_id": "py-1", "sdk_language": "python",
}  # fmt: skip


def test_both_languages_views_are_exposures_by_the_variants_key(tenant: Tenant) -> None:
    start(tenant, a_a())
    answer = track(tenant, [VIEWED_BY_JS, VIEWED_BY_PYTHON])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "duplicate": 0, "rejected": []})
    assert count(tenant, "exposure", kind="viewed", variant="t1") == 2
    again = track(tenant, [VIEWED_BY_JS])  # no id and no retry: experiment and unit tell a repeat
    assert again.json() == {"accepted": 0, "duplicate": 1, "rejected": []}


def test_a_customers_view_is_the_customers(tenant: Tenant) -> None:
    start(tenant, a_a(unit="customer"))
    properties = VIEWED_BY_JS["properties_json"] | {"hashAttribute": "customer_id", "hashValue": "c1"}  # type: ignore[operator]
    assert track(tenant, [VIEWED_BY_JS | {"properties_json": properties}]).json()["accepted"] == 1


def test_evaluations_and_who_is_not_in_the_experiment_are_dropped(tenant: Tenant) -> None:
    start(tenant, a_a())
    outside = VIEWED_BY_PYTHON["properties_json"] | {"in_experiment": False}  # type: ignore[operator]
    events = [
        VIEWED_BY_JS | {"event_name": "Feature Evaluated"},
        VIEWED_BY_JS | {"event_name": "$$feature_evaluated"},
        VIEWED_BY_PYTHON | {"properties_json": outside},
    ]
    assert track(tenant, events).json() == {"accepted": 0, "duplicate": 0, "rejected": []}


def test_orders_and_events_of_the_shops_own_are_conversions(tenant: Tenant) -> None:
    order = {"order_id": "o1", "total": 29.5, "shipping": 4.5, "tax": 5, "currency": "EUR",
             "products": [{"product_id": "A1", "quantity": 2, "price": 10, "name": "Mug"}]}  # fmt: skip
    events = [
        VIEWED_BY_JS | {"event_name": "Order Completed", "properties_json": order},
        VIEWED_BY_JS | {"event_name": "Newsletter Signed Up", "properties_json": {"value": 3}},
    ]
    assert track(tenant, events).json() == {"accepted": 2, "duplicate": 0, "rejected": []}
    assert track(tenant, events[:1]).json() == {"accepted": 0, "duplicate": 1, "rejected": []}
    with tenant.engine.connect() as conn:
        table = metadata.tables["conversion"]
        mine = table.c.storefront_id == get_storefront(conn, tenant.name).id
        stored = conn.execute(select(table).where(mine)).mappings().all()
    assert {row["type"] for row in stored} == {"order", "newsletter_signed_up"}
    [kept] = [row for row in stored if row["type"] == "order"]
    assert (kept["revenue"], kept["visitor_id"], kept["item_count"]) == (2000, "js-1", 2)


def test_a_bad_event_is_named_and_the_others_are_kept(tenant: Tenant) -> None:
    start(tenant, a_a())
    wrong = VIEWED_BY_JS | {"properties_json": {"experimentId": "nowhere", "variationId": "t1", "hashValue": "v"}}
    events = [3, wrong, VIEWED_BY_JS, {"event_name": "Order Completed", "properties_json": {"total": "x"}}, {}]
    answer = track(tenant, events)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert {r["index"] for r in answer.json()["rejected"]} == {0, 1, 3, 4}
    assert track(tenant, []).json() == {"accepted": 0, "duplicate": 0, "rejected": []}
    for body in (b"{", b"3", b"\xff"):
        assert track(tenant, body).status_code == 400
    assert track(tenant, [], key="pk_unknown").status_code == 401
    assert track(tenant, [VIEWED_BY_JS]).headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
