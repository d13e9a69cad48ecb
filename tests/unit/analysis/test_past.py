import math

import numpy as np
import pandas as pd
import pytest

from analysis.past import Past, past_of_file
from analysis.shoppers import Influence
from analysis.simulate import simulate, simulation_plan
from experiments.errors import Invalid


def past(visitors=2_000, seed=1):
    rng = np.random.default_rng(seed)
    orders = np.where(rng.random(visitors) < 0.1, 1.0 + rng.poisson(0.5, visitors), 0.0)
    return Past.of(orders, np.round(rng.lognormal(3, 1.2, visitors) * orders, 2), visitors)


def test_the_lifts_asked_for_are_those_that_are_drawn():
    mine, offer = past(), Influence(0.25, 0.1)
    seen = mine.draw(np.random.default_rng(2), 400_000, offer)
    for name, truth in (("converted", mine.conversion * 1.25), ("revenue", mine.revenue.sum() / 2_000 * 1.25 * 1.1)):
        error = seen[name].std() / math.sqrt(400_000)
        assert abs(seen[name].mean() - truth) < 5 * error
    values = set(np.round(mine.revenue * 1.1, 6))
    assert set(np.round(seen["revenue"][seen["orders"] > 0], 6)) <= values


def test_a_file_with_several_rows_a_visitor_is_the_file_with_one(tmp_path):
    rows = pd.DataFrame({
        "who": [f"v{i % 300}" for i in range(900)], "orders": [int(i % 300 < 50) for i in range(900)],
        "revenue": [float(i % 300 < 50) * (i % 7) for i in range(900)],
    })  # fmt: skip
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.groupby("who", as_index=False).sum().to_parquet(tmp_path / "visitors.parquet")
    one, other = past_of_file(tmp_path / "visitors.parquet"), past_of_file(tmp_path / "rows.csv", unit="who")
    assert (one.visitors, len(one.orders), one.revenue.sum()) == (
        other.visitors,
        len(other.orders),
        other.revenue.sum(),
    )
    assert one.orders.tolist() == [3.0] * 50


def test_a_past_without_buyers_is_refused():
    with pytest.raises(Invalid, match="history"):
        Past.of(np.zeros(50), np.zeros(50), 50)
    with pytest.raises(Invalid, match="above 1"):
        past().draw(np.random.default_rng(1), 10, Influence(20.0))


def test_an_aa_test_on_the_past_calls_as_often_as_it_should():
    """Fixed seed, five standard errors of what so many runs leave; the errors stand beside the shares."""
    units = [1_000, 1_000, 1_000]
    plan = simulation_plan(units, permutations=0)
    found = simulate(past(20_000).draw, Influence(), units, 60, np.random.default_rng(5), plan)
    for metric in found.metrics:
        assert 0 < metric.errors["called"] < 0.04
        assert abs(metric.called - 0.05) < 5 * max(metric.errors["called"], 0.017)
        assert abs(metric.covered - 0.95) < 5 * max(metric.errors["covered"], 0.017)
        assert abs(metric.mean_lift) < 5 * metric.errors["mean_lift"]
