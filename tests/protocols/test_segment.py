"""The tracking API in every form that its clients send it."""

import gzip
import json
import resource
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from experiments.moment import micros, moment
from experiments.storage.database import reading
from experiments.storage.eventwriter import EventWriter
from experiments.storage.quarantine import held
from tests.conftest import sqlite_copy
from tests.protocols.inprocess import Here, application
from webapp.protocols.doors import all_doors


@pytest.fixture(scope="module")
def open_here(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Here]]:
    with application(sqlite_copy(template, tmp_path_factory.mktemp("segment"))) as opened:
        yield opened


@pytest.fixture
def here(open_here: Callable[[], Here]) -> Here:
    return open_here()


def event(name: str, **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": name, "anonymousId": "v1", "userId": "c1", "properties": properties}


def sent(here: Here, *messages: Any, **body: Any) -> None:
    answer = here.send("/v1/batch", {"batch": messages, **body})
    assert (answer.status_code, answer.json) == (200, {"success": True})


@pytest.mark.parametrize("path", ["/v1/track", "/v1/t", "/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"])
@pytest.mark.parametrize("form", ["json", "text", "gzip"])
def test_an_order_is_taken_in_every_form(here: Here, path: str, form: str) -> None:
    message = event("Order Completed", order_id="o1", revenue=12.5, currency="EUR")
    body = orjson.dumps(message if path in {"/v1/track", "/v1/t"} else {"batch": [message]})
    headers = {"json": {}, "text": {"Content-Type": "text/plain;charset=UTF-8"}, "gzip": {"Content-Encoding": "gzip"}}
    for _ in range(2):
        answer = here.send(path, gzip.compress(body) if form == "gzip" else body, headers[form])
        assert (answer.status_code, answer.json) == (200, {"success": True})
    assert here.ledger.orders() == {"o1": 1250}


@pytest.mark.parametrize("form", ["basic", "bearer", "x-api-key", "body", "body beside a token", "address"])
def test_the_key_may_stand_wherever_clients_put_it(here: Here, form: str) -> None:
    message: dict[str, Any] = {"type": "page", "anonymousId": "v1"}
    path, headers = "/v1/p", {}
    if form.startswith("body"):
        message["writeKey"] = here.key
        headers = {"Authorization": "Bearer eyJ.oauth.token"} if "token" in form else {}
    elif form == "bearer":
        headers = {"Authorization": f"Bearer {here.key}"}
    elif form == "x-api-key":
        headers = {"X-API-Key": here.key}
    elif form == "address":
        path = f"/v1/p?key={here.key}"
    if form == "basic":
        answer = here.send(path, message)
    else:
        answer = here.client.post(path, data=orjson.dumps(message), headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("key", ["", "pk_unknown", "sk_unknown"])
def test_an_unknown_key_is_refused_in_the_shape_that_stops_retries(here: Here, key: str) -> None:
    answer = here.send("/v1/batch", {"batch": []}, key=key)
    assert answer.status_code == 401
    assert {"code", "message"} <= answer.json.keys()


def test_a_browser_may_ask_and_read(here: Here) -> None:
    origin = {"Origin": "https://shop.example"}
    asked = here.client.options(
        "/v1/t", headers=origin | {"Access-Control-Request-Headers": "authorization,content-type"}
    )
    assert asked.status_code == 204
    assert {"authorization", "content-type"} <= set(asked.headers["Access-Control-Allow-Headers"].split(", "))
    for answer in (here.send("/v1/t", event("x"), origin), here.send("/v1/t", b"{", origin)):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_settings_name_this_server_and_are_for_known_public_keys(here: Here) -> None:
    answer = here.client.get(f"/v1/projects/{here.key}/settings", headers={"Origin": "https://shop.example"})
    assert answer.json["integrations"]["Segment.io"]["apiHost"] == "localhost/v1"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert here.client.get("/v1/projects/pk_unknown/settings").status_code == 401
    assert here.client.get("/v1/projects/sk_unknown/settings").status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"batch":{}}', b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_only_what_is_no_batch_is_malformed(here: Here, body: bytes) -> None:
    answer = here.send("/v1/batch", body)
    assert answer.status_code == 400
    assert {"code", "message"} <= answer.json.keys()


def bomb(megabytes: int) -> bytes:
    """Many megabytes in a few kilobytes, never whole in this process either."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([packed.compress(b" " * 1_000_000) for _ in range(megabytes)]) + packed.flush()


def test_a_bomb_is_refused_before_it_unfolds(here: Here) -> None:
    bombs = [bomb(10), bomb(200), bomb(3) * 2]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for body in bombs:
        assert here.send("/v1/batch", body, {"Content-Encoding": "gzip"}).status_code == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024, "kilobytes"
    for body in (b"plain", gzip.compress(b'{"batch":[]}')[:-4], b""):
        assert here.send("/v1/batch", body, {"Content-Encoding": "gzip"}).status_code == 400
    assert here.send("/v1/batch", b"x", {"Content-Encoding": "br"}).status_code == 415


def test_the_bad_messages_of_a_batch_are_kept_out_alone(here: Here) -> None:
    good = event("Order Completed", order_id="good", revenue=1, currency="EUR")
    bad = [
        7, None, {}, {"type": "track"}, {"type": "track", "event": "x"}, {"type": "sing", "userId": "c"},
        {"type": "track", "event": " ", "userId": "c"}, {"type": "page", "userId": ["c"]},
        event("Order Completed", revenue=1), event("Order Completed", order_id="bad", revenue="a lot"),
        event("Order Completed", order_id="bad", revenue=-1), event("Order Completed", order_id="bad", currency="BTC"),
        event("Order Completed", order_id="bad", products=[7]), event("x") | {"properties": 7},
        event("x") | {"timestamp": "yesterday"}, event("x") | {"timestamp": "1970-01-01T00:00:00Z"},
        event("Experiment Viewed", experiment_id="nowhere", variation_id="a"),
        event("Order Refunded", order_id="unheard of"), event("x") | {"anonymousId": "two words"},
        {"type": "identify", "userId": "c1", "anonymousId": "two words"},
    ]  # fmt: skip
    sent(here, *bad[:10], good, *bad[10:])
    assert here.ledger.orders() == {"good": 100}
    assert len(here.ledger.rows()) == 1
    assert len(here.ledger.quarantined()) == len(bad)


def test_nan_as_python_writes_it_keeps_out_its_message_alone(here: Here) -> None:
    orders = [event("Order Completed", order_id=key, revenue=value) for key, value in (("a", float("nan")), ("b", 2))]
    body = json.dumps({"batch": orders}).encode()
    assert b"NaN" in body
    assert here.send("/v1/batch", body).status_code == 200
    assert here.ledger.orders() == {"b": 200}


@pytest.mark.parametrize(
    ("properties", "revenue"),
    [
        ({"revenue": 25.0, "subtotal": 22, "total": 27.5, "tax": 2, "shipping": 3}, 2500),
        ({"subtotal": "22.50", "total": 27.5, "tax": 2, "shipping": 3}, 2250),
        ({"total": 27.5, "tax": 2, "shipping": 3}, 2250),
        ({"total": 27.5, "tax": "2", "shipping": 3.0, "discount": 2.5}, 2250),
        ({"total": 27.5}, 2750),
        ({"value": 22.5, "tax": 2, "shipping": 3}, 2250),
        ({"revenue": 0.1 + 0.2}, 30),
        ({}, None),
    ],
)
def test_revenue_is_after_discounts_without_tax_and_shipping(here: Here, properties: Any, revenue: int | None) -> None:
    sent(here, event("Order Completed", order_id="o1", currency="EUR", **properties))
    assert here.ledger.orders() == {"o1": revenue}


@pytest.mark.parametrize(
    "name", ["Order Completed", "Completed Order", "order_completed", "orderCompleted", "purchase"]
)
@pytest.mark.parametrize("spelling", ["order_id", "orderId", "Order ID", "transaction_id"])
def test_names_are_known_under_their_aliases(here: Here, name: str, spelling: str) -> None:
    sent(here, event(name, **{spelling: 1001, "currency": "eur", "Revenue": "5"}))
    assert here.ledger.orders() == {"1001": 500}


def test_products_become_lines_by_the_id_that_the_catalogue_knows(here: Here) -> None:
    products = [
        {"product_id": "p-77", "sku": "A1", "price": 10, "quantity": 2},
        {"productId": "B1", "price": "5.50", "quantity": "1"},
        {"item_id": "C1"},
        {"name": "Wrapping", "price": 1.25, "quantity": 1.0, "offer_id": "of_1"},
    ]
    sent(here, event("Order Completed", order_id="o1", revenue=26.75, products=products))
    assert here.ledger.lines("o1") == [("A1", 2, 1000), ("B1", 1, 550), ("C1", 1, 300), ("Wrapping", 1, 125)]


def test_refunds_take_back_what_they_say_and_a_whole_one_what_is_left(here: Here) -> None:
    orders = [event("Order Completed", order_id=f"o{i}", revenue=25, currency="EUR") for i in range(4)]
    sent(here, event("Order Refunded", order_id="o0"), *orders)  # in one batch, in the wrong order
    back = [{"product_id": "A1", "price": 10, "quantity": 1}, {"product_id": "B1", "price": 2.5, "quantity": 2}]
    for _ in range(2):
        sent(here, event("Order Refunded", order_id="o1", total=30, products=back) | {"messageId": "m1"})
        sent(here, event("Order Refunded", order_id="o2", refundId="r2", amount="5.01"))
        sent(here, event("Order Refunded", order_id="o1") | {"messageId": "m2"})
    assert here.ledger.refunds() == {"whole:o0": 2500, "m1": 1500, "r2": 501, "whole:o1": 1000}


def test_a_cancelled_order_is_one(here: Here) -> None:
    sent(here, event("Order Completed", order_id="o1", revenue=25), event("Order Cancelled", order_id="o1"))
    assert [row["type"] for row in here.ledger.rows()] == ["order_cancelled", "order"]
    assert here.ledger.rows("order")[0]["cancelled_at"] is not None


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("Experiment Viewed", {"experiment_id": "offers", "variation_id": "upsell"}),
        ("Experiment Viewed", {"experimentId": "offers", "variationId": "upsell"}),
        ("Experiment Viewed", {"experiment_id": "7", "experiment_name": "offers", "variation_name": "upsell"}),
        ("$experiment_started", {"Experiment name": "offers", "Variant name": "upsell"}),
        ("$$experiment_viewed", {"experiment_id": "offers", "variation_id": 1, "variation_key": "upsell"}),
        ("Promotion Viewed", {"promotion_id": "offers", "creative": "upsell"}),
        ("Viewed Promotion", {"promotion_id": "summer", "experiment_id": "offers", "variation_id": "upsell"}),
    ],
)
def test_exposures_are_known_under_every_name(here: Here, name: str, properties: Any) -> None:
    sent(here, event(name, **properties))
    assert ("offers", "viewed", "v1", "upsell") in here.ledger.exposures()


def test_interactions_and_other_events_are_conversions(here: Here) -> None:
    sent(
        here,
        event("Promotion Clicked", promotion_id="offers", creative="upsell", position="cart") | {"messageId": "1"},
        event("Offer Dismissed", offer_id="of_1", experiment="offers", variant="upsell") | {"messageId": "2"},
        event("Promotion Viewed", promotion_id="spring sale") | {"messageId": "3"},
        event("Product Viewed", product_id="A1") | {"messageId": "4"},
        {"type": "page", "anonymousId": "v1", "name": "Home", "messageId": "5"},
        {"type": "screen", "anonymousId": "v1", "messageId": "6"},
        event("Newsletter Signed Up", value=3.5) | {"messageId": "7"},
        event("購入", value="much") | {"messageId": "8"},
        {"type": "group", "userId": "c1", "groupId": "g"},
    )
    found = [(row["type"], row["experiment"], row["variant"], row["offer_id"]) for row in here.ledger.rows()]
    assert found == [
        ("offer_accepted", "offers", "upsell", "offers"), ("offer_dismissed", "offers", "upsell", "of_1"),
        ("promotion_viewed", None, None, None), ("page_view", None, None, None), ("page_view", None, None, None),
        ("page_view", None, None, None), ("newsletter_signed_up", None, None, None),
        ("%E8%B3%BC%E5%85%A5", None, None, None),
    ]  # fmt: skip
    assert here.ledger.rows("newsletter_signed_up")[0]["value"] == 3.5


def test_logins_link_a_visitor_to_a_customer(here: Here) -> None:
    sent(
        here,
        {"type": "identify", "userId": "c1", "anonymousId": "v1", "traits": {"email": "a@example.com"}},
        {"type": "alias", "userId": 17, "previousId": "v2"},
        {"type": "identify", "userId": "c3"},
        {"type": "identify", "anonymousId": "v4"},
    )
    assert here.send("/v1/i", {"userId": "c5", "anonymousId": "v5"}).status_code == 200
    assert here.ledger.links() == {("v1", "c1"), ("v2", "17"), ("v5", "c5")}


@pytest.mark.parametrize("off_by", [timedelta(0), timedelta(hours=9), timedelta(days=-400)])
def test_a_client_whose_clock_is_off_is_corrected(here: Here, off_by: timedelta) -> None:
    now = datetime.now(UTC)
    theirs = now + off_by
    body = {"timestamp": (theirs - timedelta(minutes=10)).isoformat(), "messageId": "m"}
    sent(here, event("Order Completed", order_id="o1", revenue=1) | body, sentAt=theirs.isoformat())
    at = moment(here.ledger.rows("order")[0]["at"])
    assert abs(at - (now - timedelta(minutes=10))) < timedelta(seconds=30)


def test_without_a_sending_time_the_events_own_time_stands(here: Here) -> None:
    for i, at in enumerate(["2026-11-01T10:00:00Z", "2026-11-01T11:00:00+01:00", "2026-11-01T10:00:00.000"]):
        message = event("Order Completed", order_id=f"o{i}", revenue=1)
        sent(here, message | {"timestamp": at}, message | {"originalTimestamp": at})
    assert {row["at"] for row in here.ledger.rows("order")} == {micros(datetime(2026, 11, 1, 10, tzinfo=UTC))}


def test_a_message_without_an_id_is_known_again_by_its_content(here: Here) -> None:
    message = event("Saved Cart") | {"timestamp": "2026-11-01T10:00:00Z"}
    for second in (1, 2):
        sent(here, message, sentAt=f"2026-11-01T10:00:0{second}Z")
    assert len(here.ledger.rows("saved_cart")) == 1


def test_a_refused_message_counts_once_its_reason_is_gone(here: Here) -> None:
    refund = event("Order Refunded", order_id="late") | {"timestamp": "2026-11-01T10:00:00Z"}
    sent(here, refund, {"type": "sing", "userId": "c"}, 7)
    sent(here, event("Order Completed", order_id="late", revenue=25) | {"timestamp": "2026-11-01T09:00:00Z"})
    assert here.ledger.refunds() == {}
    again, writer = all_doors(here.engine)["segment"], EventWriter(here.engine)
    with reading(here.engine) as conn:
        quarantined = list(held(conn, here.shop.storefront.id))
    receipts = [again(writer, here.shop.view, one) for one in quarantined]
    assert sorted((r.accepted, len(r.rejected)) for r in receipts) == [(0, 1), (0, 1), (1, 0)]
    assert here.ledger.refunds() == {"whole:late": 2500}
    assert here.ledger.rows("refund")[0]["at"] == micros(datetime(2026, 11, 1, 10, tzinfo=UTC))
    assert len(here.ledger.quarantined()) == 3  # whoever replays lets go of what counted
