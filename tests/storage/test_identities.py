"""A visitor's orders are found through its customer and back, whenever the link came; against a reference in Python."""

import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from analysis.queries import Scope, count
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, a_a, open_shop
from tests.storage.worlds import VARIANTS, WINDOW, a_world, live


@pytest.mark.parametrize("seed", range(5))
def test_links_resolve_as_the_reference_says(engine: Engine, seed: int) -> None:
    shop, world = open_shop(engine), a_world(seed)
    live(shop, world, seed)
    units, sums, crossovers = world.expected()
    with reading(engine) as conn:
        found = get_experiment(conn, shop.storefront.id, "same")
        report = experiment_report(conn, shop.storefront, found, NOW)
        scope = Scope(shop.storefront.id, found.id, "same", "visitor", WINDOW, NOW, 2)
        assert count(conn, scope, VARIANTS).crossovers == crossovers
    assert {variant: n for variant, n, _ in report.variants} == units
    for variant in VARIANTS:
        aov = report["aov"].variant(variant)
        assert aov.denominator == sums[variant][0]
        assert round(aov.numerator * 100) == sums[variant][1]


@pytest.mark.parametrize("order", [{"visitor_id": "v1"}, {"customer_id": "c1"}])
@pytest.mark.parametrize("late", [True, False])
def test_an_order_of_a_visitor_counts_for_its_customer(engine: Engine, order: dict[str, str], late: bool) -> None:
    shop = open_shop(engine)
    shop.define(a_a("same", unit="customer"))
    shop.expose({"customer_id": "c1", "experiment": "same", "variant": "t1"})
    paid = {"type": "order", "order_id": "o1", "revenue": 5, "currency": "EUR"} | order
    for step in (lambda: shop.link("v1", "c1"), lambda: shop.convert(paid))[:: -1 if late else 1]:
        step()
    shop.link("v1", "c2")  # the first link wins
    with reading(engine) as conn:
        report = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "same"), NOW)
    assert report["orders_per_visitor"].variant("t1").numerator == 1
