"""What is looked at, what sold lately, and what new and returning customers buy: real counts, from the events."""

import numpy as np
import pytest
from sqlalchemy import Engine, select

from analysis.associations import FEWEST_OF_SEGMENT, by_segment, suggestions
from analysis.recommending import refresh
from experiments.context import ContextInput
from experiments.incentives import SocialProof
from experiments.moment import DAY, Micros, iso
from experiments.offers import CrossSell
from experiments.resolution import Context, Refusal, ServedOffer
from experiments.storage.associations import baskets
from experiments.storage.database import reading
from experiments.storage.tables import product_view
from tests.shop import NOW, Shop, open_shop, order


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop."""
    return open_shop(engine)


def view(shop: Shop, product_id: str, times: int, name: str, days_ago: int = 0) -> None:
    at = iso(Micros(NOW - days_ago * DAY))
    made = [
        {"type": "page_view", "visitor_id": f"v{n}", "product_id": product_id, "event_id": f"{name}-{n}",
         "occurred_at": at}
        for n in range(times)
    ]  # fmt: skip
    assert shop.convert(*made).rejected == ()


def bought(shop: Shop, name: str, visitor: str, products: list[str], days_ago: float = 0, **changes) -> None:
    lines = [{"product_id": p, "quantity": 1, "price": 5} for p in products]
    at = iso(Micros(NOW - int(days_ago * DAY)))
    assert shop.convert(order(name, visitor, 10, items=lines, occurred_at=at, **changes)).accepted == 1


def picked(shop: Shop, offer: CrossSell, **context) -> list[str]:
    found = shop.view.resolver.resolve(offer, "e:v", Context(**context), NOW)
    return [found.code] if isinstance(found, Refusal) else [p.product_id for p in found.products]


def test_page_views_count_once_and_newer_ones_weigh_more(shop: Shop) -> None:
    view(shop, "A1", 30, "old", days_ago=20)
    view(shop, "B1", 20, "new")
    view(shop, "B1", 20, "new")  # the same again: nothing
    view(shop, "UNKNOWN", 50, "else")
    view(shop, "C1", 90, "gone", days_ago=40)
    with reading(shop.engine) as conn:
        rows = conn.execute(select(product_view.c.product_id, product_view.c.views)).all()
    assert sorted(map(tuple, rows)) == [("A1", 30), ("B1", 20), ("C1", 90)]
    refresh(shop.engine, shop.storefront, NOW)
    assert shop.view.resolver._recommendations.most_viewed() == ("B1", "A1")
    offer = CrossSell(pick="most_viewed", limit=2)
    assert picked(shop, offer, product_id="C1") == ["B1", "A1"]
    assert picked(shop, offer, product_id="A1") == ["B1"]


def test_most_viewed_falls_back_to_bestsellers(shop: Shop) -> None:
    bought(shop, "o1", "v1", ["B1"])
    refresh(shop.engine, shop.storefront, NOW)
    assert picked(shop, CrossSell(pick="most_viewed"), product_id="A1") == ["B1"]


def test_new_and_returning_are_told_apart_by_the_first_order(shop: Shop) -> None:
    bought(shop, "o1", "v1", ["A1"], 5)
    bought(shop, "o2", "v1", ["A2"], 4)
    bought(shop, "o3", "v2", ["A3"], 3, customer_id="anna")
    bought(shop, "o4", "v3", ["B1"], 2, customer_id="anna")
    shop.link("v4", "anna")
    bought(shop, "o5", "v4", ["C1"], 1)
    with reading(shop.engine) as conn:
        found = {products[0]: whose for _, products, whose in baskets(conn, shop.storefront.id)}
    assert found == {"A1": "new", "A2": "returning", "A3": "new", "B1": "returning", "C1": "returning"}


def test_a_segments_suggestions_are_those_of_its_orders_alone() -> None:
    rng = np.random.default_rng(5)
    marked = [
        (int(rng.integers(50)), [f"P{n}" for n in rng.integers(0, 9, size=3)], ("new", "returning", None)[n % 3])
        for n in range(900)
    ]
    found = by_segment(iter(marked))
    assert found.segments.keys() == {"new", "returning"}
    for name, part in found.segments.items():
        alone = suggestions((day, products) for day, products, whose in marked if whose == name)
        assert part.orders == alone.orders
        assert {s.product_id: s.orders for s in part.sellers} == {s.product_id: s.orders for s in alone.sellers}
        assert {p: [c.orders for c in several] for p, several in part.companions.items()} == {
            p: [c.orders for c in several] for p, several in alone.companions.items()
        }
    few = by_segment(iter(marked[: 3 * (FEWEST_OF_SEGMENT - 1)]))
    assert few.segments == {}


def test_a_segment_goes_before_everybody_and_everybody_before_nothing(shop: Shop) -> None:
    made = []
    for n in range(FEWEST_OF_SEGMENT):
        made += [([f"A{n % 3 + 1}", "B1"], f"v{n}", 9), (["C1", "A1"], f"v{n}", 3)]
    lines = [
        order(f"o{i}", v, 9, occurred_at=iso(Micros(NOW - ago * DAY)),
              items=[{"product_id": p, "quantity": 1, "price": 3} for p in products])
        for i, (products, v, ago) in enumerate(made)
    ]  # fmt: skip
    assert shop.convert(*lines).accepted == len(lines)
    refresh(shop.engine, shop.storefront, NOW)
    offer = CrossSell(pick="bestsellers", limit=1)
    assert picked(shop, offer, product_id="A2", segment="new") == ["B1"]
    assert picked(shop, offer, product_id="A2", segment="returning") == ["C1"]
    asked = ContextInput("A2")
    assert [asked.context(shop.view.catalogue, told).segment for told in (True, False, None, "yes", [])] == [
        "returning", "new", None, None, None,
    ]  # fmt: skip


def test_social_proof_is_counted_from_orders_that_stand_and_never_old(shop: Shop) -> None:
    for n in range(6):
        bought(shop, f"week-{n}", f"v{n}", ["B1", "B1"], 3)
    for n in range(6):
        bought(shop, f"month-{n}", f"w{n}", ["B1"], 20)
    shop.convert({"type": "order_cancelled", "order_id": "week-0"})
    refresh(shop.engine, shop.storefront, NOW)

    def told(days: int, minimum: int, now: Micros = NOW) -> object:
        proof = SocialProof(days=days, minimum=minimum)  # type: ignore[arg-type]
        offer = CrossSell(pick="explicit", products={"*": ["B1", "C1"]}, social_proof=proof)
        found = shop.view.resolver.resolve(offer, "e:v", Context(), now)
        assert isinstance(found, ServedOffer)
        return found.json.get("social_proof")

    assert told(7, 1) == [{"product_id": "B1", "orders": 5, "days": 7}]
    assert told(30, 11) == [{"product_id": "B1", "orders": 11, "days": 30}]
    assert told(30, 12) is None
    assert told(7, 1, Micros(NOW + 3 * DAY)) is None, "nobody has counted for three days"
    later = Micros(NOW + 6 * DAY)
    assert refresh(shop.engine, shop.storefront, later) is not None, "the last days are others by now"
    assert told(7, 1, later) is None
