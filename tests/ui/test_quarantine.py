"""The quarantine page: what was refused, why, how often, as it came; and that its buttons do what they say."""

import json
from collections.abc import Callable
from html import unescape

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from experiments.service.recording import quarantine as keep
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.inbox import Delivery, put_delivery
from experiments.storage.quarantine import Refused, held
from experiments.storage.tables import conversion, webhook_delivery
from tests.shop import NOW, Shop, experiment, exposed, open_shop, order
from tests.ui.browser import Browser, Form

PAGE = "/s/shop/quarantine/"


def forms(browser: Browser, path: str = PAGE) -> list[Form]:
    answer = browser.get(path)
    return [browser.read(answer, number) for number in range(answer.text.count("<form"))]


def press(browser: Browser, button: str, path: str = PAGE, **wanted: str) -> TestResponse:
    """Press the first button of that name in a form with these fields."""
    form = next(
        f for f in forms(browser, path) if ("do", button) in f.buttons and wanted.items() <= dict(f.fields).items()
    )
    return browser.send(form, path, ("do", button))


def left(shop: Shop) -> list[str]:
    with reading(shop.engine) as conn:
        return [event.code for event in held(conn, shop.storefront.id)]


def test_an_empty_quarantine_says_so_and_is_in_the_navigation(editor: Browser, shop: Shop) -> None:
    page = editor.text(PAGE)
    assert "Nothing is refused" in page
    assert f'href="{PAGE}"' in editor.text("/s/shop/catalogue/")


def test_it_shows_what_was_refused_why_and_how_often(editor: Browser, shop: Shop) -> None:
    for _ in range(3):
        line = {"product_id": "<b>", "quantity": 1, "price": 1}
        shop.convert(order("o1", "v1", "5.00", currency="USD", items=[line]))
    page = editor.text(PAGE)
    assert "wrong_currency" in page
    assert "came 3 times" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "offerlab import rates" in page


def test_a_replay_counts_what_can_be_read_by_now(editor: Browser, shop: Shop) -> None:
    shop.expose(*(exposed(f"v{i}", "upsell") for i in range(3)))
    shop.convert({"type": "order"})
    assert sorted(left(shop)) == ["invalid", *["unknown_experiment"] * 3]
    page = press(editor, "replay", source="exposures", code="unknown_experiment")
    assert page.status_code == 302
    assert "3 events are still refused" in editor.text(PAGE)
    shop.define(experiment())
    press(editor, "replay", source="exposures", code="unknown_experiment")
    page = editor.text(PAGE)
    assert "3 events count now" in page
    assert left(shop) == ["invalid"]


def test_events_are_discarded_one_by_one(editor: Browser, shop: Shop) -> None:
    shop.convert({"type": "order", "order_id": "a"}, {"type": "order", "order_id": "b"})
    with reading(shop.engine) as conn:
        first, second = (event.id for event in held(conn, shop.storefront.id))
    assert press(editor, "discard", id=str(second)).status_code == 302
    with reading(shop.engine) as conn:
        assert [event.id for event in held(conn, shop.storefront.id)] == [first]


def test_what_every_intake_refused_is_tried_through_its_own_door(editor: Browser, shop: Shop) -> None:
    message = {"message": {"type": "track", "event": "Order Completed", "anonymousId": "v1",
                           "properties": {"order_id": "s1", "revenue": 5}}}  # fmt: skip
    event = {"event_name": "purchase", "device_id": "v1", "properties_json": {"order_id": "g1", "revenue": 6}}
    bodies = {"segment": json.dumps(message), "growthbook": json.dumps(event), "nowhere": "{"}
    refused = [Refused(source, body.encode(), "mended", "x") for source, body in bodies.items()]
    keep(EventWriter(shop.engine), shop.view, refused, NOW)
    for source in ("segment", "growthbook", "nowhere"):
        press(editor, "replay", source=source, code="mended")
    with reading(shop.engine) as conn:
        assert set(conn.scalars(select(conversion.c.order_id))) == {"s1", "g1"}
    assert "nothing here reads nowhere" in editor.text(PAGE)


def test_many_events_are_shown_page_by_page(editor: Browser, shop: Shop) -> None:
    shop.convert(*({"type": "order", "order_id": f"o{i}"} for i in range(60)))
    assert "Page 1 of 3" in editor.text(PAGE)
    assert "Page 3 of 3" in editor.text(f"{PAGE}?page=99")
    assert "Page 2 of 3" in editor.text(f"{PAGE}?page=2&source=conversions&code=invalid")
    assert editor.text(f"{PAGE}?source=conversions&code=nothing").count("As it came") == 0


def test_webhooks_that_wait_are_tried_and_settled(sign_in: Callable[[str], Browser], shop: Shop) -> None:
    asked = json.dumps({"customer": {"id": 42}}).encode()
    paid = json.dumps({"id": 7, "financial_status": "paid", "currency": "EUR", "subtotal_price": "5.00"}).encode()
    with writing(shop.engine) as conn:
        came = [("customers/data_request", asked), ("orders/paid", paid), ("orders/paid", b"{")]
        for i, (topic, body) in enumerate(came):
            put_delivery(conn, shop.storefront.id, Delivery("shopify", f"d{i}", topic, {}, body, NOW))
    shop.convert(order("o1", None, "1.00", customer_id="42"))
    admin = sign_in("admin")
    assert press(admin, "replay").status_code == 302
    page = admin.text(PAGE)
    assert "3 tried, 2 still wait" in page
    assert page.count("Download their data") == 1
    person = admin.client.get(f"{PAGE}person/42.json")
    assert [row["order_id"] for row in json.loads(person.data)["conversion"]] == ["o1"]
    for _ in range(2):
        assert press(admin, "settle").status_code == 302
    with reading(shop.engine) as conn:
        assert set(conn.scalars(select(webhook_delivery.c.state))) == {"done", "ignored"}
    assert sign_in("editor").client.get(f"{PAGE}person/42.json").status_code == 403


@pytest.mark.parametrize("role", ["viewer"])
def test_who_only_reads_sees_it_and_changes_nothing(role: str, sign_in: Callable[[str], Browser], shop: Shop) -> None:
    shop.convert({"type": "order"})
    viewer = sign_in(role)
    assert "As it came" in viewer.text(PAGE)
    assert not any("quarantine" in form.action for form in forms(viewer))
    token = dict(viewer.form("/s/shop/").fields)["csrf_token"]
    wish = {"csrf_token": token, "do": "discard", "source": "conversions", "code": "invalid"}
    answer = viewer.client.post(PAGE, data=wish)
    assert answer.status_code == 403
    assert left(shop) == ["invalid"]


def test_another_storefronts_events_are_out_of_reach(editor: Browser, shop: Shop) -> None:
    other = open_shop(shop.engine, "other")
    other.convert({"type": "order"})
    with reading(shop.engine) as conn:
        number = next(iter(held(conn, other.storefront.id))).id
    shop.convert({"type": "order", "order_id": "mine"})
    form = next(f for f in forms(editor) if dict(f.fields).get("id")).set("id", str(number))
    editor.send(form, PAGE, ("do", "discard"))
    assert left(other) == ["invalid"]


def test_a_reason_of_several_fields_reads_in_english_as_programs_got_it(editor: Browser, shop: Shop) -> None:
    shop.convert(order("o1", "v1", "-5.00", tax="-1.20"), order("o2", "v1", "5.00", currency="EURO"))
    page = unescape(editor.text(PAGE))
    with reading(shop.engine) as conn:
        reasons = [event.message for event in held(conn, shop.storefront.id)]
    assert len(reasons) == 2
    assert [reason for reason in reasons if reason not in page] == []
