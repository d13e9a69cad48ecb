"""The OpenFeature SDK with its OFREP provider, from PyPI, against the real server."""

from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from tests.protocols.starting import start
from tests.serving import Tenant
from tests.shop import a_a, experiment

FALLBACK = {"type": "fallback"}
WHERE = {"product_id": "A1", "cart": [{"product_id": "B2", "quantity": 1}], "country": "DE"}


def connect(tenant: Tenant, key: str) -> Iterator[OpenFeatureClient]:
    provider = OFREPProvider(tenant.public.url, headers_factory=lambda: {"Authorization": f"Bearer {key}"})
    api.set_provider(provider)
    yield api.get_client()
    api.shutdown()
    provider.session.close()


@pytest.fixture
def client(tenant: Tenant) -> Iterator[OpenFeatureClient]:
    yield from connect(tenant, tenant.secret.key)


@pytest.fixture
def stranger(tenant: Tenant) -> Iterator[OpenFeatureClient]:
    yield from connect(tenant, "sk_unknown")


def ask(client: OpenFeatureClient, visitor: str | None, **more: Any) -> FlagEvaluationDetails[Any]:
    return client.get_object_details("cart", FALLBACK, EvaluationContext(visitor, WHERE | more))


def test_the_client_gets_what_the_server_assigns(tenant: Tenant, client: OpenFeatureClient) -> None:
    start(tenant, experiment(targeting={"country": "DE"}))
    body = {"placement": "cart", "context": {"product_id": "A1"}, "attributes": {"country": "DE"}, "record": False}
    seen = set()
    for i in range(100):
        found = ask(client, f"v{i}")
        served = tenant.secret.post("/v1/assignments", body | {"visitor_id": f"v{i}"}).json()
        assert (found.value, found.variant) == (served["offer"], served["variant"])
        assert (found.reason, found.error_code) == (Reason.SPLIT, None)
        assert found.flag_metadata["experiment"] == "offers"
        assert found.flag_metadata["inExperiment"] is True
        seen.add(found.variant)
    assert seen == {"control", "upsell", "cross-sell", "bundle"}


def test_who_is_in_nothing_gets_no_offer_and_no_error(tenant: Tenant, client: OpenFeatureClient) -> None:
    start(tenant, a_a(targeting={"country": "FR"}))
    for placement in ("cart", "checkout"):
        found = client.get_object_details(placement, FALLBACK, EvaluationContext("v1", WHERE))
        assert (found.value, found.variant, found.error_code) == ({"type": "none"}, "none", None)
        assert found.reason == Reason.DISABLED


def test_errors_arrive_with_their_code(client: OpenFeatureClient) -> None:
    nowhere = client.get_object_details("a/b c", FALLBACK, EvaluationContext("v1"))
    assert (nowhere.value, nowhere.error_code) == (FALLBACK, ErrorCode.FLAG_NOT_FOUND)
    assert nowhere.error_message == "This storefront has no placement 'a/b c'"
    for visitor, code in ((None, ErrorCode.TARGETING_KEY_MISSING), ("a b", ErrorCode.INVALID_CONTEXT)):
        found = ask(client, visitor)
        assert (found.value, found.error_code) == (FALLBACK, code)
        assert found.error_message
    assert client.get_object_details("cart", FALLBACK).error_code == ErrorCode.TARGETING_KEY_MISSING
    assert client.get_string_details("cart", "no", EvaluationContext("v1")).error_code == ErrorCode.TYPE_MISMATCH


def test_a_wrong_key_leaves_the_shops_own_default(stranger: OpenFeatureClient) -> None:
    found = ask(stranger, "v1")
    assert (found.value, found.error_code, found.error_message) == (FALLBACK, ErrorCode.GENERAL, "unauthorized")
