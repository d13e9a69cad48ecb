"""A shop's own visitors are those whom an experiment showed its control."""

import numpy as np
from sqlalchemy import Engine

from analysis.past import past_of_control
from experiments.moment import DAY, Micros, iso
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, a_a, exposed, open_shop, order


def test_the_past_of_a_control_has_its_buyers_and_its_visitors(engine: Engine):
    shop = open_shop(engine)
    shop.define(a_a("same"), now=Micros(NOW - 20 * DAY))
    met, bought = iso(Micros(NOW - 9 * DAY)), iso(Micros(NOW - 8 * DAY))
    variants = ["control" if i % 2 else "t1" for i in range(200)]
    shop.expose(*(exposed(f"v{i}", v, experiment="same", occurred_at=met) for i, v in enumerate(variants)))
    shop.convert(*(order(f"o{i}", f"v{i}", f"{i}.50", occurred_at=bought) for i in range(80)))
    with reading(shop.engine) as conn:
        past = past_of_control(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "same"), NOW)
    assert past.visitors == 100
    assert np.sort(past.revenue).tolist() == [i + 0.5 for i in range(1, 80, 2)]
    assert past.orders.tolist() == [1.0] * 40
