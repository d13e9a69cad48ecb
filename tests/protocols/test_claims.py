"""The tie-out over every intake: what the shop sold = what was analysed + excluded, each for a named reason."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from experiments.moment import DAY, Micros, iso
from experiments.service import defining, inbox
from experiments.storage.database import writing
from experiments.storage.rates import Rate, put_rates
from tests.conftest import sqlite_copy
from tests.protocols.inprocess import Here, application
from tests.protocols.test_webhooks import SEAL, SECRET, deliver, state
from tests.shop import NOW, a_a
from webapp.cli import offerlab
from webapp.clock import now

PREVIEW = "a-colleague"


@pytest.fixture(scope="module")
def open_here(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Here]]:
    with application(sqlite_copy(template, tmp_path_factory.mktemp("claims"))) as opened:
        yield opened


@pytest.fixture
def here(open_here: Callable[[], Here]) -> Here:
    made = open_here()
    made.shop.define(a_a("same", coverage=10_000, allow_list={PREVIEW: "control"}))
    with writing(made.engine) as conn:
        defining.act(conn, made.shop.storefront, "offers", "stop", "test", NOW)
        inbox.add_webhook(conn, made.shop.storefront.id, "shopify", SECRET, NOW, "test", SEAL)
    return made


def paid(number: int, visitor: str | None, amount: str, currency: str = "EUR", **changes: Any) -> dict[str, Any]:
    notes = [] if visitor is None else [{"name": "offerlab_visitor_id", "value": visitor}]
    made = {"id": number, "financial_status": "paid", "currency": currency, "subtotal_price": amount}
    return made | {"note_attributes": notes, "created_at": iso(now())} | changes


def books(here: Here) -> dict[str, Any]:
    where = ["--storefront", here.shop.storefront.key, "--database", str(here.engine.url)]
    days = ["--from", "2020-01-01", "--to", "2099-12-31", "--format", "json"]
    done = CliRunner().invoke(offerlab, ["reconcile", *where, *days])
    return json.loads(done.output)


def account(found: dict[str, Any], experiment: str) -> dict[str, tuple[int, str]]:
    mine = next(one for one in found["experiments"] if one["experiment"] == experiment)
    assert mine["balanced"]
    parts = [{"reason": "analysed", **mine["analysed"]}, *mine["excluded"]]
    return {part["reason"]: (part["orders"], part["revenue"]) for part in parts}


def test_what_the_shop_sold_is_analysed_or_excluded_for_a_named_reason_to_the_cent(here: Here) -> None:
    shop = here.shop.storefront
    with writing(here.engine) as conn:
        put_rates(conn, shop.id, [Rate("USD", 0, Decimal("0.5"))])
    lab = here.client.application.extensions["offerlab"]
    lab.snapshots.refresh(now())

    def ask(visitor: str, agent: str = "Mozilla/5.0") -> Any:
        headers = {"Authorization": f"Bearer {here.key}", "User-Agent": agent}
        body = {"visitor_id": visitor, "placement": "cart", "context": {"product_id": "A1"}}
        return here.client.post("/v1/assignments", json=body, headers=headers).json

    early = paid(1, "v1", "10.01", created_at=iso(Micros(now() - DAY)))
    deliver(here, "shopify", "orders/paid", early, "d1")
    assert ask("v1")["reason"] == "assigned"
    assert ask("bot", "Googlebot/2.1 (+http://www.google.com/bot.html)")["reason"] == "bot"
    assert ask(PREVIEW)["reason"] == "forced"
    sent = [
        paid(2, "v1", "20.02"), paid(3, "v1", "30.03", "USD"), paid(4, "bot", "1.11"), paid(5, PREVIEW, "2.22"),
        paid(6, None, "3.33"),
    ]  # fmt: skip
    assert [state(deliver(here, "shopify", "orders/paid", one, f"s{one['id']}")) for one in sent] == ["done"] * 5
    for number, changes in (
        (7, {"test": True}),
        (8, {"source_name": "pos"}),
        (9, {"source_name": "shopify_draft_order"}),
    ):
        assert (
            state(deliver(here, "shopify", "orders/paid", paid(number, "v1", "7.77", **changes), f"i{number}"))
            == "ignored"
        )
    assert state(deliver(here, "shopify", "orders/paid", paid(10, "v1", "9.99", "GBP"), "f1")) == "failed"
    assert (
        state(deliver(here, "shopify", "orders/create", paid(11, "v1", "5.00", financial_status="pending"), "p1"))
        == "ignored"
    )
    bad = {"order_id": "s1", "revenue": 8.88, "products": [5]}
    here.send("/v1/t", {"event": "Order Completed", "anonymousId": "v1", "properties": bad})
    bought = {"order_id": "g1", "items": [5], "revenue": 4.44}
    event = {"event_name": "purchase", "device_id": "v1", "properties_json": bought}
    here.send(f"/track?client_key={here.key}", [event])
    found = books(here)
    assert found["received"] == {"orders": 12, "revenue": "88.34", "unpriced": 1}
    assert account(found, "same") == {
        "analysed": (2, "35.04"),  # 20.02, and 30.03 USD at a half
        "before_exposure": (1, "10.01"), "no_exposure": (2, "3.33"), "no_unit": (1, "3.33"),
        "refused: test_order": (1, "7.77"), "refused: pos": (1, "7.77"), "refused: shopify_draft_order": (1, "7.77"),
        "refused: wrong_currency": (1, "0.00"), "refused: invalid": (2, "13.32"),
    }  # fmt: skip
    report = CliRunner().invoke(offerlab, [
        "report", "same", "--storefront", shop.key, "--database", str(here.engine.url), "--format", "json",
    ])  # fmt: skip
    aov = next(m for m in json.loads(report.output)["metrics"] if m["metric"] == "aov")
    assert round(sum(v["numerator"] or 0 for v in aov["variants"]) * 100) == 3504
    assert sum(v["denominator"] or 0 for v in aov["variants"]) == 2
