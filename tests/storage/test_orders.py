"""Orders change: edits, cancellations, refunds, foreign money; in whatever order the news comes."""

import itertools
import json

import pytest
from sqlalchemy import Engine, select

from analysis.experiment import experiment_report
from experiments.events import parse_conversion
from experiments.importing.rowfile import Row
from experiments.moment import DAY, Micros, iso
from experiments.service.importing import import_rates
from experiments.service.recording import Receipt
from experiments.storage.conversionlog import append_conversions
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import change_storefront
from experiments.storage.tables import conversion, order_line
from tests.shop import NOW, Shop, a_a, open_shop, order, refund

LINES = [{"product_id": "A1", "quantity": 2, "price": "10"}]


@pytest.fixture
def shop(engine: Engine) -> Shop:
    opened = open_shop(engine)
    opened.define(a_a("same"), now=Micros(NOW - 20 * DAY))
    opened.expose({"visitor_id": "v1", "experiment": "same", "variant": "control", "kind": "assigned",
                   "occurred_at": "2026-11-10T12:00:00Z"})  # fmt: skip
    return opened


def sums(shop: Shop) -> tuple[float, float, float]:
    """Orders, revenue and net revenue of the one visitor, as the report counts them."""
    with reading(shop.engine) as conn:
        found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "same"), NOW)
    aov, net = found["aov"].variant("control"), found["revenue_per_visitor"].variant("control")
    return aov.denominator or 0, aov.numerator or 0, net.numerator or 0


def stored(shop: Shop, *columns):
    with reading(shop.engine) as conn:
        return [tuple(row) for row in conn.execute(select(*columns).order_by(*columns))]


EDITS = [
    order("o1", "v1", "20.00", items=LINES),
    order("o1", "v1", "25.00", updated_at="2026-11-12T10:00:00Z", items=[LINES[0] | {"quantity": 3}]),
    order("o1", "v1", "15.00", updated_at="2026-11-13T10:00:00Z", items=[LINES[0] | {"quantity": 1}]),
]


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("together", [True, False])
def test_the_latest_version_of_an_order_counts_in_whatever_order_they_come(
    engine: Engine, arrival: tuple[int, ...], together: bool
) -> None:
    shop = open_shop(engine)
    events = [EDITS[i] for i in arrival]
    for batch in [events] if together else [[event] for event in events]:
        shop.convert(*batch)
    assert stored(shop, conversion.c.order_id, conversion.c.revenue) == [("o1", 1500)]
    assert stored(shop, order_line.c.number, order_line.c.quantity) == [(0, 1)]
    assert shop.convert(*events) == Receipt(duplicate=3)


def test_an_edit_keeps_its_time_and_fills_in_a_unit_that_nobody_knew(shop: Shop) -> None:
    shop.convert(order("o1", None, "20.00", occurred_at="2026-11-11T12:00:00Z"))
    assert sums(shop) == (0, 0, 0)
    shop.convert(order("o1", "v1", "21.00", version=2, occurred_at="2026-11-19T12:00:00Z"))
    shop.convert(order("o1", "v9", "22.00", version=3))
    assert sums(shop)[:2] == (1, 22.0)
    assert stored(shop, conversion.c.visitor_id, conversion.c.day) == [("v1", 20768)]


CANCELLED = {"type": "order_cancelled", "order_id": "o1"}


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
def test_a_cancelled_order_and_its_refund_count_nowhere(shop: Shop, arrival: tuple[int, ...]) -> None:
    events = [order("o1", "v1", "20.00", items=LINES), refund("r1", "o1", "20.00"), CANCELLED]
    shop.convert(order("o2", "v1", "7.00"))
    for i in arrival:
        assert shop.convert(events[i]) == Receipt(accepted=1)
        assert shop.convert(events[i]) == Receipt(duplicate=1)
    assert sums(shop)[:2] == (1, 7.0)
    cancelled = stored(shop, conversion.c.type, conversion.c.order_id, conversion.c.cancelled_at)
    assert [row for row in cancelled if row[2]] == [("order", "o1", NOW), ("refund", "o1", NOW)]


def rates(shop: Shop, *rows: dict[str, str]):
    return list(import_rates(shop.engine, shop.view, [Row(i, row) for i, row in enumerate(rows)]))


def test_foreign_money_counts_by_the_rate_of_its_day(shop: Shop) -> None:
    assert shop.convert(order("o1", "v1", "10.00", currency="USD")).rejected[0].code == "wrong_currency"
    given = [
        ("USD", "2026-11-01", "0.9"), ("USD", "2026-11-20", "0.95"), ("JPY", "2026-11-01", "0.0061"),
        ("EUR", "2026-11-01", "1"), ("BTC", "2026-11-01", "1"), ("USD", "yesterday", "1"), ("USD", "2026-11-01", "0"),
        ("USD", "2026-11-01", "NaN"),
    ]  # fmt: skip
    (done,) = rates(shop, *(dict(zip(("currency", "day", "rate"), row, strict=True)) for row in given))
    assert (done.accepted, len(done.rejected)) == (3, 5)
    assert rates(shop, {"currency": "USD", "day": "2026-11-01", "rate": "0.9"})[0].duplicate == 1
    day = {"occurred_at": "2026-11-19T12:00:00Z"}
    shop.convert(
        order("o1", "v1", "10.00", currency="USD", items=[{"product_id": "A1", "quantity": 1, "price": 10}], **day),
        order("o2", "v1", "10.00", currency="USD"),
        order("o3", "v1", "1000", currency="JPY", **day),
        order("o4", "v1", "1000", currency="JPY", occurred_at="2026-10-01T12:00:00Z"),
    )
    found = stored(shop, conversion.c.order_id, conversion.c.revenue, conversion.c.currency, conversion.c.paid_currency,
                   conversion.c.paid_amount, conversion.c.cost)  # fmt: skip
    assert found == [
        ("o1", 900, "EUR", "USD", 1000, 400), ("o2", 950, "EUR", "USD", 1000, None),
        ("o3", 610, "EUR", "JPY", 1000, None),
    ]  # fmt: skip


def test_a_refund_may_be_of_a_part_of_all_or_of_more_than_the_revenue(shop: Shop) -> None:
    """Shipping and tax are given back too, which revenue does not hold: what was refunded is kept as it was told."""
    shop.convert(
        order("o1", "v1", "20.00"), refund("r1", "o1", "5"), refund("r2", "o1", "15"), refund("r3", "o1", "4.90")
    )
    shop.convert(refund("r1", "o1", "5"))
    assert stored(shop, conversion.c.type, conversion.c.refunded)[1:] == [
        ("refund", 490),
        ("refund", 500),
        ("refund", 1500),
    ]


def test_what_could_not_be_added_up_is_refused(shop: Shop) -> None:
    many = [{"product_id": "A1", "quantity": 1_000_000, "price": 0}] * 1001
    dear = [{"product_id": "A1", "quantity": 1_000_000, "price": 0, "cost": 10**13}] * 2
    receipt = shop.convert(order("o1", "v1", 1, items=many), order("o2", "v1", 1, items=dear))
    assert [(r.code, r.message.partition(":")[0]) for r in receipt.rejected] == [
        ("invalid", "items"),
        ("invalid", "cost"),
    ]


def test_the_index_finds_what_came_before_its_order(shop: Shop) -> None:
    """Each new order looks for early refunds: by index, or the log slows as it grows."""
    if shop.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by statistics that an empty table does not have")
    statements: list[str] = []
    with shop.engine.connect() as conn:
        conn.connection.driver_connection.set_trace_callback(statements.append)
        parsed = parse_conversion(json.dumps(order("o9", "v1", 1)).encode(), NOW, shop.storefront.zone, lambda: "")
        append_conversions(conn, shop.storefront.id, [parsed], NOW)
        conn.connection.driver_connection.set_trace_callback(None)
        looked = [s for s in statements if s.startswith("SELECT")]
        plans = [str(conn.exec_driver_sql("EXPLAIN QUERY PLAN " + s).all()) for s in looked]
        conn.rollback()
    assert plans
    assert not [plan for plan in plans if "SCAN" in plan or "(storefront_id=?)'" in plan], plans


def test_the_report_says_how_many_orders_are_past_the_return_window(shop: Shop) -> None:
    for number, days in enumerate((2, 5, 9)):
        shop.convert(order(f"o{number}", "v1", 1, occurred_at=iso(Micros(NOW - days * DAY))))
    with writing(shop.engine) as conn:
        change_storefront(conn, shop.storefront.id, return_days=4)
    with reading(shop.engine) as conn:
        found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "same"), NOW)
    maturity = found.to_dict()["maturity"]
    assert (maturity["orders"], maturity["matured"], maturity["return_days"]) == (3, 2, 4)
    assert maturity["share"] == pytest.approx(2 / 3)
    assert maturity["variants"][0] == {"variant": "control", "orders": 3, "matured": 2}
