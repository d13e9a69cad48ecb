"""The clients that a shop's Node server runs, from npm, against the real server."""

import json

from growthbook import GrowthBook

from tests.e2e.runtimes import HERE, run_node
from tests.protocols.starting import payload, start
from tests.serving import Tenant
from tests.shop import a_a, experiment


def test_openfeatures_node_provider_agrees_and_knows_every_error(tenant: Tenant) -> None:
    start(tenant, experiment())
    said = run_node(HERE / "openfeature_node.mjs", URL=tenant.public.url, KEY=tenant.secret.key, COUNT="200")
    found = json.loads(said)
    for i, got in enumerate(found["visitors"]):
        body = {"visitor_id": f"v{i}", "placement": "cart", "context": {"product_id": "A1"}, "record": False}
        served = tenant.secret.post("/v1/assignments", body).json()
        assert (got["variant"], got["type"], got["reason"]) == (served["variant"], served["offer"]["type"], "SPLIT")
        assert got["flagMetadata"]["experiment"] == "offers"
        assert got["flagMetadata"]["inExperiment"] is True
    codes = {name: error.get("errorCode") for name, error in found["errors"].items()}
    assert codes == {
        "nowhere": "FLAG_NOT_FOUND", "nobody": "TARGETING_KEY_MISSING", "invalid": "INVALID_CONTEXT",
        "elsewhere": None, "stranger": "GENERAL",
    }  # fmt: skip
    elsewhere = found["errors"]["elsewhere"]
    assert (elsewhere["type"], elsewhere["variant"], elsewhere["reason"]) == ("none", "none", "DISABLED")
    assert {error["type"] for name, error in found["errors"].items() if name != "elsewhere"} == {"fallback"}


def test_growthbooks_javascript_gives_ten_thousand_visitors_what_its_python_gives(tenant: Tenant) -> None:
    start(tenant, a_a("some", 3, coverage=7000, targeting={"country": {"$in": ["DE", "US"]}}), experiment())
    said = run_node(HERE / "growthbook_node.mjs", URL=tenant.public.url, KEY=tenant.public.key, COUNT="10000")
    found = json.loads(said)
    assert found["source"] == "network"
    sdk = GrowthBook(features=payload(tenant)["features"])
    for i, variant in enumerate(found["variants"]):
        sdk.set_attributes({"id": f"v{i}", "country": ("DE", "FR", "US")[i % 3]})
        drawn = sdk.eval_feature("cart").experimentResult
        assert variant == (drawn.key if drawn else None), i
    assert set(found["variants"]) == {"control", "t1", "t2", "upsell", "cross-sell", "bundle"}
