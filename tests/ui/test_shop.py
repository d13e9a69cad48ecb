"""The demo's shop without a browser's help: by its forms, and as its script asks it."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from experiments.errors import Invalid
from experiments.moment import DAY, Micros
from experiments.service.settings import create_key
from experiments.storage.database import writing
from experiments.storage.tables import conversion, exposure, order_line
from tests.shop import PRODUCTS, Shop, open_shop
from webapp import create_app
from webapp.clock import now
from webapp.config import Settings
from webapp.lab import new_token
from webapp.shop.visitor import VISITOR

SECRET = "for tests only"
TITLES = {p["product_id"]: p["title"] for p in PRODUCTS}


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path, engine_of_shop: Shop) -> Iterator[Flask]:
    """The application with its shop open."""
    keys = {}
    for kind in ("public", "secret"):
        with writing(engine_of_shop.engine) as conn:
            keys[kind] = create_key(conn, engine_of_shop.storefront.id, kind, new_token(), now(), "test")
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(keys))
    made = create_app(Settings(database_url=sqlite_url, secret_key=SECRET, shop_keys=str(file)))
    yield made
    made.extensions["offerlab"].close()


@pytest.fixture
def engine_of_shop(sqlite_url: str) -> Iterator[Shop]:
    """The storefront, with an experiment whose variants all show the same bundle in the cart."""
    from experiments.storage.database import connect

    opened = open_shop(connect(sqlite_url))
    bundle = {"type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}}
    after = {"type": "cross_sell", "pick": "explicit", "products": {"*": ["C1"]}, "discount": {"percent": "50"}}
    for key, placement, offer in (("offers", "cart", bundle), ("after", "post_purchase", after)):
        variants = [{"key": k, "weight": 5000, "offer": offer} for k in ("control", "same")]
        metrics = {"primary": "revenue_per_visitor"}
        opened.define({"key": key, "placement": placement, "variants": variants, "metrics": metrics}, now=now())
    yield opened
    opened.engine.dispose()


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """Somebody who lets the shop measure."""
    client = app.test_client()
    client.set_cookie("shop_consent", "yes", path="/shop")
    client.set_cookie(VISITOR, "v1")
    return client


def add(client: FlaskClient, product_id: str, quantity: int = 1) -> None:
    assert client.post("/shop/cart/add", data={"product_id": product_id, "quantity": quantity}).status_code == 302


def offered(app: Flask, client: FlaskClient, placement: str, *cart: str) -> dict[str, Any]:
    """The assignment, as the snippet gets it."""
    key = app.extensions["offerlab.shop"].public_key
    context = {"cart": [{"product_id": product_id} for product_id in cart]}
    body = {"visitor_id": "v1", "placement": placement, "context": context}
    answer = client.post("/v1/assignments", json=body, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text
    return answer.json


def accept(client: FlaskClient, met: dict[str, Any], to: str = "basket") -> Any:
    """What the shop's script sends when an offer is accepted."""
    said = {name: met["offer"].get(name) for name in ("offer_id", "type", "base_product_id")}
    body = said | {"price_token": met["price_token"], "placement": met["placement"]}
    return client.post(f"/shop/offers/{to}", json=body)


def pay(client: FlaskClient) -> Any:
    page = client.get("/shop/checkout").text
    order_id = page.split('name="order_id" value="')[1].split('"')[0]
    return client.post("/shop/checkout", data={"order_id": order_id})


def orders(shop: Shop) -> list[dict[str, Any]]:
    with shop.engine.connect() as conn:
        return [dict(r) for r in conn.execute(select(conversion).where(conversion.c.type == "order")).mappings()]


def lines(shop: Shop) -> set[tuple[str, int, int, bool]]:
    with shop.engine.connect() as conn:
        rows = conn.execute(select(order_line)).mappings()
        return {(r["product_id"], r["quantity"], r["price"], r["offer"] is not None) for r in rows}


def test_there_is_no_shop_where_nobody_asked_for_one(sqlite_url: str) -> None:
    made = create_app(Settings(database_url=sqlite_url, secret_key=SECRET))
    assert made.test_client().get("/shop/").status_code == 404
    made.extensions["offerlab"].close()


def test_keys_that_are_not_there_are_told_at_the_start(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="OFFERLAB_SHOP_KEYS"):
        create_app(Settings(database_url=sqlite_url, secret_key=SECRET, shop_keys=str(tmp_path / "none.json")))


def test_every_product_has_its_page_and_its_shelf(app: Flask) -> None:
    client = app.test_client()
    everything = client.get("/shop/")
    for product in PRODUCTS:
        assert product["title"] in everything.text
        assert product["title"] in client.get(f"/shop/p/{product['product_id']}").text
    mugs = client.get("/shop/c/Mugs").text
    assert "/shop/p/A3" in mugs
    assert "/shop/p/B1" not in mugs
    assert "default-src 'none'" in everything.headers["Content-Security-Policy"]
    assert "unsafe" not in everything.headers["Content-Security-Policy"]
    for path in ("/shop/p/none", "/shop/c/none", "/shop/none"):
        missing = client.get(path)
        assert missing.status_code == 404
        assert "Back to the shop" in missing.text


def test_a_basket_is_filled_changed_emptied_and_paid_without_a_script_or_consent(
    app: Flask, engine_of_shop: Shop
) -> None:
    client = app.test_client()
    add(client, "A1", 2)
    add(client, "A1")
    add(client, "B2")  # sold out
    page = client.get("/shop/cart").text
    assert "€30.00" in page
    assert TITLES["B2"] not in page
    client.post("/shop/cart/change", data={"product_id": "A1", "quantity": "1"})
    assert client.get("/shop/checkout").text.count("€14.90") == 2  # with shipping, as the total and on the button
    said = pay(client)  # what is sold out is told before anything is paid
    assert "sold out" in said.text
    assert pay(client).headers["Location"] == "/shop/thanks"
    assert "€14.90" in client.get("/shop/thanks").text
    assert client.get("/shop/checkout").headers["Location"] == "/shop/cart"
    (order,) = orders(engine_of_shop)
    assert (order["revenue"], order["shipping"], order["visitor_id"]) == (1000, 490, None)


def test_pressing_the_button_twice_orders_once(visitor: FlaskClient, engine_of_shop: Shop) -> None:
    add(visitor, "A1")
    page = visitor.get("/shop/checkout").text
    order_id = page.split('name="order_id" value="')[1].split('"')[0]
    for _ in range(3):
        assert visitor.post("/shop/checkout", data={"order_id": order_id}).headers["Location"] == "/shop/thanks"
    assert len(orders(engine_of_shop)) == 1


def test_an_accepted_offer_is_paid_at_the_promised_price_and_told(
    app: Flask, visitor: FlaskClient, engine_of_shop: Shop
) -> None:
    add(visitor, "A1")
    met = offered(app, visitor, "cart", "A1")
    assert met["offer"]["price"] == "17.55"
    assert accept(visitor, met).json == {"next": "/shop/cart"}
    accept(visitor, met)  # again changes nothing
    page = visitor.get("/shop/cart").text
    assert "€17.55 instead of €19.50" in page
    pay(visitor)
    (order,) = orders(engine_of_shop)
    assert (order["revenue"], order["discount"], order["visitor_id"]) == (2755, 195, "v1")
    assert lines(engine_of_shop) == {("A1", 1, 1000, False), ("A2", 1, 1400, True), ("B1", 1, 550, True)}


def test_the_order_grows_by_what_is_accepted_afterwards_and_counts_where_it_was_shown(
    app: Flask, visitor: FlaskClient, engine_of_shop: Shop
) -> None:
    add(visitor, "A1")
    pay(visitor)
    with engine_of_shop.engine.connect() as conn:  # met before the order was placed, so the order is in the comparison
        met_at = conn.execute(select(exposure.c.at).where(exposure.c.unit_id == "v1")).scalar_one()
    (before,) = orders(engine_of_shop)
    assert met_at <= before["at"]
    met = offered(app, visitor, "post_purchase", "A1")
    assert accept(visitor, met, "order").json == {"next": "/shop/thanks"}
    (after,) = orders(engine_of_shop)
    assert (after["revenue"], after["discount"], after["shipping"], after["version"]) == (1150, 150, 490, 1)
    assert "€16.40" in visitor.get("/shop/thanks").text


def test_a_price_that_is_no_longer_true_is_told_before_anything_is_paid(
    app: Flask, visitor: FlaskClient, engine_of_shop: Shop
) -> None:
    from experiments.catalogue import parse_product
    from experiments.service import settings

    add(visitor, "A1")
    accept(visitor, offered(app, visitor, "cart", "A1"))
    gone = [parse_product(p | {"stock": 0}, "EUR") for p in PRODUCTS if p["product_id"] == "B1"]
    with writing(engine_of_shop.engine) as conn:
        settings.store_products(conn, engine_of_shop.storefront.id, gone, now())
    app.extensions["offerlab"].snapshots.refresh(now())
    said = pay(visitor)
    assert said.status_code == 200
    assert "sold out" in said.text
    assert orders(engine_of_shop) == []
    pay(visitor)
    assert lines(engine_of_shop) == {("A1", 1, 1000, False), ("A2", 1, 1400, False)}


def test_a_proof_of_somebody_elses_or_of_nobodys_buys_nothing(app: Flask, visitor: FlaskClient) -> None:
    met = offered(app, visitor, "cart", "A1")
    for forged in (met | {"price_token": "a.b"}, met | {"offer": met["offer"] | {"offer_id": "of_other"}}):
        refused = accept(visitor, forged)
        assert refused.status_code == 409
        assert refused.json["message"]
    visitor.set_cookie(VISITOR, "v2")
    assert accept(visitor, met).status_code == 409
    visitor.set_cookie("shop_consent", "no", path="/shop")
    assert accept(visitor, met).status_code == 403
    assert accept(visitor, met, "order").status_code == 409  # there is no order
    assert "nothing in it" in visitor.get("/shop/cart").text


def test_what_is_previewed_is_no_part_of_the_comparison(app: Flask, visitor: FlaskClient, engine_of_shop: Shop) -> None:
    from experiments.service.serving import Preview
    from webapp.visit import PREVIEW, sealed

    token = sealed(app.extensions["offerlab"], "shop", Preview("after", "same"), Micros(now() + DAY))
    visitor.set_cookie(PREVIEW, token)
    assert token in visitor.get("/shop/").text
    add(visitor, "A1")
    pay(visitor)
    with engine_of_shop.engine.connect() as conn:
        assert conn.execute(select(exposure)).all() == []
    assert visitor.post("/shop/preview/end", data={"back": "/shop/cart"}).headers["Location"] == "/shop/cart"
    assert token not in visitor.get("/shop/").text


def test_leaving_an_offer_takes_its_products_out(app: Flask, visitor: FlaskClient) -> None:
    add(visitor, "A1")
    met = offered(app, visitor, "cart", "A1")
    accept(visitor, met)
    visitor.post("/shop/cart/leave", data={"offer_id": met["offer"]["offer_id"]})
    page = visitor.get("/shop/cart").text
    assert "€10.00" in page
    assert "Your offer" not in page


def test_a_forged_or_broken_cookie_is_an_empty_basket(visitor: FlaskClient) -> None:
    for forged in ("x", "W10.abc", "é"):
        visitor.set_cookie("shop_basket", forged, path="/shop")
        assert "nothing in it" in visitor.get("/shop/cart").text


def test_the_choice_is_kept_and_can_be_changed(app: Flask) -> None:
    client = app.test_client()
    assert 'id="consent"' in client.get("/shop/").text
    client.post("/shop/consent", data={"measure": "yes", "back": "/shop/p/A1"})
    assert 'id="consent"' not in client.get("/shop/").text
    assert client.post("/shop/consent", data={"back": "//evil.example"}).headers["Location"] == "/shop/"
    assert 'id="consent"' in client.get("/shop/").text


def test_the_shop_sells_while_the_database_takes_nothing_and_tells_later(
    app: Flask, visitor: FlaskClient, engine_of_shop: Shop
) -> None:
    add(visitor, "A1")
    accept(visitor, offered(app, visitor, "cart", "A1"))
    locked = sqlite3.connect(engine_of_shop.engine.url.database or "", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")  # whoever writes waits, longer than a shop may
    try:
        assert pay(visitor).headers["Location"] == "/shop/thanks"
        page = visitor.get("/shop/thanks").text
        assert "€32.45" in page
        assert "data-offerlab-order" in page  # the browser tells as well, in case the server cannot
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    for _ in range(300):  # the shop rests for some seconds before it asks again
        if "data-offerlab-order" not in visitor.get("/shop/thanks").text:
            break
        time.sleep(0.1)
    (order,) = orders(engine_of_shop)
    assert (order["revenue"], order["visitor_id"]) == (2755, "v1")
