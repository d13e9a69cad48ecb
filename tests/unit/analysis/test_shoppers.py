import math

import numpy as np
import pytest

from analysis.shoppers import Influence, Shop, draw
from experiments.errors import Invalid


def test_the_truth_of_the_shop_is_what_is_drawn():
    """A million visitors, an offer of +20% conversion and +10% order value: each figure within five standard errors."""
    rng = np.random.default_rng(1)
    shop, offer = Shop(log_deviation=0.5), Influence(0.2, 0.1)
    seen = draw(shop, rng, 1_000_000, offer)
    converted = 0.06 * 1.2
    assert abs(seen["converted"].mean() - converted) < 5 * math.sqrt(converted * (1 - converted) / 1e6)
    orders, revenue = seen["orders"], seen["revenue"]
    assert abs(orders.sum() / seen["converted"].sum() - 1.2) < 5 * math.sqrt(0.2 / seen["converted"].sum())
    aov = revenue.sum() / orders.sum()
    error = np.std(revenue - aov * orders) * math.sqrt(1e6) / orders.sum()
    assert abs(aov - 55.0 * 1.1) < 5 * error
    assert offer.lifts == {"conversion": 0.2, "revenue": pytest.approx(0.32), "aov": 0.1}


def test_the_past_predicts_and_is_not_touched_by_the_offer():
    rng = np.random.default_rng(2)
    before = [draw(Shop(), rng, 400_000, Influence(lift)) for lift in (0.0, 0.5)]
    assert np.corrcoef(before[0]["orders"], before[0]["orders_before"])[0, 1] > 0.015
    means = [one["orders_before"].mean() for one in before]
    assert abs(means[0] - means[1]) < 5 * math.sqrt(2 * 0.15 / 400_000)


def test_orders_of_one_visitor_are_alike():
    """The error that ignores visitors is too small: what the delta method is for."""
    seen = draw(Shop(repeat=2.0, clustering=0.8), np.random.default_rng(3), 200_000)
    orders, revenue = seen["orders"], seen["revenue"]
    aov = revenue.sum() / orders.sum()
    clustered = np.sqrt(np.sum((revenue - aov * orders) ** 2)) / orders.sum()
    one_order_each = 55 * math.sqrt(math.exp(0.81) - 1) / math.sqrt(orders.sum())
    assert clustered > 1.3 * one_order_each


def test_many_experiments_are_one_draw_of_whole_cents():
    seen = draw(Shop(), np.random.default_rng(4), (7, 500))
    assert all(values.shape == (7, 500) for values in seen.values())
    assert np.array_equal(seen["revenue"], np.round(seen["revenue"], 2))
    assert np.array_equal(seen["revenue"] > 0, seen["orders"] > 0)
    again = draw(Shop(), np.random.default_rng(4), (7, 500))
    assert np.array_equal(seen["revenue"], again["revenue"])


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Shop(conversion=0),
        lambda: Shop(conversion=0.9),
        lambda: Shop(order_value=0),
        lambda: Shop(clustering=1.1),
        lambda: Influence(conversion=-1),
        lambda: Influence(order_value=math.nan),
        lambda: draw(Shop(), np.random.default_rng(0), 10, Influence(conversion=5.0)),
    ],
)
def test_nonsense_is_refused_at_the_door(broken):
    with pytest.raises(Invalid):
        broken()
