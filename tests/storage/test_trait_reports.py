"""The report by what was known of units when they entered: the sums are those of a plain count, on both databases."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report, facts_of, scope_of
from analysis.journal import read_ledger
from analysis.queries import Counts, count
from analysis.report import Report
from analysis.traits import CARTS, Trait, trait_levels
from analysis.traits_read import MOST_LEVELS, read_traits
from experiments.errors import NotFound
from experiments.moment import DAY, Micros, day_number, iso
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, a_a, exposed, open_shop, order

CUTLERY = {"product_id": "C1"}  # 3.00
DEVICES = ("mobile", "desktop", "tablet")
PRODUCTS = ("A1", "B1", "C1", None)
CATEGORY = {"A1": "Mugs", "B1": "Tea", "C1": "Cutlery", None: "unknown"}
COUNTRIES = [f"C{n}" for n in range(11)]


def told(n: int) -> dict[str, Any]:
    """What is known of the n-th unit; every seventh tells nothing."""
    if n % 7 == 0:
        return {}
    cart = [CUTLERY | {"quantity": n % 9}] if n % 9 else []
    context = {"cart": cart} | ({"product_id": PRODUCTS[n % 4]} if PRODUCTS[n % 4] else {})
    attributes = {"device": DEVICES[n % 3], "country": COUNTRIES[min(n % 17, 10)]}
    return {"attributes": attributes, "context": context if n % 5 else {}}


def lived(engine: Engine) -> Shop:
    shop = open_shop(engine)
    plan = {"segments": ["country", "device", "never_told"], "window_days": 7}
    shop.define(a_a("offers", analysis=plan), now=Micros(NOW - 5 * DAY))
    rows, orders = [], []
    for n in range(400):
        at = iso(Micros(NOW - 3 * DAY + n * DAY // 200))
        variant = ("control", "t1")[n % 2]
        rows.append(exposed(f"v{n}", variant, kind="assigned", occurred_at=at, **told(n)))
        if n % 4 == 0:
            rows.append(exposed(f"v{n}", variant, kind="viewed", occurred_at=at))
        if n % 6 < 2:
            orders.append(order(f"o{n}", f"v{n}", f"{5 + n % 11}.00", occurred_at=at))
    shop.expose(*rows)
    shop.convert(*orders)
    return shop


def read(shop: Shop) -> tuple[Counts, tuple[Trait, ...], dict[str, Any]]:
    with reading(shop.engine) as conn:
        experiment = get_experiment(conn, shop.storefront.id, "offers")
        scope = scope_of(shop.storefront, experiment, NOW)
        counts = count(conn, scope, ["control", "t1"])
        ledger = read_ledger(conn, scope, counts, day_number(NOW, shop.storefront.zone))
        traits = read_traits(conn, scope, counts, ledger, experiment.definition.analysis.segments)
        assert facts_of(conn, shop.storefront, experiment, scope, counts, ledger, alone=True).traits == ()
    cut = {f"{segment}:{level}": part for segment, level, part in trait_levels(ledger, traits)}
    return counts, traits, cut


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return lived(engine)


def expected(n: int, segment: str) -> str:
    given = told(n)
    if segment == "device":
        return str(given.get("attributes", {}).get("device", "unknown"))
    if segment == "country":
        found = given.get("attributes", {}).get("country", "unknown")
        common = Counter(told(m).get("attributes", {}).get("country") for m in range(400))
        common.pop(None)
        kept = [c for c, _ in sorted(common.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_LEVELS]]
        return found if found in (*kept, "unknown") else "other"
    context = given.get("context") or {}
    if segment == "category":
        product = context.get("product_id")
        return CATEGORY[product] if product else ("Cutlery" if context.get("cart") else "unknown")
    if "cart" not in context:
        return "unknown"
    value = sum(300 * line["quantity"] for line in context["cart"])
    carts = [300 * (m % 9) for m in range(400) if m % 7 and m % 5 and m % 9]
    bounds = np.quantile(carts, (0.25, 0.5, 0.75), method="inverted_cdf")
    return CARTS[0] if not value else CARTS[1 + int(np.searchsorted(bounds, value))]


@pytest.mark.parametrize("segment", ["device", "category", "cart_value", "country"])
def test_units_and_those_who_saw_it_are_counted_by_level(shop: Shop, segment: str) -> None:
    counts, traits, cut = read(shop)
    assert [t.segment for t in traits] == ["device", "category", "cart_value", "country"]
    (trait,) = [t for t in traits if t.segment == segment]
    wanted = Counter((expected(n, segment), n % 2) for n in range(400))
    saw = Counter((expected(n, segment), n % 2) for n in range(0, 400, 4))
    for i, level in enumerate(trait.levels):
        assert [int(x) for x in trait.entered[i].sum(axis=0)] == [wanted[level, 0], wanted[level, 1]], level
        assert [int(x) for x in trait.viewed[i].sum(axis=0)] == [saw[level, 0], saw[level, 1]], level
        if wanted[level, 0] + wanted[level, 1]:
            bought = sum(expected(n, segment) == level for n in range(400) if n % 6 < 2)
            assert int(cut[f"{segment}:{level}"].columns["converted"].sum()) == bought
    assert (trait.entered.sum(axis=0) == counts.entered).all(), "every unit is in one level, on its day"
    assert (trait.viewed.sum(axis=0) == counts.viewed).all()


def test_a_customers_second_visitor_is_no_unit_of_its_own(shop: Shop) -> None:
    for visitor in ("v1", "v2", "v8"):  # v1 is first, and all three told different devices
        shop.link(visitor, "anna")
    shop.convert(order("late", "v2", "40.00", occurred_at=iso(NOW)))
    counts, traits, cut = read(shop)
    assert counts.units == {"control": 198, "t1": 200}
    for trait in traits:
        assert (trait.entered.sum(axis=0) == counts.entered).all()
        assert (trait.viewed.sum(axis=0) == counts.viewed).all()
    assert "v2" not in cut[f"device:{expected(2, 'device')}"].units.ids
    assert "v1" in cut[f"device:{expected(1, 'device')}"].units.ids


def report(shop: Shop, only: str | None = None) -> Report:
    with reading(shop.engine) as conn:
        return experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "offers"), NOW, only)


def test_the_plans_segments_come_first_and_have_a_correction_of_their_own(shop: Shop) -> None:
    found = report(shop)
    names = list(dict.fromkeys((g["segment"], g["planned"]) for g in found.segments))
    assert names[:2] == [("country", True), ("device", True)]
    assert {name for name, planned in names if not planned} >= {"category", "cart_value", "entered_on"}
    assert not any(planned for _, planned in names[2:])
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_level_can_be_looked_at_alone_and_an_unknown_one_is_refused(shop: Shop) -> None:
    alone = report(shop, "device:mobile")
    assert alone.only == "device:mobile"
    units = [sum(expected(n, "device") == "mobile" for n in range(i, 400, 2)) for i in (0, 1)]
    assert [v["units"] for v in alone.to_dict()["variants"]] == units
    assert alone.segments == ()
    with pytest.raises(NotFound, match="device:desktop"):
        report(shop, "device:fridge")


def test_where_nothing_was_told_there_is_nothing_to_compare(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(a_a("offers", analysis={"segments": ["country"]}))
    shop.expose(*(exposed(f"v{n}", ("control", "t1")[n % 2]) for n in range(40)))
    _, traits, cut = read(shop)
    assert traits == ()
    assert cut == {}
    assert {g["segment"] for g in report(shop).segments} <= {"visitor", "entered_on", "past_spend", "entered_in"}


def test_the_same_device_everywhere_is_no_segment(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(a_a("offers"))
    shop.expose(*(exposed(f"v{n}", "t1", attributes={"device": "mobile"} if n % 2 else {}) for n in range(10)))
    _, traits, cut = read(shop)
    assert [t.segment for t in traits] == ["device"]
    assert cut == {}
