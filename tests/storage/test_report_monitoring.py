"""The definition's method of looking, through the report of a running experiment."""

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from experiments.moment import DAY, Micros, moment
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, experiment, exposed, open_shop, order

VARIANTS = ("control", "upsell", "cross-sell", "bundle")


def blocks(engine: Engine, analysis: dict) -> dict:
    """The sequential block of revenue per visitor by variant: 400 visitors over ten days, a third of whom buy."""
    shop = open_shop(engine)
    shop.define(experiment(metrics={"primary": "revenue_per_visitor"}, analysis=analysis), now=Micros(NOW - 12 * DAY))
    random = np.random.default_rng(3)
    exposures, orders = [], []
    for i in range(400):
        met = moment(NOW) - timedelta(days=10 - i / 40)
        exposures.append(exposed(f"v{i}", VARIANTS[i % 4], occurred_at=met.isoformat()))
        if random.random() < 0.35:
            orders.append(order(f"o{i}", f"v{i}", f"{random.uniform(10, 90):.2f}", occurred_at=met.isoformat()))
    assert not shop.expose(*exposures, historic=True).rejected
    assert not shop.convert(*orders).rejected
    with reading(shop.engine) as conn:
        found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "offers"), NOW)
    metric = next(m for m in found.to_dict()["metrics"] if m["metric"] == "revenue_per_visitor")
    return {c["variant"]: c["sequential"] for c in metric["comparisons"]}


def test_by_default_intervals_are_tuned_to_where_the_traffic_leads(engine: Engine) -> None:
    """40 visitors a day over four variants and 7 days planned: 140 of a pair."""
    for block in blocks(engine, {}).values():
        assert block["method"] == "confidence_sequence"
        assert block["planned_units"] == pytest.approx(140, abs=2)


def test_a_target_or_a_number_comes_first(engine: Engine) -> None:
    found = blocks(engine, {"planned_units": 900, "target_mde": "5%"})
    assert {block["planned_units"] for block in found.values()} == {900}


def test_planned_looks_are_read_as_planned(engine: Engine) -> None:
    plan = {"monitoring": "group_sequential", "planned_units": 400, "looks": [0.5, 1], "spending": "pocock"}
    for block in blocks(engine, plan).values():
        assert (block["look"], block["looks"], block["next_look_units"]) == (1, 2, 400)
        assert block["low"] < block["high"]


def test_a_fixed_test_has_no_reading_on_the_way(engine: Engine) -> None:
    assert set(blocks(engine, {"sequential": False, "monitoring": "fixed"}).values()) == {None}


def test_an_msprt_mixes_over_the_target(engine: Engine) -> None:
    assert {b["method"] for b in blocks(engine, {"monitoring": "msprt", "target_mde": "10%"}).values()} == {"msprt"}
