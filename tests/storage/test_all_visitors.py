"""All who asked, beside the main result: the sums of the eligible and the refused, and Wald's ratio of them.

Every visit goes the way of a server's: decide, record, note who was not eligible, orders, report.
"""

import json
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from experiments.assignment import Trace, Unit
from experiments.catalogue import parse_product
from experiments.context import ContextInput
from experiments.moment import DAY, Micros
from experiments.service.eligibility import Refusals
from experiments.service.serving import AssignmentRequest, decide, exposure
from experiments.service.settings import store_products
from experiments.storage.database import connect, reading, writing
from experiments.storage.eventwriter import EventWriter, Intake
from experiments.storage.registry import get_experiment
from tests.shop import NOW, PRODUCTS, Shop, experiment, open_shop, order

LATER = Micros(NOW + DAY)
VARIANTS = [
    {"key": "control", "weight": 5000, "offer": {"type": "none"}},
    {"key": "upsell", "weight": 5000, "offer": {"type": "upsell", "pick": "explicit", "pairs": {"A1": "A2"}}},
]


def visits(shop: Shop, placed: dict[str, str], placement: str = "cart") -> dict[str, tuple[str, bool]]:
    """By visitor the variant it had drawn, and whether it entered; recorded as the server does."""
    view, refusals, met, rows = shop.view, Refusals(shop.engine), {}, []
    for visitor, product_id in placed.items():
        request = AssignmentRequest(visitor, placement, context=ContextInput(product_id))
        tried: Trace = []
        made = decide(view, request, NOW, lambda rule, unit: None, tried=tried)
        drawn = made.variant or made.drawn
        assert drawn is not None
        met[visitor] = drawn.key, made.variant is not None
        if (shown := exposure(view, request, made, NOW)) is not None:
            rows.append(shown)
        refusals.note(Unit(visitor), tried, NOW)
    EventWriter(shop.engine).write(shop.storefront.id, Intake(exposures=rows), NOW)
    refusals.flush()
    return met


def told(shop: Shop) -> dict[str, Any]:
    with reading(shop.engine) as conn:
        found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "offers"), LATER)
    shown: dict[str, Any] = json.loads(json.dumps(found.to_dict()))
    return shown


def variant_of(report: dict[str, Any], metric: str, variant: str) -> dict[str, Any]:
    (found,) = [m for m in report["metrics"] if m["metric"] == metric]
    return next(v for v in found["variants"] if v["variant"] == variant)


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop with an upsell against nothing, shown to who looks at the mug."""
    opened = open_shop(engine)
    opened.define(experiment(variants=VARIANTS))
    return opened


def test_all_visitors_are_the_eligible_and_the_refused_to_the_cent(shop: Shop) -> None:
    met = visits(shop, {f"v{n}": "A1" if n < 60 else "C1" for n in range(200)})
    spent = {f"v{n}": 500 + n for n in range(0, 200, 4)}
    shop.convert(*[order(f"o-{v}", v, f"{cents / 100:.2f}") for v, cents in spent.items()], now=LATER)
    report = told(shop)
    everybody = report["all_visitors"]
    assert everybody["eligible_share"] == pytest.approx(0.3)
    for variant in everybody["variants"]:
        here = {v: entered for v, (drawn, entered) in met.items() if drawn == variant["variant"]}
        assert variant["units"] == len(here)
        assert variant["eligible"] == sum(here.values())
        assert variant["refused"] == {"no_candidate": len(here) - sum(here.values())}
        for part, units in ((everybody, here), (report, {v for v, entered in here.items() if entered})):
            found = variant_of(part, "revenue_per_visitor", variant["variant"])
            assert found["numerator"] == pytest.approx(sum(spent.get(v, 0) for v in units) / 100)
            assert found["units"] == len(units)
    assert "contribution_per_visitor" in everybody["unread"]


def test_who_is_eligible_the_second_time_is_one_of_the_eligible(shop: Shop) -> None:
    visits(shop, dict.fromkeys(["v1", "v2", "v3"], "C1"))
    visits(shop, dict.fromkeys(["v1", "v2"], "A1"))
    everybody = told(shop)["all_visitors"]
    assert sum(v["units"] for v in everybody["variants"]) == 3
    assert everybody["eligible_share"] == pytest.approx(2 / 3)


def test_where_nobody_was_eligible_nothing_is_made_up(shop: Shop) -> None:
    visits(shop, {f"v{n}": "C1" for n in range(20)})
    everybody = told(shop)["all_visitors"]
    assert everybody["eligible_share"] == 0
    assert {w["reason"] for w in everybody["per_eligible"]} == {"nobody was eligible"}


def test_nobody_refused_needs_no_second_reading(shop: Shop) -> None:
    visits(shop, {f"v{n}": "A1" for n in range(20)})
    assert told(shop)["all_visitors"] is None


REPLICATIONS = 20
UNITS = 1_500
LIFT = 4.0


@pytest.fixture
def quick(sqlite_url: str) -> Shop:
    """One engine is enough for a simulation."""
    return open_shop(connect(sqlite_url))


def test_with_a_fifth_eligible_the_main_result_is_unbiased_and_twice_as_sharp(quick: Shop) -> None:
    """A planted effect on the eligible alone, over 20 experiments of 1,500 visitors each."""
    rng = np.random.default_rng(20)
    main, diluted, ratios, checks, covered = [], [], [], [], 0
    for replication in range(REPLICATIONS):
        key = f"offers-{replication}"
        quick.define(experiment(key, variants=VARIANTS, placement=f"slot-{replication}"))
        placed = {f"r{replication}-{n}": "A1" if rng.random() < 0.2 else "C1" for n in range(UNITS)}
        met = visits(quick, placed, f"slot-{replication}")
        spent = {v: 20 + 10 * rng.standard_normal() + (LIFT if met[v] == ("upsell", True) else 0.0) for v in placed}
        quick.convert(*[order(f"o-{v}", v, f"{max(s, 0):.2f}") for v, s in spent.items()], now=LATER)
        with reading(quick.engine) as conn:
            experiment_ = get_experiment(conn, quick.storefront.id, key)
            report = experiment_report(conn, quick.storefront, experiment_, LATER).to_dict()
        (metric,) = [m for m in report["metrics"] if m["metric"] == "revenue_per_visitor"]
        sharp = metric["comparisons"][0]["difference"]
        (wald,) = [w for w in report["all_visitors"]["per_eligible"] if w["metric"] == "revenue_per_visitor"]
        main.append(sharp["estimate"])
        diluted.append(wald["estimate"])
        ratios.append((wald["high"] - wald["low"]) / (sharp["high"] - sharp["low"]))
        checks.append(next(c for c in report["checks"] if c["check"] == "eligibility"))
        covered += wald["low"] < LIFT < wald["high"]
    for estimates in (main, diluted):
        error = np.std(estimates, ddof=1) / np.sqrt(REPLICATIONS)
        assert abs(np.mean(estimates) - LIFT) < 5 * error
    assert np.median(ratios) > 2
    assert min(ratios) > 1.6
    assert covered >= 14, "of 20 intervals of 95%, 19 are expected to cover; 14 are 5 sigma below"
    assert sum(c["status"] == "fail" for c in checks) == 0


def test_the_report_tells_prices_that_changed_while_it_ran(shop: Shop) -> None:
    visits(shop, {"v1": "A1"})
    hours = 3600 * 1_000_000
    for after, price in ((1, "14.00"), (2, "15.00"), (3, "15.00"), (100, "16.00")):
        dearer = parse_product(PRODUCTS[1] | {"price": price, "stock": after}, "EUR")
        with writing(shop.engine) as conn:
            store_products(conn, shop.storefront.id, [dearer], Micros(NOW + after * hours))
    assert told(shop)["price_changes"] == [
        {"product_id": "A2", "at": "2026-11-20T14:00:00Z", "before": "14.00", "after": "15.00"}
    ]
