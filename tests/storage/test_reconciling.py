"""Every order is analysed or excluded for a named reason, to the cent; what is analysed is what the report counts."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from experiments.moment import DAY, Micros, date_number, day_number, iso
from experiments.service.reconciling import Tally, reconcile
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, a_a, open_shop, order
from tests.storage.worlds import VARIANTS, a_world, live

EVER = (date_number(datetime(2026, 1, 1, tzinfo=UTC).date()), date_number(datetime(2026, 12, 31, tzinfo=UTC).date()))


def books(shop: Shop, days: tuple[int, int] = EVER):
    with reading(shop.engine) as conn:
        return reconcile(conn, shop.storefront, *days, NOW)


@pytest.mark.parametrize("seed", range(4))
def test_the_books_add_up_and_agree_with_the_report(engine: Engine, seed: int) -> None:
    shop, world = open_shop(engine), a_world(seed, unknown=0.15)
    live(shop, world, seed)
    shop.convert({"type": "order_cancelled", "order_id": "o3"}, order("bad", "v1", 12.34, currency="USD"))
    shop.convert({"type": "order", "order_id": "worse", "revenue": 5.5, "currency": "EUR", "nonsense": 1})
    found = books(shop)
    assert found.received.orders == len(world.orders) + 2
    assert found.received.amount == sum(cents or 0 for _, _, cents, _ in world.orders) + 550
    assert found.refused == {"invalid": Tally(1, 550), "wrong_currency": Tally(1, 0, 1)}
    (account,) = found.accounts
    assert sum(account.excluded.values(), account.analysed) == found.received
    assert account.excluded["cancelled"].orders == 1
    with reading(engine) as conn:
        report = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "same"), NOW)
    numerators = [report["aov"].variant(variant).numerator or 0 for variant in VARIANTS]
    assert account.analysed.amount == round(sum(numerators) * 100)
    assert account.analysed.orders == sum(report["aov"].variant(variant).denominator or 0 for variant in VARIANTS)


def test_days_of_the_storefront_partition_the_orders(engine: Engine) -> None:
    shop, world = open_shop(engine), a_world(5)
    live(shop, world, 5)
    first = day_number(Micros(NOW - 30 * DAY), ZoneInfo("Europe/Berlin"))
    whole = books(shop)
    parts = [books(shop, (day, day)) for day in range(first, first + 40)]
    assert sum((part.received for part in parts), Tally()) == whole.received
    assert sum((part.accounts[0].analysed for part in parts), Tally()) == whole.accounts[0].analysed


def test_each_reason_has_its_name(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(a_a("same"), now=Micros(NOW - 25 * DAY))
    for visitor in ("v1", "v2"):
        shop.expose(
            {"visitor_id": visitor, "experiment": "same", "variant": "t1", "occurred_at": iso(Micros(NOW - 20 * DAY))}
        )

    def days_ago(days: int) -> dict[str, str]:
        return {"occurred_at": iso(Micros(NOW - days * DAY))}

    shop.convert(
        order("analysed", "v1", 1, **days_ago(19)), order("before_exposure", "v1", 2, **days_ago(21)),
        order("after_window", "v1", 4, **days_ago(5)), order("no_exposure", "v3", 8), order("no_unit", None, 16),
        order("missing_revenue", "v2", None, **days_ago(19)), order("unit_missing_revenue", "v2", 32, **days_ago(18)),
        order("no_unit too", None, 64, customer_id="c1"), order("cancelled", "v1", 128, **days_ago(19)),
        {"type": "order_cancelled", "order_id": "cancelled"}, order("refused", "v1", 256, currency="USD"),
    )  # fmt: skip
    (account,) = books(shop).accounts
    assert account.analysed == Tally(1, 100)
    assert account.excluded == {
        "before_exposure": Tally(1, 200), "after_window": Tally(1, 400), "no_exposure": Tally(1, 800),
        "no_unit": Tally(2, 8000), "missing_revenue": Tally(1, 0, 1), "unit_missing_revenue": Tally(1, 3200),
        "cancelled": Tally(1, 12800), "refused: wrong_currency": Tally(1, 0, 1),
    }  # fmt: skip
    shop.convert(order("refused", "v1", 256))  # sent again, in the right currency: not refused any more
    assert "refused: wrong_currency" not in books(shop).accounts[0].excluded
