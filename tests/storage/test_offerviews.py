"""Views of offers are counted by day, and never above a cap."""

import threading

from sqlalchemy import Engine

from experiments.incentives import FrequencyCap
from experiments.storage.database import reading, writing
from experiments.storage.offerviews import View, append_views, forget_views, views
from tests.shop import open_shop

CAP = FrequencyCap(views=5, days=3)


def test_a_cap_looks_back_its_days_and_no_further(engine: Engine) -> None:
    shop = open_shop(engine)
    with writing(engine) as conn:
        for day in (10, 11, 12):
            assert append_views(conn, shop.storefront.id, [View("v", day, (CAP,))] * 2) == [True, day < 12]
    with reading(engine) as conn:
        assert [views(conn, shop.storefront.id, "v", day, 3) for day in (9, 10, 11, 12, 13, 15)] == [0, 2, 4, 5, 3, 0]


def test_the_cap_holds_between_connections(engine: Engine) -> None:
    shop = open_shop(engine)
    allowed: list[bool] = []

    def ask() -> None:
        for _ in range(5):
            with writing(engine) as conn:
                found = append_views(conn, shop.storefront.id, [View("v", 10, (CAP,))])
            allowed.extend(found)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (40, 5)


def test_views_of_earlier_days_can_be_forgotten(engine: Engine) -> None:
    shop = open_shop(engine)
    with writing(engine) as conn:
        append_views(conn, shop.storefront.id, [View("v", 1), View("v", 9), View("w", 1)])
        assert forget_views(conn, shop.storefront.id, 9) == 2
        assert views(conn, shop.storefront.id, "v", 9, 30) == 1
