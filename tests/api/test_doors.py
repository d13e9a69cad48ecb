"""One behaviour, two doors: what Flask's route answers, the thin WSGI door answers too."""

import json
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
import requests
from flask import Flask
from werkzeug.test import Client, EnvironBuilder

from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from tests.api.test_contract import BAD_BODIES
from tests.serving import Server, add_tenant
from tests.shop import NOW, experiment, exposed, open_shop, order
from webapp import create_app
from webapp.api.intake import Reply
from webapp.config import Settings
from webapp.front import Front
from webapp.lab import new_token

CASES = [
    ("/v1/assignments", {"visitor_id": "v1", "placement": "cart", "context": {"product_id": "A1"}}),
    ("/v1/assignments", {"visitor_id": "v2", "placement": "nowhere"}),
    ("/v1/assignments", {"visitor_id": "v3", "placement": "cart", "context": {"product_id": "C1"}, "record": False}),
    ("/v1/exposures", exposed("v9", "upsell", occurred_at="2026-11-20T10:00:00Z")),
    ("/v1/exposures", [exposed("v9", "bundle"), {"variant": 3}]),
    ("/v1/conversions", [order("o1", "v1", "10.00"), order("o2", "v1", "x"), {"type": "order"}]),
    ("/v1/conversions", order("o1", "v1", -5)),
    ("/v1/identities", {"visitor_id": "v1", "customer_id": "c1"}),
]


@pytest.fixture
def app(sqlite_url: str) -> Iterator[tuple[Flask, str]]:
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    shop.define(experiment())
    with writing(engine) as conn:
        key = create_key(conn, shop.storefront.id, "public", new_token(), NOW, "test")
    engine.dispose()
    made = create_app(Settings(database_url=sqlite_url, secret_key="test"))
    yield made, key
    made.extensions["offerlab"].close()


@pytest.mark.parametrize("origin", [None, "https://shop.example"])
@pytest.mark.parametrize("key", ["right", "wrong", None])
def test_both_doors_answer_alike(app: tuple[Flask, str], origin: str | None, key: str | None) -> None:
    flask, right = app
    headers = {"Content-Type": "application/json"}
    headers |= {"Origin": origin} if origin else {}
    headers |= {"Authorization": f"Bearer {right if key == 'right' else key}"} if key else {}
    bodies = [(path, json.dumps(body).encode()) for path, body in CASES]
    bodies += [("/v1/assignments", body) for body, _, _ in BAD_BODIES]
    for path, body in bodies:
        answers = []
        for door in (flask.wsgi_app, Front(flask)):
            client = Client(door)
            client.post(path, data=body, headers=headers)  # the first time it may be new, then both see a repeat
            answers.append(client.post(path, data=body, headers=headers))
        one, other = answers
        assert (one.status_code, one.data) == (other.status_code, other.data)
        assert dict(one.headers) == dict(other.headers)
        later = sent(Front(flask), path, body, headers)
        assert (later.status, later.body) == (one.status_code, one.data)
        assert later.headers.items() <= dict(one.headers).items()


def sent(front: Front, path: str, body: bytes, headers: dict[str, str]) -> Reply:
    """The answer as the server has it, when it holds."""
    answers: SimpleQueue[Reply] = SimpleQueue()
    environ = EnvironBuilder(method="POST", path=path, data=body, headers=headers).get_environ()
    assert front.send(environ, answers.put)
    return answers.get(timeout=30)


def test_a_body_in_chunks_is_read_as_any_other(server: Server) -> None:
    """Clients that write while they send, as Node's fetch does with a stream, tell no length."""
    shop = add_tenant(server, "chunks")
    shop.admin.post("/api/v1/experiments", experiment())
    shop.admin.post("/api/v1/experiments/offers/start")
    headers = {"Authorization": f"Bearer {shop.secret.key}", "Content-Type": "application/json"}
    asked = b'{"visitor_id":"v1","placement":"cart","context":{"product_id":"A1"},"record":false}'
    context = b'{"context":{"targetingKey":"v1","product_id":"A1"}}'
    session = requests.Session()  # one connection, and so one worker
    session.headers.update(headers)
    until = time.monotonic() + 30
    while session.post(server.url + "/v1/assignments", data=asked, timeout=10).json()["reason"] != "assigned":
        assert time.monotonic() < until
        time.sleep(0.1)
    for path, body in (("/v1/assignments", asked), ("/ofrep/v1/evaluate/flags/cart", context)):
        whole = session.post(server.url + path, data=body, timeout=10)
        in_parts = session.post(server.url + path, data=iter([body[:9], body[9:]]), timeout=10)
        assert whole.status_code == 200
        assert in_parts.json() == whole.json()
    endless = requests.post(
        server.url + "/v1/assignments", data=iter([b"x" * 700_000] * 2), headers=headers, timeout=10
    )
    assert endless.status_code == 413
