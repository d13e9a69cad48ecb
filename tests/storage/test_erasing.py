"""Erased means nowhere to be found; exported means the same file every time."""

import json
from datetime import date
from pathlib import Path

import pytest
from pyarrow import dataset
from sqlalchemy import Engine, func, select

from experiments.errors import Conflict, Invalid
from experiments.moment import DAY, Micros, iso
from experiments.service import defining
from experiments.service.erasing import erase, erase_before, person_data, person_of
from experiments.service.exporting import export
from experiments.service.recording import record_conversions
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.tables import conversion, exposure, metadata
from tests.shop import NOW, Shop, experiment, exposed, open_shop, order, refund

EARLIER = iso(Micros(NOW - 3 * DAY))


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Two people, one with two visitors, in every place that keeps anything."""
    opened = open_shop(engine)
    opened.define(experiment(), now=Micros(NOW - 10 * DAY))
    lines = [{"product_id": "A1", "quantity": 1, "price": 5}]
    for person, visitors in (("anna", ("anna-phone", "anna-desk")), ("bob", ("bob-phone",))):
        for visitor in visitors:
            opened.expose(exposed(visitor, "upsell"), exposed(visitor, "bundle", occurred_at=EARLIER))
            opened.convert(
                order(f"o-{visitor}", visitor, "5.00", items=lines), refund(f"r-{visitor}", f"o-{visitor}", 1)
            )
            opened.link(visitor, person)
        opened.convert(order(f"c-{person}", None, "9.00", customer_id=person, items=lines, occurred_at=EARLIER))
        opened.convert({"type": "order_cancelled", "order_id": f"c-{person}"})
        opened.convert({"type": "order", "visitor_id": visitors[0], "revenue": "much"})
        opened.convert({"type": "offer_accepted", "visitor_id": visitors[0], "event_id": f"e-{person}"})
    escaped = json.dumps(order("o9", "anna-phone", "x")).replace("anna-phone", "\\u0061nna-phone").encode()
    record_conversions(EventWriter(engine), opened.view, [escaped], NOW, lambda: "unused")
    return opened


def everything(engine: Engine) -> str:
    with reading(engine) as conn:
        tables = {table.name: conn.execute(select(table)).all() for table in metadata.sorted_tables}
    return str(tables)


def test_a_customer_is_erased_with_all_its_visitors(shop: Shop) -> None:
    with reading(shop.engine) as conn:
        anna = person_of(conn, shop.storefront.id, None, "anna")
        kept = person_data(conn, shop.storefront, anna)
    assert {name for name, rows in kept.items() if rows} == {
        "order_line", "conversion", "exposure", "crossover", "link", "visitor_customer", "quarantine",
    }  # fmt: skip
    with writing(shop.engine) as conn:
        gone = erase(conn, shop.storefront, anna, "test", NOW)
    left = everything(shop.engine)
    assert "anna" not in left
    assert "\\u0061nna" not in left
    assert left.count("bob") > 10
    assert {name: rows for name, rows in gone.items() if rows} == {
        name: len(rows) for name, rows in kept.items() if rows
    }


def test_a_visitor_is_erased_alone(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        erase(conn, shop.storefront, person_of(conn, shop.storefront.id, "anna-phone", None), "test", NOW)
    left = everything(shop.engine)
    assert "anna-phone" not in left
    assert "anna-desk" in left
    with reading(shop.engine) as conn, pytest.raises(Invalid):
        person_of(conn, shop.storefront.id, "a", "b")


def test_another_storefront_keeps_its_people(engine: Engine, shop: Shop) -> None:
    other = open_shop(engine, "other")
    with writing(engine) as conn:
        gone = erase(conn, other.storefront, person_of(conn, other.storefront.id, None, "anna"), "test", NOW)
    assert not any(gone.values())
    assert "anna" in everything(engine)


def test_events_past_their_time_go_unless_an_experiment_still_measures(shop: Shop) -> None:
    yesterday = Micros(NOW - DAY)
    with writing(shop.engine) as conn, pytest.raises(Conflict, match="running"):
        erase_before(conn, shop.storefront, Micros(NOW + DAY), "test", NOW)
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", NOW)
        erase_before(conn, shop.storefront, yesterday, "test", NOW)
    with reading(shop.engine) as conn:
        assert conn.scalar(select(func.min(conversion.c.at))) >= yesterday
        assert conn.scalar(select(func.count()).select_from(exposure)) > 0


def exported(shop: Shop, directory: Path, since: date | None = None) -> dict[str, int]:
    with reading(shop.engine) as conn:
        written = list(export(conn, shop.storefront, directory, since))
    return {str(file.path.relative_to(directory)): file.rows for file in written}


def test_exporting_again_writes_the_same_files(shop: Shop, tmp_path: Path) -> None:
    first = exported(shop, tmp_path / "lake")
    bytes_ = {name: (tmp_path / "lake" / name).read_bytes() for name in first}
    assert set(first) >= {f"conversions/day=2026-11-{day}/part-0.parquet" for day in (17, 20)}
    assert exported(shop, tmp_path / "lake") == first
    assert {name: (tmp_path / "lake" / name).read_bytes() for name in first} == bytes_
    read = dataset.dataset(tmp_path / "lake" / "conversions", partitioning="hive").to_table().to_pylist()
    with reading(shop.engine) as conn:
        kept = {r.event_key: (r.revenue, r.visitor_id) for r in conn.execute(select(conversion))}
    assert {row["event_key"]: (row["revenue"], row["visitor_id"]) for row in read} == kept
    assert str(read[0]["day"]) == "2026-11-17"


def test_a_day_that_is_empty_now_loses_its_file_and_earlier_days_stay(shop: Shop, tmp_path: Path) -> None:
    everything_ = exported(shop, tmp_path)
    with writing(shop.engine) as conn:
        for customer in ("anna", "bob"):
            erase(conn, shop.storefront, person_of(conn, shop.storefront.id, None, customer), "test", NOW)
    again = exported(shop, tmp_path, date(2026, 11, 18))
    assert again == {name: 0 for name in everything_ if "day=2026-11-20" in name}
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")}
    assert left == {name for name in everything_ if "day=2026-11-17" in name}
