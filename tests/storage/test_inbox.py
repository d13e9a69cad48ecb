"""The inbox of webhooks, on both databases: a delivery is there before it is read, and is read to the end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, insert, select

from experiments.errors import Conflict, Invalid, NotFound, Unavailable
from experiments.moment import DAY, Micros
from experiments.sealing import Seal, Unsealable
from experiments.service import inbox
from experiments.service.inbox import Meaning
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.inbox import Delivery, deliveries, forget_bodies, live_secrets, put_delivery, seal_secrets
from experiments.storage.people import Person, delete_person
from experiments.storage.tables import conversion, webhook_secret
from tests.shop import NOW, Shop, open_shop, order

SEAL = Seal(["a key of the installation"])
SECRETS = ["first secret 0123", "second secret 0123", "third secret 0123"]


@pytest.fixture
def shop(engine: Engine) -> Iterator[Shop]:
    return open_shop(engine)


def delivery(number: int = 1) -> Delivery:
    body = json.dumps(order(f"o{number}", "v1", "10.00")).encode()
    return Delivery("shopify", f"d{number}", "orders/paid", {"X-Shopify-Topic": "orders/paid"}, body, NOW)


def as_it_came(view: StorefrontView, given: Delivery) -> Meaning:
    return Meaning((given.body,))


def orders(engine: Engine) -> int:
    with reading(engine) as conn:
        return int(conn.scalar(select(func.count()).select_from(conversion)) or 0)


def test_a_delivery_that_nobody_came_to_read_is_read_when_it_comes_again(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        put_delivery(conn, shop.storefront.id, delivery())  # and here the process died
    assert orders(shop.engine) == 0
    writer = EventWriter(shop.engine)
    again = inbox.take_delivery(shop.engine, writer, shop.view, delivery(), as_it_came, NOW, lambda: "x")
    assert (again.state, orders(shop.engine)) == ("done", 1)


def test_a_delivery_that_nobody_came_to_read_is_read_by_a_replay(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        for number in range(3):
            put_delivery(conn, shop.storefront.id, delivery(number))
    readers = {"shopify": as_it_came, "woocommerce": as_it_came}
    tried = inbox.replay(shop.engine, EventWriter(shop.engine), shop.view, readers, NOW, lambda: "x")
    assert [held.state for held in tried] == ["done"] * 3
    assert orders(shop.engine) == 3
    assert inbox.replay(shop.engine, EventWriter(shop.engine), shop.view, readers, NOW, lambda: "x") == []


def test_a_store_that_goes_away_in_between_leaves_the_delivery_open(shop: Shop) -> None:
    def away(view: StorefrontView, given: Delivery) -> Meaning:
        raise Unavailable("just now")

    writer = EventWriter(shop.engine)
    with pytest.raises(Unavailable):
        inbox.take_delivery(shop.engine, writer, shop.view, delivery(), away, NOW, lambda: "x")
    with reading(shop.engine) as conn:
        assert [held.state for held in deliveries(conn, shop.storefront.id, ["received"])] == ["received"]
    done = inbox.take_delivery(shop.engine, writer, shop.view, delivery(), as_it_came, NOW, lambda: "x")
    assert (done.state, orders(shop.engine)) == ("done", 1)


def test_a_delivery_that_comes_many_times_at_once_counts_once(shop: Shop) -> None:
    writer, view = EventWriter(shop.engine), shop.view

    def take(number: int) -> str:
        held = inbox.take_delivery(shop.engine, writer, view, delivery(number % 4), as_it_came, NOW, lambda: "x")
        return held.state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(take, range(64))) == {"done"}
    assert orders(shop.engine) == 4
    with reading(shop.engine) as conn:
        assert len(deliveries(conn, shop.storefront.id, ["done"])) == 4


def test_secrets_end_when_their_grace_does(shop: Shop) -> None:
    here, later = shop.storefront.id, Micros(NOW + DAY)

    def live(at: Micros) -> list[str]:
        with reading(shop.engine) as conn:
            return live_secrets(conn, here, "shopify", at, SEAL)

    with writing(shop.engine) as conn:
        with pytest.raises(NotFound):
            inbox.rotate_webhook(conn, here, "shopify", SECRETS[0], later, NOW, "test", SEAL)
        with pytest.raises(Invalid):
            inbox.add_webhook(conn, here, "shopify", "short", NOW, "test", SEAL)
        inbox.add_webhook(conn, here, "shopify", SECRETS[0], NOW, "test", SEAL)
        with pytest.raises(Conflict):
            inbox.add_webhook(conn, here, "shopify", SECRETS[1], NOW, "test", SEAL)
        inbox.rotate_webhook(conn, here, "shopify", SECRETS[1], later, NOW, "test", SEAL)
    assert live(NOW) == [SECRETS[1], SECRETS[0]]
    assert live(Micros(later - 1)) == [SECRETS[1], SECRETS[0]]
    assert live(later) == [SECRETS[1]]
    with writing(shop.engine) as conn:
        inbox.rotate_webhook(conn, here, "shopify", SECRETS[2], later, NOW, "test", SEAL)
    assert live(NOW) == [SECRETS[2], SECRETS[1]], "two at most: the oldest goes at once"


def test_only_settled_bodies_are_forgotten(shop: Shop) -> None:
    writer, here = EventWriter(shop.engine), shop.storefront.id
    inbox.take_delivery(shop.engine, writer, shop.view, delivery(1), as_it_came, NOW, lambda: "x")
    with writing(shop.engine) as conn:
        put_delivery(conn, here, delivery(2))
        assert forget_bodies(conn, here, NOW) == 0
        assert forget_bodies(conn, here, Micros(NOW + 1)) == 1
        assert forget_bodies(conn, here, Micros(NOW + 1)) == 0
        assert [bool(held.delivery.body) for held in deliveries(conn, here, ["received", "done"])] == [False, True]


def test_a_persons_deliveries_are_erased_and_nobody_elses(shop: Shop) -> None:
    here = shop.storefront.id
    theirs = [
        b'{"id":1,"customer":{"id":7}}',
        b'{"id":2,"note_attributes":[{"name":"offerlab_visitor_id","value":"v7"}]}',
        b'{"id":3,"customer":{"admin_graphql_api_id":"gid:\\/\\/shopify\\/Customer\\/7"}}',
        b'{"id":900,"order_id":90}',  # a refund of an order that is known to be theirs
        b'{"id":90}',
        b"v7{",
    ]
    others = [
        b'{"id":7,"customer":{"id":8},"line_items":[{"quantity":7,"product_id":7,"sku":"7"}]}',
        b'{"id":77,"customer":{"id":77},"note_attributes":[{"name":"offerlab_visitor_id","value":"v77"}]}',
    ]
    with writing(shop.engine) as conn:
        for i, body in enumerate([*theirs, *others]):
            topic = "refunds/create" if b"order_id" in body else "orders/paid"
            put_delivery(conn, here, Delivery("shopify", f"d{i}", topic, {}, body, NOW))
        person = Person(frozenset(["v7"]), frozenset(["7"]), frozenset(["90"]))
        assert delete_person(conn, here, person)["webhook_delivery"] == len(theirs)
        assert delete_person(conn, here, person)["webhook_delivery"] == 0
        assert [held.delivery.body for held in deliveries(conn, here, ["received"])] == others


def test_secrets_lie_sealed_and_outlive_a_change_of_the_key(shop: Shop) -> None:
    here = shop.storefront.id
    with writing(shop.engine) as conn:
        inbox.add_webhook(conn, here, "shopify", SECRETS[0], NOW, "test", SEAL)
        conn.execute(insert(webhook_secret).values(  # from before secrets were sealed
            storefront_id=here, source="woocommerce", secret=SECRETS[1], created_at=NOW))  # fmt: skip
    newer = Seal(["the next key", "a key of the installation"])
    with reading(shop.engine) as conn:
        assert live_secrets(conn, here, "shopify", NOW, newer) == SECRETS[:1]
        assert live_secrets(conn, here, "woocommerce", NOW, newer) == SECRETS[1:2]
        with pytest.raises(Unsealable):
            live_secrets(conn, here, "shopify", NOW, Seal(["the next key"]))
    with writing(shop.engine) as conn:
        assert seal_secrets(conn, newer) == 2
        lying = str(conn.execute(select(webhook_secret)).all())
        assert not any(secret in lying for secret in SECRETS)
        assert live_secrets(conn, here, "shopify", NOW, Seal(["the next key"])) == SECRETS[:1]
        assert live_secrets(conn, here, "woocommerce", NOW, Seal(["the next key"])) == SECRETS[1:2]
