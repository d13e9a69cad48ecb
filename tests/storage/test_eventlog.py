"""Acknowledged means durable, once: on SQLite and on PostgreSQL."""

import itertools
import json
import multiprocessing

import pytest
from sqlalchemy import Engine, func, select

from experiments.service.recording import Receipt, record_conversions, record_exposures
from experiments.service.snapshot import Snapshot
from experiments.storage.database import connect, reading
from experiments.storage.eventwriter import EventWriter
from experiments.storage.tables import conversion, crossover, exposure, order_line
from tests.shop import NOW, Shop, experiment, exposed, open_shop, order, refund


@pytest.fixture
def shop(engine: Engine) -> Shop:
    opened = open_shop(engine)
    opened.define(experiment())
    return opened


def rows(shop: Shop, table, *columns):
    with reading(shop.engine) as conn:
        return [tuple(r) for r in conn.execute(select(*columns).select_from(table).order_by(*columns))]


def test_a_repeated_exposure_is_a_duplicate_and_changes_nothing(shop: Shop) -> None:
    assert shop.expose(exposed("v1", "upsell")) == Receipt(accepted=1)
    before = rows(shop, exposure, *exposure.c)
    assert shop.expose(exposed("v1", "upsell"), exposed("v1", "upsell")) == Receipt(duplicate=2)
    assert rows(shop, exposure, *exposure.c) == before


def test_a_view_implies_an_assignment(shop: Shop) -> None:
    shop.expose(exposed("v1", "upsell", kind="viewed"), exposed("v2", "upsell", kind="assigned"))
    assert rows(shop, exposure, exposure.c.unit_id, exposure.c.kind) == [
        ("v1", "assigned"), ("v1", "viewed"), ("v2", "assigned"),
    ]  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
def test_a_different_variant_later_is_a_crossover_kept_apart(shop: Shop, together: bool) -> None:
    met = [exposed("v1", "upsell"), exposed("v1", "bundle"), exposed("v1", "bundle")]
    for batch in [met] if together else [[one] for one in met]:
        shop.expose(*batch)
    assert {r[0] for r in rows(shop, exposure, exposure.c.variant)} == {"upsell"}
    assert rows(shop, crossover, crossover.c.unit_id, crossover.c.variant) == [("v1", "bundle")]


def test_one_bad_event_is_named_and_the_good_ones_are_kept(shop: Shop) -> None:
    receipt = shop.expose(
        exposed("v1", "upsell"), exposed("v2", "nobody"), exposed("v 3", "bundle"), exposed("v4", "bundle")
    )
    assert (receipt.accepted, receipt.duplicate) == (2, 0)
    assert [(r.index, r.code) for r in receipt.rejected] == [(1, "unknown_variant"), (2, "invalid")]
    assert "visitor_id" in receipt.rejected[1].message


def test_an_order_and_its_refund_count_once_whichever_comes_first(shop: Shop) -> None:
    events = [
        order("o1", "v1", "20.00", items=[{"product_id": "A1", "quantity": 2, "price": "10"}]),
        refund("r1", "o1", 5),
    ]
    for number, arrival in enumerate(itertools.permutations(events)):
        renamed = [json.loads(json.dumps(e).replace("o1", f"o{number}").replace("r1", f"r{number}")) for e in arrival]
        for event in renamed:
            assert shop.convert(event) == Receipt(accepted=1)
            assert shop.convert(event) == Receipt(duplicate=1)
    found = rows(shop, conversion, conversion.c.type, conversion.c.visitor_id, conversion.c.order_at)
    assert found == [("order", "v1", None)] * 2 + [("refund", "v1", NOW)] * 2
    assert len(rows(shop, order_line, order_line.c.order_id)) == 2


def test_costs_come_from_the_catalogue_where_the_order_brings_none(shop: Shop) -> None:
    lines = [{"product_id": "A1", "quantity": 3, "price": "10"}]
    shop.convert(
        order("o1", "v1", 30, items=lines),
        order("o2", "v1", 3, items=[{"product_id": "C1", "quantity": 1, "price": 3}]),
    )
    assert rows(shop, conversion, conversion.c.order_id, conversion.c.cost) == [("o1", 1200), ("o2", None)]


def test_money_of_another_currency_is_refused_with_its_reason(shop: Shop) -> None:
    receipt = shop.convert(order("o1", "v1", 20, currency="USD"))
    assert receipt.rejected[0].code == "wrong_currency"
    assert rows(shop, conversion, conversion.c.order_id) == []


def test_a_conversion_without_an_id_is_known_by_its_content(shop: Shop) -> None:
    seen = {"type": "page_view", "visitor_id": "v1", "occurred_at": "2026-11-20T10:00:00Z"}
    assert shop.convert(seen) == Receipt(accepted=1)
    assert shop.convert(dict(reversed(seen.items()))) == Receipt(duplicate=1)


def _send(url: str, exposures: list[bytes], conversions: list[bytes], done) -> None:
    engine = connect(url)
    with reading(engine) as conn:
        view = next(iter(Snapshot.load(conn).storefronts.values()))
    writer, accepted = EventWriter(engine), 0
    for start in range(0, len(exposures), 20):
        accepted += record_exposures(writer, view, exposures[start : start + 20], NOW).accepted
        accepted += record_conversions(writer, view, conversions[start : start + 20], NOW, lambda: "unused").accepted
    engine.dispose()
    done.put(accepted)


def test_two_processes_that_send_everything_twice_count_it_once(shop: Shop, database_url: str) -> None:
    exposures = [json.dumps(exposed(f"v{i}", "upsell" if i % 2 else "bundle")).encode() for i in range(400)]
    conversions = [json.dumps(order(f"o{i}", f"v{i}", "12.34")).encode() for i in range(400)]
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    processes = [
        context.Process(target=_send, args=(database_url, exposures[::step] * 2, conversions[::step] * 2, done))
        for step in (1, -1)
    ]
    for process in processes:
        process.start()
    accepted = sum(done.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    assert accepted == 800
    with reading(shop.engine) as conn:
        assert conn.scalar(select(func.count()).select_from(exposure).where(exposure.c.kind == "assigned")) == 400
        assert conn.scalar(select(func.sum(conversion.c.revenue))) == 400 * 1234
