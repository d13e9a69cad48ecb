"""The description of the API is whole, valid, and true of what the application does."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.definitions import OPENAPI_31

from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from experiments.storage.keys import KeyKind
from tests.conftest import sqlite_copy
from tests.shop import NOW, open_shop
from webapp import create_app
from webapp.config import Settings
from webapp.lab import new_token
from webapp.openapi import examples
from webapp.openapi.document import OPERATIONS, document, routes
from webapp.openapi.measuring import EXAMPLE
from webapp.protocols.segment import KINDS
from webapp.ui.site import is_page

PAGES_OF_THE_DESCRIPTION = {"openapi.docs", "openapi.file"}
ENDLESS = {"/sub/{key}", "/ofrep/v1/stream"}
"""Streams: whoever reads one to its end waits for ever."""
ALIASES = {f"/v1/{part}" for part in KINDS} - {"/v1/batch", "/v1/track"}
"""Other names of two routes, answered by the same function."""
EXAMPLES = int(os.environ.get("OFFERLAB_EXAMPLES", "4"))
"""Requests tried at each operation, good and bad each: a few in the suite, as many as one likes by hand."""


@dataclass
class World:
    """The application with one storefront, and a client for each kind of key."""

    app: Flask
    keys: dict[KeyKind, str]

    def call(self, method: str, path: str, body: Any = None, kind: KeyKind = "admin") -> Any:
        """The answer to a request with a key."""
        client: FlaskClient = self.app.test_client()
        return client.open(path, method=method, json=body, headers={"X-API-Key": self.keys[kind]})


@pytest.fixture(scope="module")
def world(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A storefront in which the examples come true."""
    url = sqlite_copy(template, tmp_path_factory.mktemp("described"))
    engine = connect(url)
    shop = open_shop(engine, "shop", products=False)
    kinds: tuple[KeyKind, ...] = ("public", "secret", "admin")
    with writing(engine) as conn:
        keys = {kind: create_key(conn, shop.storefront.id, kind, new_token(), NOW, "test") for kind in kinds}
    engine.dispose()
    app = create_app(Settings(database_url=url, secret_key="test"))
    yield World(app, keys)
    app.extensions["offerlab"].close()


@pytest.fixture(scope="module")
def described(world: World) -> dict[str, Any]:
    """The description as programs get it."""
    found: dict[str, Any] = world.call("GET", "/openapi.json").get_json()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_route_of_ours_is_described_and_nothing_else(world: World, described: dict[str, Any]) -> None:
    ours = [r for r in routes(world.app) if not is_page(r.path) and r.endpoint not in PAGES_OF_THE_DESCRIPTION]
    missing = {f"{r.method} {r.path} ({r.endpoint})" for r in ours if r.operation is None}
    assert not missing, "say in webapp/openapi what these take and answer"
    assert {(path, method.upper()) for path, method, _ in operations(described)} == {(r.path, r.method) for r in ours}
    assert OPERATIONS.keys() <= {r.endpoint for r in ours}, "these are described and do not exist"


def test_the_description_is_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    jsonschema_rs.validate(OPENAPI_31, described)
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = set(described["components"]["schemas"])
    refs = set(references(described))
    assert {ref.removeprefix("#/components/schemas/") for ref in refs} <= named
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(ids) == len(set(ids))
    schemes = described["components"]["securitySchemes"]
    assert set(schemes) == {"Bearer", "ApiKey", "Basic"}
    for path, _, operation in operations(described):
        assert operation["summary"], path
        assert set(operation["tags"]) <= {tag["name"] for tag in described["tags"]}
        assert {name for part in operation["security"] for name in part} <= set(schemes)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_offers_are_told_apart_by_their_type(described: dict[str, Any]) -> None:
    offer = described["components"]["schemas"]["Variant"]["properties"]["offer"]
    assert offer["discriminator"]["propertyName"] == "type"
    assert set(offer["discriminator"]["mapping"]) == {"none", "upsell", "cross_sell", "bundle"}


def test_every_refusal_has_the_one_error_shape(described: dict[str, Any]) -> None:
    for path, method, operation in operations(described):
        for status, answer in operation["responses"].items():
            if int(status) < 400 or "content" not in answer or path == "/readyz":
                continue
            [(media, content)] = answer["content"].items()
            assert media == "application/problem+json", (method, path, status)
            assert content["schema"]["$ref"].endswith("Problem"), (method, path, status)


# each step of the walk: what its answer is held to is the description itself
WALK: list[tuple[str, str, Any, KeyKind]] = [
    ("POST", "/api/v1/products", examples.PRODUCTS, "admin"),
    ("GET", "/api/v1/products", None, "admin"),
    ("GET", "/api/v1/products/A1", None, "admin"),
    ("GET", "/api/v1/products/A1/versions", None, "admin"),
    ("POST", "/api/v1/placements", examples.NEW_PLACEMENT, "admin"),
    ("PATCH", "/api/v1/placements/basket-side", {"paused": False}, "admin"),
    ("GET", "/api/v1/placements", None, "admin"),
    ("POST", "/api/v1/layers", examples.LAYER, "admin"),
    ("GET", "/api/v1/layers", None, "admin"),
    ("POST", "/api/v1/audiences", examples.AUDIENCE, "admin"),
    ("PUT", "/api/v1/audiences/vip", examples.AUDIENCE, "admin"),
    ("GET", "/api/v1/audiences", None, "admin"),
    ("POST", "/api/v1/offers", examples.SAVED_OFFER, "admin"),
    ("PUT", "/api/v1/offers/tea-to-go", examples.SAVED_OFFER, "admin"),
    ("GET", "/api/v1/offers/tea-to-go", None, "admin"),
    ("GET", "/api/v1/offers/tea-to-go/audit", None, "admin"),
    ("GET", "/api/v1/offers", None, "admin"),
    ("PATCH", "/api/v1/alerts/settings", {"webhook_url": "https://hooks.example/a", "emails": []}, "admin"),
    ("GET", "/api/v1/alerts/settings", None, "admin"),
    ("POST", "/api/v1/alerts/secret", None, "admin"),
    ("POST", "/api/v1/alerts/test", None, "admin"),
    ("GET", "/api/v1/alerts/deliveries", None, "admin"),
    ("GET", "/api/v1/alerts", None, "admin"),
    ("PATCH", "/api/v1/storefront", {"bots": "crawlers"}, "admin"),
    ("GET", "/api/v1/storefront", None, "admin"),
    ("POST", "/api/v1/metrics", EXAMPLE, "admin"),
    ("PUT", "/api/v1/metrics/signups", {"type": "mean", "numerator": "event:newsletter_signup", "cap": 0.99}, "admin"),
    ("GET", "/api/v1/metrics/signups", None, "admin"),
    ("GET", "/api/v1/metrics/signups/audit", None, "admin"),
    ("GET", "/api/v1/metrics", None, "admin"),
    ("POST", "/api/v1/experiments", examples.DEFINITION, "admin"),
    ("PUT", "/api/v1/experiments/cart-offers", examples.DEFINITION, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/preview", {"variant": "bundle", "hours": 24}, "admin"),
    ("POST", "/api/v1/previews", {"experiment": "cart-offers", "context": {"product_id": "A1"}}, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/review", {"review": "requested", "message": "Please look."}, "admin"),
    ("GET", "/api/v1/experiments/cart-offers/review", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/start", None, "admin"),
    ("POST", "/v1/assignments", examples.ASSIGNMENT, "public"),
    ("POST", "/v1/assignments", examples.ASSIGNMENT | {"explain": True, "record": False}, "secret"),
    ("POST", "/v1/exposures", examples.EXPOSURE, "secret"),
    ("POST", "/v1/conversions", examples.ORDER, "secret"),
    ("POST", "/v1/conversions", [examples.ORDER, {"type": "order"}], "secret"),
    ("POST", "/v1/identities", examples.IDENTITY, "secret"),
    ("POST", "/v1/offers/of_8d2f1c0a9b7e6d5c4b3a/check", examples.PRICE_CHECK, "secret"),
    ("POST", "/ofrep/v1/evaluate/flags/cart", examples.CONTEXT, "secret"),
    ("POST", "/ofrep/v1/evaluate/flags", examples.CONTEXT, "secret"),
    ("POST", "/v1/batch", examples.TRACKED, "secret"),
    ("GET", "/api/v1/experiments/cart-offers/report", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/close", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/reopen", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/pause", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/resume", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/stop", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/decide", {"decision": "ship", "variant": "bundle"}, "admin"),
    ("GET", "/api/v1/experiments/cart-offers/decision", None, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/duplicate", {"key": "cart-offers-again"}, "admin"),
    ("POST", "/api/v1/experiments/cart-offers/archive", None, "admin"),
    ("GET", "/api/v1/experiments/cart-offers", None, "admin"),
    ("GET", "/api/v1/experiments/cart-offers/audit", None, "admin"),
    ("GET", "/api/v1/experiments", None, "admin"),
    ("GET", "/livez", None, "admin"),
    ("GET", "/readyz", None, "admin"),
]


def test_the_examples_work_and_answers_hold_exactly_what_is_described(world: World, described: dict[str, Any]) -> None:
    strict = closed(described)
    for method, path, body, kind in WALK:
        answer = world.call(method, path, body, kind)
        assert answer.status_code in {200, 201}, (method, path, answer.get_data(as_text=True))
        operation = find(strict, method, path)
        schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        problems = list(
            Draft202012Validator(strict["components"] | schema).iter_errors(answer.get_json())
            if "$ref" not in schema
            else Draft202012Validator(strict | schema).iter_errors(answer.get_json())
        )
        assert not problems, (method, path, [(list(p.absolute_path), p.message[:300]) for p in problems])


def find(described: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    parts = path.split("/")
    fitting = [
        known
        for known in described["paths"]
        if len(known.split("/")) == len(parts)
        and all(k == p or k.startswith("{") for k, p in zip(known.split("/"), parts, strict=True))
        and method.lower() in described["paths"][known]
    ]
    found: dict[str, Any] = described["paths"][min(fitting, key=lambda known: known.count("{"))][method.lower()]
    return found


def closed(value: Any) -> Any:
    """The same, where an object may hold nothing that is not described."""
    if isinstance(value, list):
        return [closed(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    shown = {name: closed(inner) for name, inner in value.items()}
    if shown.get("type") == "object" and shown.get("properties") and "title" in shown:
        shown["additionalProperties"] = False
    return shown


def test_examples_fit_their_own_schemas(described: dict[str, Any]) -> None:
    tried = 0
    for path, method, operation in operations(described):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for holder in [*bodies, *operation["responses"].values()]:
            for content in holder.get("content", {}).values():
                if "example" in content:
                    problems = Draft202012Validator(described | content["schema"]).iter_errors(content["example"])
                    assert not [p.message for p in problems], (method, path)
                    tried += 1
    assert tried > 50


def test_the_page_works_offline_under_a_strict_policy(world: World) -> None:
    client = world.app.test_client()
    page = client.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    text = page.get_data(as_text=True)
    assert "http://" not in text
    assert "https://" not in text
    assert "POST /v1/assignments" in text  # what there is, without JavaScript too
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert f"/docs/{name}" in text
        with client.get(f"/docs/{name}") as file:
            assert file.status_code == 200
    assert client.get("/docs/index.css").status_code == 404


def test_a_description_that_is_held_is_not_sent_again(world: World) -> None:
    client = world.app.test_client()
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def constrained(operation: dict[str, Any]) -> bool:
    """Whether there is a bad request: where the body is somebody else's, whatever is sent fits the description."""
    contents = operation.get("requestBody", {}).get("content", {}).values()
    queries = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    return bool(queries) or any(content["schema"].keys() != {"description"} for content in contents)


def test_answers_to_anything_are_as_described(world: World, described: dict[str, Any]) -> None:
    """Good and bad requests at every operation, held to all of schemathesis' own checks."""
    # rules that no schema can say (weights that sum to the whole) are refused with 400 or 422 too
    refusing = {"expected-statuses": ["2xx", "3xx", "400", "401", "403", "404", "409", "422"]}
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "checks": {"positive_data_acceptance": refusing},
            "generation": {"with-security-parameters": False},
        }
    )
    schema = schemathesis.openapi.from_wsgi("/openapi.json", world.app, config=config)
    headers = {"X-API-Key": world.keys["admin"]}
    tried, failed = 0, []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ENDLESS | ALIASES:
            continue
        judged = constrained(described["paths"][operation.path][operation.method])
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if judged else [GenerationMode.POSITIVE]
        for mode in modes:

            @seed(1)
            @settings(
                max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def holds(case: schemathesis.Case) -> None:
                nonlocal tried
                tried += 1
                case.call_and_validate(headers=headers)

            try:
                holds()
            except FailureGroup as failures:
                failed.append(f"{operation.label}, {mode.value}: {failures.message}")
    assert not failed, "\n".join(failed)
    assert tried > 200


def test_a_method_that_a_route_has_not_is_told_those_it_has(world: World) -> None:
    answer = world.call("DELETE", "/api/v1/storefront")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PATCH")
    assert answer.get_json()["code"] == "method_not_allowed"


def test_a_route_that_nobody_described_is_noticed(world: World) -> None:
    app = Flask("another")
    app.add_url_rule("/v1/new", "new", lambda: "", methods=["POST"])
    assert [r.endpoint for r in routes(app) if r.operation is None] == ["static", "new"]
    assert document(world.app)["paths"]
