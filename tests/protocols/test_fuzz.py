"""Whatever comes in through any intake: never an error of ours, never a sum that changed."""

import gzip
import itertools
import json
import tracemalloc
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.money import LARGEST_MINOR
from experiments.service import inbox
from experiments.storage.database import writing
from experiments.storage.inbox import Source
from tests.conftest import sqlite_copy
from tests.protocols.inprocess import Here, application
from tests.protocols.test_webhooks import SEAL, SECRET, deliver, example, payload
from tests.shop import NOW

EXAMPLES = settings(max_examples=30, deadline=None)
numbers = itertools.count(1)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=12)
    | st.sampled_from([
        "", "NaN", "sNaN", "Infinity", "-1", "1e400", "1e-400", "1e-999999999", "0.1", "٣", "EUR", "JPY", "BTC", "v1",
        "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-11-20T10:00:00", "2026-13-01T00:00:00Z", "offers",
        "\x00", "\ud800", "a" * 3000,
    ])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
PROPERTIES = st.dictionaries(
    st.sampled_from([
        "order_id", "revenue", "total", "subtotal", "tax", "shipping", "discount", "currency", "products", "refund_id",
        "amount", "value", "experiment_id", "variation_id", "promotion_id", "creative", "Order ID", "cost",
    ]),
    VALUES | st.lists(st.dictionaries(st.sampled_from(["product_id", "sku", "quantity", "price", "cost"]), VALUES)),
    max_size=6,
)  # fmt: skip
NAMES = st.sampled_from([
    "Order Completed", "Order Refunded", "Order Cancelled", "Order Updated", "Experiment Viewed", "Promotion Viewed",
    "Promotion Clicked", "Offer Dismissed", "Product Viewed", "x", "購",
])  # fmt: skip
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "identify", "page", "alias", "group"]) | VALUES},
    optional={
        "event": NAMES | VALUES, "properties": PROPERTIES | VALUES, "anonymousId": st.just("f1") | VALUES,
        "userId": st.just("f2") | VALUES, "messageId": VALUES, "timestamp": VALUES, "previousId": VALUES,
        "originalTimestamp": VALUES, "sentAt": VALUES, "context": VALUES,
    },
)  # fmt: skip


def written(value: Any) -> bytes:
    """As Python's clients write it: NaN and halves of surrogate pairs included."""
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def here(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with application(sqlite_copy(template, tmp_path_factory.mktemp("fuzz"))) as opened:
        yield with_secrets(opened)


def with_secrets(opened: Callable[[], Here]) -> Here:
    made = opened()
    with writing(made.engine) as conn:
        for source in ("shopify", "woocommerce"):
            inbox.add_webhook(conn, made.shop.storefront.id, source, SECRET, NOW, "test", SEAL)
    return made


def good_orders(here: Here) -> dict[str, int]:
    """Revenue of the orders that no fuzz made; of the others nothing but that it is money."""
    found = here.ledger.rows("order")
    assert all(row["revenue"] is None or 0 <= row["revenue"] <= LARGEST_MINOR for row in found)
    refunds = here.ledger.refunds().values()
    assert all(0 <= refunded <= LARGEST_MINOR for refunded in refunds)
    return {row["order_id"]: row["revenue"] for row in found if row["order_id"].startswith("good-")}


@EXAMPLES
@given(before=st.lists(MESSAGES | VALUES, max_size=4), after=st.lists(MESSAGES, max_size=4), sent_at=VALUES)
def test_a_batch_of_anything_is_taken_and_its_good_order_counts(
    here: Here, before: list[Any], after: list[Any], sent_at: Any
) -> None:
    expected, number = good_orders(here), next(numbers)
    good = {"type": "track", "event": "Order Completed", "anonymousId": "v1",
            "properties": {"order_id": f"good-{number}", "revenue": number / 100, "currency": "EUR"}}  # fmt: skip
    body = written({"batch": [*before, good, *after], "sentAt": sent_at})
    for _ in range(2):
        answer = here.send("/v1/batch", body)
        assert (answer.status_code, answer.json) == (200, {"success": True}), body
    assert good_orders(here) == expected | {f"good-{number}": number}


@EXAMPLES
@given(path=st.sampled_from(["track", "t", "i", "p", "s", "a", "g", "b", "batch", "import"]),
       body=st.binary(max_size=80) | VALUES.map(written) | MESSAGES.map(written),
       encoding=st.sampled_from(["", "gzip", "identity", "x"]))  # fmt: skip
def test_no_body_breaks_the_tracking_api(here: Here, path: str, body: bytes, encoding: str) -> None:
    expected = good_orders(here)
    assert here.send(f"/v1/{path}", body, {"Content-Encoding": encoding}).status_code in {200, 400, 415}
    assert good_orders(here) == expected


@EXAMPLES
@given(path=st.sampled_from(["/v1/conversions", "/v1/exposures", "/v1/identities", "/track?client_key={key}"]),
       body=st.binary(max_size=80) | VALUES.map(written) | st.lists(PROPERTIES, max_size=4).map(written)
       | st.lists(st.fixed_dictionaries({"event_name": NAMES, "properties_json": PROPERTIES})).map(written)
       | st.fixed_dictionaries({"type": st.sampled_from(["order", "refund", "page_view"])},
                               optional=dict.fromkeys(("order_id", "revenue", "value", "amount"), VALUES)
                               | {"visitor_id": st.just("f1"), "occurred_at": VALUES}).map(written))  # fmt: skip
def test_no_body_breaks_the_other_intakes(here: Here, path: str, body: bytes) -> None:
    expected = good_orders(here)
    answer = here.send(path.format(key=here.key), body)
    assert answer.status_code in {200, 400, 422}, (body, answer.text)
    assert good_orders(here) == expected


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


ORDERS = {source: example(source) for source in ("shopify", "woocommerce")}
TOPICS = {
    "shopify": ("orders/paid", "orders/updated", "refunds/create"),
    "woocommerce": ("order.created", "order.updated"),
}
WAYS = {source: list(places(body)) for source, (_, body) in ORDERS.items()}


@EXAMPLES
@given(data=st.data(), source=st.sampled_from(["shopify", "woocommerce"]))
def test_no_signed_order_breaks_the_inbox(here: Here, data: st.DataObject, source: Source) -> None:
    expected, number = good_orders(here), next(numbers)
    body = deepcopy(ORDERS[source][1]) | {"id": f"f{number}"}
    for way in data.draw(st.lists(st.sampled_from(WAYS[source]), max_size=3)):
        inner: Any = body
        try:
            for step in way[:-1]:
                inner = inner[step]
            inner[way[-1]] = data.draw(VALUES)
        except (KeyError, IndexError, TypeError):
            pass  # a place that an earlier change took away
    raw = written(body)
    for _ in range(2):
        answer = deliver(here, source, data.draw(st.sampled_from(TOPICS[source])), raw, f"d{number}")
        assert answer.status_code == 200, (raw, answer.text)
        assert answer.json["state"] in {"done", "ignored", "failed"}
    assert good_orders(here) == expected


@EXAMPLES
@given(body=st.binary(max_size=60) | VALUES.map(written), topic=st.sampled_from(["orders/paid", "refunds/create", "x"]))
def test_no_signed_body_breaks_the_inbox(here: Here, body: bytes, topic: str) -> None:
    assert deliver(here, "shopify", topic, body, f"d{next(numbers)}").status_code == 200


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("JPY", "500", 500), ("KWD", "1.234", 1234), ("EUR", "1.23", 123)]
)
def test_money_survives_in_every_exponent(here: Here, currency: str, amount: str, minor: int) -> None:
    with writing(here.engine) as conn:
        conn.exec_driver_sql(f"UPDATE storefront SET currency = '{currency}' WHERE key = '{here.shop.storefront.key}'")
        conn.exec_driver_sql("UPDATE revision SET number = number + 1")
    here.client.application.extensions["offerlab"].snapshots.refresh(NOW)
    order = {"order_id": f"money-{currency}", "revenue": amount, "currency": currency}
    here.send("/v1/t", {"event": "Order Completed", "anonymousId": "v1", "properties": order})
    shopify = payload("shopify_order", id=f"shopify-{currency}", currency=currency, taxes_included=False)
    shopify["subtotal_price_set"]["shop_money"] = {"amount": amount, "currency_code": currency}
    deliver(here, "shopify", "orders/paid", shopify, currency)
    assert {here.ledger.orders()[f"{by}-{currency}"] for by in ("money", "shopify")} == {minor}
    here.send(
        "/v1/t",
        {"event": "Order Completed", "anonymousId": "v1", "properties": order | {"currency": "BTC", "order_id": "b"}},
    )
    assert "b" not in here.ledger.orders()


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track"])
def test_a_small_body_that_swells_is_not_swallowed(here: Here, path: str) -> None:
    """A hundred megabytes of one letter are a hundred kilobytes on the wire: only the limit is unpacked."""
    bomb = gzip.compress(b'{"event": "' + b"x" * 100_000_000 + b'"}')
    assert len(bomb) < 200_000
    tracemalloc.start()
    answer = here.send(path, bomb, {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 20_000_000
