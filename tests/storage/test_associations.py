"""Bought together and bestsellers, from the orders of the store: the counts of a plain count, and who is told."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy.stats import fisher_exact
from sqlalchemy import Engine, select

from analysis.associations import FEWEST_ORDERS, HALF_LIFE_DAYS, suggestions
from analysis.recommending import refresh
from experiments.moment import DAY, Micros
from experiments.service.snapshot import Snapshot
from experiments.storage.associations import claim, progress, read_companions, read_sellers
from experiments.storage.database import reading, writing
from experiments.storage.tables import companion
from tests.shop import NOW, Shop, open_shop, order
from webapp.cli import main


def orders(rng: np.random.Generator, count: int, products: int = 40) -> list[list[str]]:
    """Orders of a shop in which 1 and 2, and 3 and 4, are bought together."""
    found = []
    for _ in range(count):
        basket = {f"P{n}" for n in rng.integers(5, products, size=rng.integers(1, 6))}
        for pair, chance in ((("P1", "P2"), 0.08), (("P3", "P4"), 0.03)):
            basket |= {p for p in pair if rng.random() < 0.85} if rng.random() < chance else set()
        found.append(sorted(basket))
    return found


def test_counts_and_ratios_are_those_of_counting_by_hand() -> None:
    baskets = orders(np.random.default_rng(1), 3000)
    found = suggestions((0, basket) for basket in baskets)
    singles = Counter(itertools.chain.from_iterable(baskets))
    pairs = Counter(itertools.chain.from_iterable(itertools.permutations(basket, 2) for basket in baskets))
    assert found.orders == len(baskets)
    assert {s.product_id: s.orders for s in found.sellers} == singles
    assert found.companions["P1"][0].product_id == "P2"
    for product, companions in found.companions.items():
        for c in companions:
            both = pairs[product, c.product_id]
            assert c.orders == both >= FEWEST_ORDERS
            assert c.support == pytest.approx(both / len(baskets))
            assert c.confidence == pytest.approx(both / singles[product])
            assert c.lift == pytest.approx(both * len(baskets) / singles[product] / singles[c.product_id])


def test_the_p_value_is_never_below_fishers() -> None:
    baskets = orders(np.random.default_rng(2), 2000)
    found = suggestions((0, basket) for basket in baskets)
    singles = Counter(itertools.chain.from_iterable(baskets))
    total = len(baskets)
    for product in ("P1", "P3"):
        best = found.companions[product][0]
        a, b, both = singles[product], singles[best.product_id], best.orders
        exact = fisher_exact([[both, a - both], [b - both, total - a - b + both]], "greater").pvalue
        assert exact <= best.p_value <= 1e-6


def test_products_that_are_bought_independently_are_hardly_ever_companions() -> None:
    rng = np.random.default_rng(3)
    baskets = [[f"P{n}" for n in np.flatnonzero(rng.random(60) < 0.1)] for _ in range(4000)]
    found = suggestions((0, basket) for basket in baskets)
    # at most one product in twenty may have a companion by chance: 3 of 60 expected, 5 sigma are 8.4 more
    assert len(found.companions) <= 11


def test_recent_orders_weigh_more() -> None:
    old = [["A", "OLD"]] * 30 + [["X"]] * 200
    new = [["A", "NEW"]] * 20 + [["X"]] * 200
    days = itertools.chain(((0, basket) for basket in old), ((int(2 * HALF_LIFE_DAYS), basket) for basket in new))
    found = suggestions(days)
    assert [c.product_id for c in found.companions["A"]] == ["NEW", "OLD"]


def test_a_wholesalers_order_pairs_nothing() -> None:
    everything = [f"P{n}" for n in range(101)]
    found = suggestions((0, basket) for basket in [everything] * 50 + [["Q"]] * 500)
    assert found.companions == {}
    assert found.sellers[0].product_id == "Q"


def test_no_order_suggests_nothing() -> None:
    found = suggestions(())
    assert (found.orders, found.companions, found.sellers) == (0, {}, ())


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop where mugs and tea go together."""
    opened = open_shop(engine)
    record(opened, [["A1", "B1"]] * 12 + [["C1"]] * 40 + [["A1"]] * 3, "first")
    return opened


def record(shop: Shop, baskets: list[list[str]], name: str) -> None:
    made = [
        order(f"{name}-{n}", f"v{n}", 10, items=[{"product_id": p, "quantity": 1, "price": 5} for p in basket])
        for n, basket in enumerate(baskets)
    ]
    receipt = shop.convert(*made)
    assert receipt.accepted == len(made), receipt


def test_what_orders_suggest_reaches_the_snapshot(shop: Shop) -> None:
    assert not shop.view.resolver._recommendations.bestsellers()
    with reading(shop.engine) as conn:
        before = Snapshot.load(conn)
    found = refresh(shop.engine, shop.storefront, NOW)
    assert found is not None
    assert found.orders == 55
    with reading(shop.engine) as conn:
        assert [c.product_id for c in read_companions(conn, shop.storefront.id, "A1")] == ["B1"]
        assert [s.product_id for s in read_sellers(conn, shop.storefront.id)] == ["C1", "A1", "B1"]
        after = Snapshot.load(conn, before)
    assert after.revision > before.revision
    told = after.storefronts[shop.storefront.id].resolver._recommendations
    assert told.bought_together("A1") == ("B1",)
    assert told.bestsellers() == ("C1", "A1", "B1")


def test_it_is_worked_out_again_when_enough_is_new_and_not_too_often(shop: Shop) -> None:
    assert refresh(shop.engine, shop.storefront, NOW) is not None
    later = Micros(NOW + DAY // 2)
    assert refresh(shop.engine, shop.storefront, later) is None, "no order is new"
    record(shop, [["A1", "C1"]] * 10, "second")
    assert refresh(shop.engine, shop.storefront, Micros(NOW + 1)) is None, "a moment ago"
    again = refresh(shop.engine, shop.storefront, later)
    assert again is not None
    assert again.orders == 65


def test_a_shop_that_has_long_been_closed_still_suggests(shop: Shop) -> None:
    """History is told from the newest order on, not from today: imports bring the past."""
    years = Micros(NOW + 15 * 365 * DAY)
    found = refresh(shop.engine, shop.storefront, years)
    assert found is not None
    assert found.orders == 55


def test_of_several_processes_one_works_it_out(shop: Shop) -> None:
    with reading(shop.engine) as conn:
        seen = progress(conn, shop.storefront.id)
    with writing(shop.engine) as conn:
        assert claim(conn, shop.storefront.id, seen, NOW)
    with writing(shop.engine) as conn:
        assert not claim(conn, shop.storefront.id, seen, NOW)
    assert refresh(shop.engine, shop.storefront, Micros(NOW + 1)) is None, "the other one is at it"
    assert refresh(shop.engine, shop.storefront, Micros(NOW + DAY)) is not None, "the other one is dead"


def test_one_storefronts_orders_suggest_nothing_to_another(shop: Shop) -> None:
    other = open_shop(shop.engine, "other")
    refresh(shop.engine, shop.storefront, NOW)
    found = refresh(shop.engine, other.storefront, NOW, force=True)
    assert found is not None
    assert found.orders == 0
    with reading(shop.engine) as conn:
        rows = conn.execute(select(companion.c.storefront_id)).scalars().all()
    assert set(rows) == {shop.storefront.id}


def test_the_command_says_what_it_found(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    url = shop.engine.url.render_as_string(hide_password=False)
    with pytest.raises(SystemExit) as ended:
        main(["recommend", "refresh", "--storefront", "shop", "--database", url])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines() == ["orders 55", "products with companions 2", "bestsellers 3"]
