"""GrowthBook's SDK from PyPI against the real server: fetching, streaming, and its tracking plugin."""

from collections.abc import Callable
from typing import Any

import pytest
from growthbook import GrowthBook, feature_repo
from growthbook.plugins.growthbook_tracking import growthbook_tracking_plugin

from tests.protocols.starting import act, settle, start
from tests.serving import Tenant
from tests.shop import a_a, experiment

Open = Callable[..., GrowthBook]


@pytest.fixture
def sdk(tenant: Tenant) -> Any:
    opened = []

    def make(visitor: str, **options: Any) -> GrowthBook:
        sdk = GrowthBook(
            attributes={"id": visitor}, api_host=tenant.public.url, client_key=tenant.public.key, **options
        )
        opened.append(sdk)
        sdk.load_features()
        return sdk

    yield make
    for one in opened:
        one.destroy()
    feature_repo.clear_cache()
    if feature_repo.http is not None:
        feature_repo.http.clear()


def test_the_sdk_loads_the_payload_and_evaluates_as_the_server_does(tenant: Tenant, sdk: Open) -> None:
    start(tenant, experiment())
    local = sdk("v0")
    for i in range(200):
        local.set_attributes({"id": f"v{i}"})
        body = {"visitor_id": f"v{i}", "placement": "cart", "context": {"product_id": "A1"}, "record": False}
        assert (
            local.eval_feature("cart").experimentResult.key
            == tenant.secret.post("/v1/assignments", body).json()["variant"]
        )


def test_a_change_reaches_a_streaming_sdk_within_seconds(tenant: Tenant, sdk: Open) -> None:
    start(tenant, a_a())
    local = sdk("v1", streaming=True)
    assert local.eval_feature("cart").source == "experiment"
    act(tenant, "same", "pause")
    settle(lambda: local.eval_feature("cart").source == "defaultValue")
    local.stop_auto_refresh(timeout=1)


def test_the_tracking_plugin_needs_no_code_of_the_shops(tenant: Tenant, sdk: Open) -> None:
    start(tenant, a_a())
    plugin = growthbook_tracking_plugin(ingestor_host=tenant.public.url, batch_size=3, batch_timeout=0.1)
    local = sdk("viewer", plugins=[plugin])
    variant = local.eval_feature("cart").experimentResult.key
    local.log_event("Order Completed", {"order_id": "o1", "revenue": 12.5, "currency": "EUR"})
    plugin.cleanup()

    def again() -> bool:
        seen = {"visitor_id": "viewer", "experiment": "same", "variant": variant, "kind": "viewed"}
        order = {"type": "order", "order_id": "o1", "visitor_id": "viewer", "revenue": "12.50", "currency": "EUR"}
        answers = [tenant.secret.post("/v1/exposures", seen), tenant.secret.post("/v1/conversions", order)]
        return [answer.json()["duplicate"] for answer in answers] == [1, 1]

    settle(again)
    report = tenant.admin.get("/api/v1/experiments/same/report").json()
    conversion = next(m for m in report["metrics"] if m["metric"] == "conversion")
    assert sum(v["units"] for v in conversion["variants"]) == 1
