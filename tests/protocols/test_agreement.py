"""One visitor, one variant: whoever evaluates. The server, OpenFeature's protocol and GrowthBook's SDK in the shop."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from growthbook import GrowthBook

from experiments.service.layering import create_layer
from experiments.service.settings import change_settings, create_audience, create_key
from experiments.storage.database import connect, writing
from tests.protocols.starting import start
from tests.serving import Tenant
from tests.shop import NOW, a_a, experiment, open_shop
from webapp import create_app
from webapp.config import Settings
from webapp.front import Front
from webapp.lab import new_token

PLACEMENTS = ("cart", "checkout", "post_purchase", "product_page")
COUNTRIES = ("DE", "FR", "US")
OFFERED = {"product_id": "A1", "cart": []}
"""Where every variant can be shown: eligibility is what only the server knows."""


def programme() -> list[dict[str, Any]]:
    """Experiments that between them use what can decide an assignment."""
    return [
        experiment(coverage=6000, targeting={"country": {"$in": ["DE", "FR"]}}),
        a_a("behind", 3, targeting={"$or": [{"country": "US"}, {"visits": {"$gt": 90}}]}),
        a_a("one-half", 2, placement="checkout", targeting={"plan": {"$regex": "^gold"}}),
        a_a("for-customers", 4, placement="checkout", unit="customer", coverage=7777),
        a_a("odd-weights", 3, placement="product_page", coverage=333) | {"variants": uneven()},
    ]


def exclusive() -> list[dict[str, Any]]:
    """Two experiments that share a layer, the second for an audience."""
    halves = [{"key": "slot", "start": start, "end": start + 5000} for start in (0, 5000)]
    audience = {"$and": [{"id": {"$inGroup": "invited"}}, {"$savedGroup": {"id": "travellers"}}]}
    return [
        a_a("first-half", 2, placement="post_purchase", layer=halves[0]),
        a_a("second-half", 3, placement="post_purchase", layer=halves[1], targeting=audience),
    ]


AUDIENCES = [
    {"key": "invited", "type": "list", "values": [f"v{i}" for i in range(0, 10_000, 2)]},
    {"key": "travellers", "type": "condition", "condition": {"country": {"$ne": "US"}}},
    {"key": "secret", "type": "list", "values": ["nobody-asks-for-this"]},
]


def uneven() -> list[dict[str, Any]]:
    weights = {"control": 3333, "b": 1, "c": 6666}
    return [{"key": key, "weight": weight, "offer": {"type": "none"}} for key, weight in weights.items()]


def visitor(i: int) -> dict[str, Any]:
    """Attributes of one visitor: some are customers."""
    attributes = {"country": COUNTRIES[i % 3], "visits": i % 100, "plan": "gold-1" if i % 2 else "basic"}
    attributes |= {"consent": i % 10 != 0}
    return attributes | ({"customer_id": f"c{i // 4}"} if i % 4 < 2 else {})


def asked_for(i: int, placement: str) -> dict[str, Any]:
    """As `POST /v1/assignments` is asked."""
    attributes = visitor(i)
    customer = {"customer_id": attributes.pop("customer_id")} if "customer_id" in attributes else {}
    body = {"visitor_id": f"v{i}", "placement": placement, "attributes": attributes, "context": OFFERED}
    return body | customer | {"record": False}


def local(sdk: GrowthBook, i: int) -> dict[str, str | None]:
    """The variants that GrowthBook's SDK gives in the shop's own process, by placement."""
    sdk.set_attributes({"id": f"v{i}", **visitor(i)})
    found = {placement: sdk.eval_feature(placement) for placement in PLACEMENTS}
    return {key: one.experimentResult.key if one.source == "experiment" else None for key, one in found.items()}


Ask = Callable[[str, Any], Any]


@pytest.fixture
def ask(sqlite_url: str) -> Iterator[tuple[Ask, str]]:
    """Calls the server's WSGI application in this process; and the public key."""
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    with writing(engine) as conn:
        create_layer(conn, shop.storefront, {"key": "slot"}, "test", NOW)
        for audience in AUDIENCES:
            create_audience(conn, shop.storefront.id, audience, "test", NOW)
        change_settings(conn, shop.storefront, {"holdout": 700, "consent": "required"}, "test", NOW)
    for value in [*programme(), *exclusive()]:
        shop.define(value)
    with writing(engine) as conn:
        key = create_key(conn, shop.storefront.id, "public", new_token(), NOW, "test")
    engine.dispose()
    app = create_app(Settings(database_url=sqlite_url, secret_key="test"))
    front = Front(app)

    def call(path: str, body: Any) -> Any:
        sent = json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "", "CONTENT_LENGTH": str(len(sent)),
            "CONTENT_TYPE": "application/json", "HTTP_AUTHORIZATION": f"Bearer {key}", "wsgi.input": BytesIO(sent),
        }  # fmt: skip
        return json.loads(b"".join(front(environ, lambda status, headers: None)))

    with app.test_client() as client:
        payload = client.get(f"/api/features/{key}").json
    yield call, payload
    app.extensions["offerlab"].close()


def test_ten_thousand_visitors_get_one_variant_whoever_evaluates(ask: tuple[Ask, dict[str, Any]]) -> None:
    call, payload = ask
    assert payload["savedGroups"].keys() == {"invited", "travellers"}
    sdk = GrowthBook(features=payload["features"], savedGroups=payload["savedGroups"])
    counted: dict[str, Counter[str | None]] = {placement: Counter() for placement in PLACEMENTS}
    for i in range(10_000):
        evaluated = local(sdk, i)
        for placement in PLACEMENTS:
            served = call("/v1/assignments", asked_for(i, placement))["variant"]
            assert served == evaluated[placement], (i, placement)
            counted[placement][served] += 1
        placement = PLACEMENTS[i % 4]
        context = {"targetingKey": f"v{i}", **visitor(i), **OFFERED}
        flag = call(f"/ofrep/v1/evaluate/flags/{placement}", {"context": context})
        assert (flag["variant"] if flag["metadata"]["inExperiment"] else None) == evaluated[placement], i
    assert counted["cart"].keys() == {None, "control", "upsell", "cross-sell", "bundle", "t1", "t2"}
    assert counted["checkout"].keys() == {None, "control", "t1", "t2", "t3"}
    assert counted["post_purchase"].keys() == {None, "control", "t1", "t2"}
    assert counted["product_page"].keys() >= {None, "control", "c"}


def test_a_thousand_visitors_agree_over_the_socket(running: Tenant) -> None:
    sdk = GrowthBook(features=running.public.get(f"/api/features/{running.public.key}").json()["features"])
    for i in range(1_000):
        context = {"targetingKey": f"v{i}", **visitor(i), **OFFERED}
        flags = running.public.post("/ofrep/v1/evaluate/flags", {"context": context}).json()["flags"]
        remote = {f["key"]: f["variant"] if f["metadata"]["inExperiment"] else None for f in flags}
        assert {placement: remote[placement] for placement in PLACEMENTS} == local(sdk, i), i


@pytest.fixture
def running(tenant: Tenant) -> Tenant:
    """A storefront of the running server with the programme started."""
    start(tenant, *programme())
    return tenant
