"""Erased means nowhere to be found; exported means the same file every time."""

import json
from datetime import date
from pathlib import Path

import pytest
from pyarrow import dataset
from sqlalchemy import Engine, func, select

from experiments.definition import parse
from experiments.errors import Conflict, Invalid
from experiments.moment import DAY, Micros, iso
from experiments.service import defining, drafting, reviewing
from experiments.service.erasing import enforce_retention, erase, erase_before, person_data, person_of
from experiments.service.exporting import export
from experiments.service.recording import record_conversions
from experiments.service.settings import create_audience
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.inbox import Delivery, put_delivery
from experiments.storage.ineligibles import Ineligible, append_ineligible
from experiments.storage.offerviews import View, append_views
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import change_storefront
from experiments.storage.tables import conversion, draft, exposure, metadata
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
    opened.convert(refund("r-early", "o-bob-phone", "x"), refund("r-wrong", "o-anna-phone", "x"))
    definition = experiment("aimed", allow_list={"anna-desk": "upsell", "bob-phone": "bundle"})
    opened.define(definition | {"targeting": {"id": {"$nin": ["anna-phone", "bob-phone"]}}}, start=False)
    with writing(engine) as conn:
        reviewing.review(conn, opened.storefront, "aimed", "approved", "", "somebody", NOW)
        defining.start(conn, opened.storefront, "aimed", "test", NOW)
    typed = {
        "target_value": ["anna-phone, bob-phone", "77"],
        "targeting_json": ['{"id": "anna"}'],
        "title": ["Hannah, bob"],
    }
    with writing(engine) as conn:
        drafting.begin(conn, opened.storefront, None, "Aimed", typed, "test", NOW)
        vips = {"key": "vips", "type": "list", "attribute": "customer_id", "values": ["anna", "bob"]}
        create_audience(conn, opened.storefront.id, vips, "test", NOW)
        aimed = get_experiment(conn, opened.storefront.id, "aimed")
        append_views(conn, opened.storefront.id, [View(f"{name}-phone", 20_000) for name in ("anna", "bob")])
        append_ineligible(
            conn, [Ineligible(aimed.id, f"{name}-phone", "upsell", "no_candidate", NOW) for name in ("anna", "bob")]
        )
        for name in ("anna", "bob"):
            body = {"id": f"w-{name}", "note_attributes": [{"name": "offerlab_visitor_id", "value": f"{name}-phone"}]}
            late = {"id": 1, "order_id": f"o-{name}-phone"}  # it names the order alone
            for topic, given in (("orders/paid", body), ("refunds/create", late)):
                put_delivery(conn, opened.storefront.id, Delivery(
                    "shopify", f"{topic} {name[0]}", topic, {}, json.dumps(given).encode(), NOW))  # fmt: skip
    return opened


PERSONAL = {
    "audience", "audit", "conversion", "crossover", "draft", "experiment", "exposure", "ineligible", "link",
    "offer_view", "order_line", "quarantine", "review", "visitor_customer", "webhook_delivery",
}  # fmt: skip
"""Tables in which people's ids may stand. A table that is new belongs here, and into the fixture, or below."""
IMPERSONAL = {
    "alert", "alert_delivery", "alert_setting", "lease", "watched",
    "api_key", "bestseller", "companion", "currency_rate", "decision", "guess", "history", "lately_sold", "layer",
    "login_link", "most_viewed", "openid_binding", "placement", "product", "product_version", "product_view",
    "report_link", "revision",
    "saved_metric", "saved_offer", "storefront", "users", "webhook_secret",
}  # fmt: skip
"""Tables about shops, products and those who run experiments: none has a place for a visitor's or a customer's id."""


def tables_with(engine: Engine, *words: str) -> set[str]:
    with reading(engine) as conn:
        # as tuples: SQLAlchemy leaves the middle of a long row out of its text
        rows = {t.name: str([tuple(row) for row in conn.execute(select(t))]) for t in metadata.sorted_tables}
    return {name for name, text in rows.items() if any(word in text for word in words)}


def test_every_table_is_known_to_hold_people_or_not_to(shop: Shop) -> None:
    assert {table.name for table in metadata.sorted_tables} == PERSONAL | IMPERSONAL
    assert not PERSONAL & IMPERSONAL
    assert tables_with(shop.engine, "anna") == PERSONAL, "the fixture must put the person everywhere"


def test_an_erased_person_is_in_no_table_and_everybody_else_still_is(shop: Shop) -> None:
    before = tables_with(shop.engine, "bob")
    with writing(shop.engine) as conn:
        anna = person_of(conn, shop.storefront.id, None, "anna")
        kept = person_data(conn, shop.storefront, anna)
        erase(conn, shop.storefront, anna, "test", NOW)
    assert {name for name, rows in kept.items() if rows} == PERSONAL, "the export must find what the erasure finds"
    assert tables_with(shop.engine, "anna-", "anna'", 'anna"', "\\u0061nna") == set()
    assert tables_with(shop.engine, "bob") == before
    aimed = shop.view.experiments["aimed"].definition
    assert aimed.allow_list == {"bob-phone": "bundle"}
    assert aimed.targeting == {"id": {"$nin": ["(erased)", "bob-phone"]}}
    assert shop.view.experiments["offers"].definition.variants == parse(experiment()).variants
    with reading(shop.engine) as conn:
        (form,) = conn.scalars(select(draft.c.form))
    assert form["target_value"] == ["(erased), bob-phone", "77"]
    assert form["title"] == ["Hannah, bob"], "a word that holds the name is another word"


@pytest.mark.parametrize("customer", ["10", "2500", "1", "0"])
def test_an_id_that_is_a_number_like_any_other_takes_nothing_else_along(shop: Shop, customer: str) -> None:
    opened = shop
    opened.convert(order("n1", None, "10", customer_id=customer), {"type": "order", "customer_id": int(customer)})
    with writing(shop.engine) as conn:
        body = json.dumps({"id": 5, "customer_id": 10_000, "line_items": [{"quantity": 10, "sku": customer}]}).encode()
        put_delivery(conn, shop.storefront.id, Delivery("woocommerce", "w", "order.updated", {}, body, NOW))
        before = {table.name: len(conn.execute(select(table)).all()) for table in metadata.sorted_tables}
        person = person_of(conn, shop.storefront.id, None, customer)
        gone = erase(conn, shop.storefront, person, "test", NOW)
        after = {table.name: len(conn.execute(select(table)).all()) for table in metadata.sorted_tables}
    assert {name: rows for name, rows in gone.items() if rows} == {"conversion": 1, "quarantine": 1}
    assert {n: before[n] - after[n] for n in before if before[n] != after[n]} == {
        "conversion": 1, "quarantine": 1, "audit": -1,
    }  # fmt: skip


def everything(engine: Engine) -> str:
    with reading(engine) as conn:
        tables = {table.name: conn.execute(select(table)).all() for table in metadata.sorted_tables}
    return str(tables)


def test_a_customer_is_erased_with_all_its_visitors(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        anna = person_of(conn, shop.storefront.id, None, "anna")
        kept = person_data(conn, shop.storefront, anna)
        gone = erase(conn, shop.storefront, anna, "test", NOW)
    assert {name: rows for name, rows in gone.items() if rows} == {
        name: len(rows) for name, rows in kept.items() if rows
    }
    with reading(shop.engine) as conn:
        assert not any(person_data(conn, shop.storefront, anna).values())


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


def test_the_retention_period_takes_all_that_no_running_experiment_needs(shop: Shop) -> None:
    now = Micros(NOW + 8 * DAY)
    with writing(shop.engine) as conn:
        with pytest.raises(Invalid, match="retention"):
            enforce_retention(conn, shop.storefront, "test", now)
        change_storefront(conn, shop.storefront.id, retention_days=7)
        gone, holding = enforce_retention(conn, shop.storefront, "test", now)
        assert list(holding) == ["offers"]
        assert {name for name, rows in gone.items() if rows} == {
            "conversion", "order_line", "offer_view", "quarantine", "webhook_delivery",
        }  # fmt: skip
        assert enforce_retention(conn, shop.storefront, "test", now) == (dict.fromkeys(gone, 0), ["offers"])
        for key in ("offers", "aimed"):
            defining.act(conn, shop.storefront, key, "stop", "test", now)
        enforce_retention(conn, shop.storefront, "test", now)
    settings = {"audience", "audit", "draft", "experiment", "review"}
    assert tables_with(shop.engine, "anna", "bob") == settings
    shop.convert(order("new", "bob-phone", "1.00"), now=now)
    shop.link("bob-phone", "bob", now=Micros(NOW - 10 * DAY))
    with writing(shop.engine) as conn:
        enforce_retention(conn, shop.storefront, "test", now)
    assert tables_with(shop.engine, "bob-phone") >= {"conversion", "link", "visitor_customer"}


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
