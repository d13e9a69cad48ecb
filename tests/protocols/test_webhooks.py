"""Webhooks of Shopify and WooCommerce: who may send them, what each says, and that nothing counts twice."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.test import TestResponse

from experiments.errors import NotFound
from experiments.moment import DAY, Micros
from experiments.sealing import Seal, Unsealable
from experiments.service import inbox
from experiments.storage.database import writing
from experiments.storage.inbox import Source
from tests.conftest import sqlite_copy
from tests.protocols.inprocess import Here, application
from tests.shop import NOW
from webapp.cli import offerlab
from webapp.clock import now

PAYLOADS = Path(__file__).parent / "payloads"
SECRET = "shpss_0123456789abcdef"
SEAL = Seal(["test"])  # as the application's
NAMES: dict[Source, tuple[str, str, str]] = {
    "shopify": ("X-Shopify-Hmac-Sha256", "X-Shopify-Topic", "X-Shopify-Webhook-Id"),
    "woocommerce": ("X-WC-Webhook-Signature", "X-WC-Webhook-Topic", "X-WC-Webhook-Delivery-ID"),
}
SOURCES = list(NAMES)


@pytest.fixture(scope="module")
def open_here(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Here]]:
    with application(sqlite_copy(template, tmp_path_factory.mktemp("webhooks"))) as opened:
        yield opened


@pytest.fixture
def here(open_here: Callable[[], Here]) -> Here:
    made = open_here()
    with writing(made.engine) as conn:
        for source in SOURCES:
            inbox.add_webhook(conn, made.shop.storefront.id, source, SECRET, NOW, "test", SEAL)
    return made


def payload(name: str, **changes: Any) -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_bytes()) | changes


def signed(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def deliver(
    here: Here, source: Source, topic: str, body: Any, delivery: str = "d1", secret: str = SECRET, **headers: str
) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    signature, topic_name, id_name = NAMES[source]
    sent = {signature: signed(raw, secret), topic_name: topic, id_name: delivery, "Content-Type": "application/json"}
    path = f"/webhooks/{source}/{here.shop.storefront.key}"
    return here.client.post(path, data=raw, headers=sent | {k.replace("_", "-"): v for k, v in headers.items()})


def state(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json["state"])


def example(source: Source) -> tuple[str, dict[str, Any]]:
    return (
        ("orders/paid", payload("shopify_order"))
        if source == "shopify"
        else ("order.created", payload("woocommerce_order"))
    )


@pytest.mark.parametrize("source", SOURCES)
def test_an_order_is_told_in_revenue_without_tax_and_shipping(here: Here, source: Source) -> None:
    assert state(deliver(here, source, *example(source))) == "done"
    [order] = here.ledger.rows("order")
    named = ("visitor_id", "currency", "revenue", "discount", "shipping", "tax", "item_count")
    assert [order[name] for name in named] == ["visitor-42", "EUR", 3800, 500, 496, 816, 4]
    assert order["customer_id"] == {"shopify": "207119551", "woocommerce": "26"}[source]
    assert order["order_id"] == {"shopify": "5678901234567", "woocommerce": "727"}[source]
    assert order["at"] == 1_795_170_600_000_000  # 2026-11-20T10:30:00Z
    assert here.ledger.lines(order["order_id"]) == [("A1", 3, 901 if source == "shopify" else 900),
                                                    ("B1", 1, 1098 if source == "shopify" else 1100)]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_nobody_but_the_shop_can_deliver(here: Here, source: Source) -> None:
    topic, body = example(source)
    raw = json.dumps(body).encode()
    for wrong in ("", "x", signed(raw, "another secret 0123"), signed(raw)[:-4], signed(raw).lower(), "ä" * 44):
        answer = deliver(here, source, topic, raw, **{NAMES[source][0]: wrong})
        assert answer.status_code == 401
        assert {"code", "message"} <= answer.json.keys()
    assert here.ledger.inbox() == []
    assert here.client.post("/webhooks/shopify/nobody", data=raw).status_code == 404
    assert here.client.post(f"/webhooks/magento/{here.shop.storefront.key}", data=raw).status_code == 404


@pytest.mark.parametrize("source", SOURCES)
def test_a_body_changed_by_one_byte_is_refused(here: Here, source: Source) -> None:
    topic, body = example(source)
    raw = json.dumps(body).encode()
    for i in range(0, len(raw), 97):
        changed = raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]
        assert deliver(here, source, topic, changed, **{NAMES[source][0]: signed(raw)}).status_code == 401
    assert here.ledger.rows() == []


def test_a_storefront_without_a_secret_takes_nothing(open_here: Callable[[], Here]) -> None:
    here = open_here()
    for secret in (SECRET, ""):
        assert deliver(here, "shopify", *example("shopify"), secret=secret).status_code == 401


def test_one_storefronts_secret_opens_no_other(here: Here, open_here: Callable[[], Here]) -> None:
    other = open_here()
    with writing(other.engine) as conn:
        inbox.add_webhook(conn, other.shop.storefront.id, "shopify", "another secret 0123", NOW, "test", SEAL)
    assert deliver(other, "shopify", *example("shopify")).status_code == 401


@pytest.mark.parametrize("source", SOURCES)
def test_a_replay_changes_nothing(here: Here, source: Source) -> None:
    topic, body = example(source)
    for delivery in ("d1", "d1", "d2"):
        assert state(deliver(here, source, topic, body, delivery)) == "done"
    assert here.ledger.summed() == (1, 3800)
    assert len(here.ledger.inbox()) == 2


def test_both_secrets_sign_while_they_are_rotated_and_the_old_one_ends(here: Here) -> None:
    new, at, shop = "shpss_fedcba9876543210", now(), here.shop.storefront.id
    topic, body = example("shopify")

    def answers() -> list[int]:
        return [deliver(here, "shopify", topic, body, f"{s}-{at}", s).status_code for s in (SECRET, new)]

    assert answers() == [200, 401]
    with writing(here.engine) as conn:
        inbox.rotate_webhook(conn, shop, "shopify", new, Micros(at + DAY), at, "test", SEAL)
    assert answers() == [200, 200]
    with writing(here.engine) as conn:
        assert inbox.withdraw_webhook(conn, shop, "shopify", now(), "test") == 1
    assert answers() == [401, 200]
    with writing(here.engine) as conn:
        inbox.rotate_webhook(
            conn, shop, "shopify", SECRET, Micros(at - 1), at, "test", SEAL
        )  # the grace is over already
    assert answers() == [200, 401]


def test_shopifys_refund_is_on_the_footing_of_the_revenue(here: Here) -> None:
    for order in ("refund first", "again"):
        assert state(deliver(here, "shopify", "refunds/create", payload("shopify_refund"), order)) == "done"
        assert state(deliver(here, "shopify", *example("shopify"), delivery=f"{order} o")) == "done"
    # 16.62 went back: 10.72 for a mug, 1.71 of it tax, and 5.90 of shipping with its tax
    assert here.ledger.refunds() == {"929361462": 901}
    assert here.ledger.rows("refund")[0]["visitor_id"] == "visitor-42"


def test_an_order_tells_of_its_refunds_once_more(here: Here) -> None:
    refund = payload("shopify_refund")
    updated = payload("shopify_order", financial_status="partially_refunded", refunds=[refund])
    assert state(deliver(here, "shopify", "orders/updated", updated, "d1")) == "done"
    assert state(deliver(here, "shopify", "refunds/create", refund, "d2")) == "done"
    assert here.ledger.refunds() == {"929361462": 901}
    assert here.ledger.summed() == (1, 3800)


def test_an_edited_order_counts_in_its_latest_version_whichever_comes_first(here: Here) -> None:
    first, later = payload("shopify_order"), payload("shopify_order", updated_at="2026-11-20T12:00:00+01:00")
    later["subtotal_price_set"]["shop_money"]["amount"] = "57.22"
    for body in (first, later, first):
        deliver(here, "shopify", "orders/updated", body, body["updated_at"])
    assert here.ledger.summed() == (1, 5000)


@pytest.mark.parametrize(
    ("topic", "changes"),
    [
        ("orders/paid", {"test": True}),
        ("orders/paid", {"source_name": "pos"}),
        ("orders/paid", {"source_name": "shopify_draft_order"}),
        ("orders/create", {"financial_status": "pending"}),
        ("orders/updated", {"financial_status": "authorized"}),
        ("orders/edited", {}),
        ("products/update", {}),
        ("", {}),
    ],
)
def test_what_is_no_sale_of_the_storefront_is_ignored_with_its_reason(here: Here, topic: str, changes: Any) -> None:
    answer = deliver(here, "shopify", topic, payload("shopify_order", **changes))
    assert state(answer) == "ignored"
    assert answer.json["reason"]
    assert here.ledger.rows() == []


def test_a_refund_without_money_is_none(here: Here) -> None:
    for i, transactions in enumerate([[], [{"kind": "refund", "status": "pending", "amount": "5.00"}]]):
        body = payload("shopify_refund", transactions=transactions)
        assert state(deliver(here, "shopify", "refunds/create", body, str(i))) == "ignored"


@pytest.mark.parametrize("source", SOURCES)
def test_a_cancelled_order_counts_no_more(here: Here, source: Source) -> None:
    topic, body = example(source)
    deliver(here, source, topic, body, "d1")
    gone = {"cancelled_at": "2026-11-20T12:00:00+01:00"} if source == "shopify" else {"status": "cancelled"}
    cancelled = "orders/cancelled" if source == "shopify" else "order.updated"
    assert state(deliver(here, source, cancelled, body | gone, "d2")) == "done"
    assert here.ledger.rows("order")[0]["cancelled_at"] is not None


@pytest.mark.parametrize("customer", [None, {"id": None}])
def test_a_guest_is_known_by_the_visitor_alone(here: Here, customer: Any) -> None:
    deliver(here, "shopify", "orders/paid", payload("shopify_order", customer=customer), "d1")
    assert [(r["visitor_id"], r["customer_id"]) for r in here.ledger.rows("order")] == [("visitor-42", None)]


@pytest.mark.parametrize("value", ["two words", "", "x" * 129, 7, None, {"a": 1}])
def test_a_note_that_is_no_visitors_id_is_passed_over(here: Here, value: Any) -> None:
    notes = [{"name": "offerlab_visitor_id", "value": value}]
    assert state(deliver(here, "shopify", "orders/paid", payload("shopify_order", note_attributes=notes))) == "done"
    assert [(r["visitor_id"], r["customer_id"]) for r in here.ledger.rows("order")] == [(None, "207119551")]


def test_woocommerce_tells_of_refunds_in_the_order(here: Here) -> None:
    goods, rest = {"id": 901, "reason": "", "total": "-11.90"}, {"id": 902, "reason": "", "total": "-39.22"}
    for i, refunds in enumerate(([goods], [goods], [rest, goods])):
        assert (
            state(deliver(here, "woocommerce", "order.updated", payload("woocommerce_order", refunds=refunds), str(i)))
            == "done"
        )
    # 11.90 holds 19% of tax: 10.00; all that is left of the revenue went with the rest
    assert here.ledger.refunds() == {"901": 1000, "902": 2800}
    assert here.ledger.summed() == (1, 3800)


def test_woocommerces_ping_is_answered(here: Here) -> None:
    path = f"/webhooks/woocommerce/{here.shop.storefront.key}"
    assert here.client.post(path, data={"webhook_id": "7"}).status_code == 200
    assert here.client.post(path, data={"webhook_id": "7", "more": "x"}).status_code == 401
    assert here.ledger.inbox() == []


@pytest.mark.parametrize("status", ["pending", "on-hold", "failed", "checkout-draft"])
def test_woocommerces_unpaid_orders_are_none(here: Here, status: str) -> None:
    body = payload("woocommerce_order", status=status, date_paid_gmt=None, customer_id=0)
    assert state(deliver(here, "woocommerce", "order.created", body)) == "ignored"
    for topic in ("order.deleted", "action.woocommerce_order_refunded", "coupon.created"):
        assert state(deliver(here, "woocommerce", topic, {"action": "x", "arg": 7}, topic)) == "ignored"


def test_nothing_personal_is_kept(here: Here) -> None:
    for source in SOURCES:
        deliver(here, source, *example(source))
    for held in here.ledger.inbox():
        kept = held["body"].decode() + json.dumps(held["headers"])
        for personal in ("ada@example.com", "Sample Street", "Example", "192.0.2.7", "Mozilla", "ring twice"):
            assert personal not in kept


def test_what_cannot_be_recorded_stays_with_its_reason_and_is_replayed(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = payload("shopify_order", currency="GBP")
    foreign["subtotal_price_set"]["shop_money"]["currency_code"] = "GBP"
    answers = [
        deliver(here, "shopify", "orders/paid", body, str(i)) for i, body in enumerate([foreign, b"{", {"id": [7]}])
    ]
    assert [state(answer) for answer in answers] == ["failed"] * 3
    assert here.ledger.summed() == (0, 0)
    assert here.ledger.quarantined() == []  # the inbox holds it
    key, url = here.shop.storefront.key, str(here.engine.url)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(offerlab, ["webhook", *arguments, "--storefront", key, "--database", url])
        assert done.exit_code == 0, done.output
        return done.output

    assert [line.split("\t")[4] for line in run("inbox").splitlines()] == ["failed"] * 3
    assert run("replay").splitlines()[-1] == "3 tried, 0 settled, 3 left"
    with writing(here.engine) as conn:
        conn.exec_driver_sql(
            f"UPDATE storefront SET currency = 'GBP' WHERE key = '{key}'"
        )  # the mistake was the shop's
    assert run("replay").splitlines()[-1] == "3 tried, 1 settled, 2 left"
    assert run("replay").splitlines()[-1] == "2 tried, 0 settled, 2 left"
    assert here.ledger.summed() == (1, 3800)
    assert run("forget", "--older-than", "0") == "1 bodies emptied\n"
    assert state(deliver(here, "shopify", "orders/paid", foreign, "0")) == "done"  # still known


def test_the_command_line_adds_rotates_and_withdraws(
    open_here: Callable[[], Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFERLAB_SECRET_KEY", "test")
    here = open_here()
    key, url = here.shop.storefront.key, str(here.engine.url)

    def run(*arguments: str, code: int = 0, given: str = "") -> str:
        named = ["--storefront", key, "--source", "woocommerce", "--database", url]
        done = CliRunner().invoke(offerlab, ["webhook", *arguments, *named], input=given)
        assert (done.exit_code == 0) == (code == 0), done.output
        return done.output

    run("rotate", code=1)
    first = run("add").splitlines()
    assert first[0] == f"deliver to: /webhooks/woocommerce/{key}"
    secret = first[1].removeprefix("secret: ")
    topic, body = example("woocommerce")
    assert state(deliver(here, "woocommerce", topic, body, secret=secret)) == "done"
    run("add", code=1)
    run("add", "--secret", "short", code=2)
    assert "secret:" not in run("rotate", "--secret", "-", "--grace", "1", given=f"{SECRET}\n")
    for one in (secret, SECRET):
        assert state(deliver(here, "woocommerce", topic, body, secret=one)) == "done"
    assert run("withdraw") == "the old secret is withdrawn\n"
    assert deliver(here, "woocommerce", topic, body, secret=secret).status_code == 401
    assert run("withdraw") == "there was no old secret\n"


def test_a_secret_that_another_key_sealed_is_a_503_until_that_key_is_named(
    open_here: Callable[[], Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = open_here()
    key, url = here.shop.storefront.key, str(here.engine.url)
    monkeypatch.setenv("OFFERLAB_SECRET_KEY", "the-key-before")
    added = ["webhook", "add", "--source", "shopify", "--secret", SECRET, "--storefront", key, "--database", url]
    assert CliRunner().invoke(offerlab, added).exit_code == 0
    topic, body = example("shopify")
    answer = deliver(here, "shopify", topic, body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert here.ledger.inbox() == []
    monkeypatch.setenv("OFFERLAB_SECRET_KEY", "test")
    upgrade = ["upgrade", "--database", url]
    assert isinstance(CliRunner().invoke(offerlab, upgrade).exception, Unsealable)
    monkeypatch.setenv("OFFERLAB_OLD_SECRET_KEYS", "an-older-one the-key-before")
    assert CliRunner().invoke(offerlab, upgrade).exit_code == 0
    assert state(deliver(here, "shopify", topic, body)) == "done"


def test_shopifys_request_to_forget_a_customer_is_carried_out_at_once(here: Here) -> None:
    topic, body = example("shopify")
    customer, order = str(body["customer"]["id"]), str(body["id"])
    visitor = next(note["value"] for note in body["note_attributes"] if note["name"] == "offerlab_visitor_id")
    here.shop.link(visitor, customer)
    here.shop.expose({"visitor_id": visitor, "experiment": "offers", "variant": "upsell"})
    assert state(deliver(here, "shopify", topic, body, "d1")) == "done"
    guest = body | {"id": 77, "customer": None, "note_attributes": []}
    stranger = {
        "id": 78,
        "financial_status": "paid",
        "subtotal_price": "1.00",
        "currency": "EUR",
        "customer": {"id": 5},
    }
    assert [state(deliver(here, "shopify", topic, one, f"g{i}")) for i, one in enumerate((guest, stranger))] == [
        "done", "done",
    ]  # fmt: skip
    request = {"shop_id": 1, "shop_domain": "s.example", "orders_to_redact": [77], "customer": {"id": int(customer)}}
    for _ in range(2):
        assert state(deliver(here, "shopify", "customers/redact", request, "r1")) == "done"
    assert set(here.ledger.orders()) == {"78"}
    assert (here.ledger.links(), here.ledger.exposures()) == (set(), set())
    held = here.ledger.inbox()
    assert [bool(one["body"]) for one in held] == [False, False, True, False]
    left = str(held) + str(here.ledger.rows())
    assert [name for name in (customer, visitor, order) if name in left] == []


def test_shopifys_question_about_a_customer_waits_for_a_person_and_says_how_to_answer(here: Here) -> None:
    answer = deliver(here, "shopify", "customers/data_request", {"customer": {"id": 42}, "orders_requested": []}, "q1")
    assert state(answer) == "failed"
    assert f"offerlab export DIRECTORY --storefront {here.shop.storefront.key} --customer 42" in answer.json["reason"]
    inbox.settle(here.engine, here.shop.view, here.ledger.inbox()[0]["id"], "ann@example.com", NOW)
    (one,) = here.ledger.inbox()
    assert (one["state"], one["reason"], one["body"]) == ("ignored", "settled by ann@example.com", b"")
    with pytest.raises(NotFound):
        inbox.settle(here.engine, here.shop.view, one["id"], "ann@example.com", NOW)
    for empty in ({"customer": None}, {}):
        assert state(deliver(here, "shopify", "customers/redact", empty, str(empty))) == "ignored"


def test_a_shop_that_left_is_forgotten_with_everybody_and_its_neighbours_stay(
    here: Here, open_here: Callable[[], Here]
) -> None:
    other = open_here()
    topic, body = example("shopify")
    for one in (here, other):
        one.shop.expose({"visitor_id": "v1", "experiment": "offers", "variant": "upsell"})
        one.shop.convert({"type": "order"})
        one.shop.link("v1", "c1")
    deliver(here, "shopify", topic, body)
    assert state(deliver(here, "shopify", "shop/redact", {"shop_id": 1, "shop_domain": "s"}, "r2")) == "done"
    assert (here.ledger.rows(), here.ledger.exposures(), here.ledger.links()) == ([], set(), set())
    assert here.ledger.quarantined() == []
    assert not any(one["body"] for one in here.ledger.inbox())
    assert len(other.ledger.exposures()) == 2
    assert len(other.ledger.quarantined()) == 1
    unsigned = deliver(other, "shopify", "shop/redact", {}, "r3", secret="not the secret of it")
    assert unsigned.status_code == 401
    assert len(other.ledger.exposures()) == 2
