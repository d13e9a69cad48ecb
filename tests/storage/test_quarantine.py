"""What is refused is kept, counted, bounded, and counts once it can be read."""

import json

import pytest
from sqlalchemy import Engine, select

from experiments.service.recording import Receipt, quarantine, record_exposures
from experiments.service.replaying import release, replay
from experiments.storage import quarantine as store
from experiments.storage.database import reading
from experiments.storage.eventwriter import EventWriter
from experiments.storage.quarantine import Reason, Refused, held, reasons
from experiments.storage.tables import conversion, exposure
from tests.shop import NOW, Shop, experiment, exposed, open_shop, order


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


def in_quarantine(shop: Shop):
    with reading(shop.engine) as conn:
        return list(held(conn, shop.storefront.id))


def test_refused_events_are_kept_as_they_came_beside_the_good_ones(shop: Shop) -> None:
    bad = order("o2", "v1", "1.00", currency="USD")
    receipt = shop.convert(order("o1", "v1", "1.00"), bad)
    assert (receipt.accepted, len(receipt.rejected)) == (1, 1)
    (event,) = in_quarantine(shop)
    assert (event.source, event.code, event.count, event.whole) == ("conversions", "wrong_currency", 1, True)
    assert json.loads(event.body) == bad
    assert event.message == receipt.rejected[0].message


def test_the_same_refused_event_is_counted_not_kept_twice(shop: Shop) -> None:
    for _ in range(3):
        shop.convert({"type": "order"}, {"type": "order"})
    (event,) = in_quarantine(shop)
    assert event.count == 6
    with reading(shop.engine) as conn:
        assert reasons(conn, shop.storefront.id) == [Reason("conversions", "invalid", 1, 6, NOW)]


def test_replay_after_a_fix_counts_each_event_once(shop: Shop) -> None:
    shop.expose(*(exposed(f"v{i}", "upsell") for i in range(3)))
    shop.convert({"type": "order"})
    shop.define(experiment())
    found = replay(shop.engine, shop.view)
    assert (found.accepted, found.duplicate, len(found.refused)) == (3, 0, 1)
    assert replay(shop.engine, shop.view).accepted == 0
    assert [event.code for event in in_quarantine(shop)] == ["invalid"]
    with reading(shop.engine) as conn:
        assert set(conn.scalars(select(exposure.c.at))) == {NOW}  # they happened when they came
    assert release(shop.engine, shop.view, None) == 1
    assert in_quarantine(shop) == []


def test_an_event_without_an_id_is_replayed_as_one(shop: Shop) -> None:
    raw = json.dumps({"type": "survey", "visitor_id": "v1"}).encode()
    quarantine(EventWriter(shop.engine), shop.view, [Refused("conversions", raw, "malformed", "a test")] * 2, NOW)
    assert replay(shop.engine, shop.view).accepted == 1
    with reading(shop.engine) as conn:
        assert len(conn.execute(select(conversion.c.id)).all()) == 1


def test_quarantine_is_bounded_by_number_age_and_size(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_ROWS", 10)
    for i in range(25):
        shop.convert({"type": "order", "order_id": f"o{i}"})
    assert [json.loads(event.body)["order_id"] for event in in_quarantine(shop)] == [f"o{i}" for i in range(15, 25)]
    shop.convert({"type": "order", "order_id": "x" * 100_000}, now=NOW + store.LONGEST_STAY + 1)
    (event,) = in_quarantine(shop)
    assert (len(event.body), event.whole) == (store.LARGEST_BODY, False)
    assert replay(shop.engine, shop.view).refused == {event.id: "only its beginning was kept"}


def test_bytes_that_are_no_text_are_kept(shop: Shop) -> None:
    raws = [b"\xff\x00{", b'"\\u0000"', b"[1", b""]
    receipt = record_exposures(EventWriter(shop.engine), shop.view, raws, NOW)
    assert len(receipt.rejected) == 4
    assert {event.body for event in in_quarantine(shop)} == set(raws)


def test_another_storefront_sees_none_of_it(engine: Engine, shop: Shop) -> None:
    other = open_shop(engine, "other")
    shop.convert({"type": "order"})
    assert in_quarantine(other) == []
    assert replay(engine, other.view).refused == {}
    assert other.convert(order("o1", "v1", 1)) == Receipt(accepted=1)
