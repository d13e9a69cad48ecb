"""Eligibility through the whole way of a server: equal between variants, and an alarm in the report where it is not.

Visitors come one after the other, are drawn by the real code, and buy what they are shown, so that the bundle's tea
sells out the faster the more the bundle is shown. Asked as it should be, whether every variant could be shown, all are
then refused alike. A caller that looks at the variant first, and asks for that one alone, refuses the bundle's visitors
only; all the rest is the same code, the store and the report too.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pytest
from sqlalchemy import Engine

from analysis.checks import Check
from analysis.experiment import experiment_report
from experiments.assignment import Assignment, Rule, Trace, Unit, assign
from experiments.catalogue import parse_product
from experiments.context import ContextInput
from experiments.moment import SECOND, Micros
from experiments.service.eligibility import Refusals
from experiments.service.recording import exposure_recording
from experiments.service.serving import AssignmentRequest, decide, exposure, resolve_variants
from experiments.service.settings import store_products
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import connect, reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.registry import get_experiment
from tests.shop import NOW, PRODUCTS, Shop, experiment, open_shop

VISITORS = 400
STOCK = 20
BUYS = 0.5
TRIALS = ("first", "second", "third", "fourth")
"""Keys of experiments: each draws its visitors by a seed of its own."""

Ask = Callable[[StorefrontView, AssignmentRequest, Micros, Trace], Assignment]
Cause = Literal["stock", "page"]


def every_variant(view: StorefrontView, request: AssignmentRequest, now: Micros, tried: Trace) -> Assignment:
    """As the server does: could every variant be shown?"""
    return decide(view, request, now, lambda rule, unit: None, tried=tried)


def its_own_alone(view: StorefrontView, request: AssignmentRequest, now: Micros, tried: Trace) -> Assignment:
    """The mistake: the variant is looked at first, and only its offer is asked for."""

    def own(rule: Rule) -> object:
        offers, refusals = resolve_variants(view, rule, request.context.context(view.catalogue, None), now)
        drawn = rule.definition.variants[rule.table[rule.bucketer(request.visitor_id)]].key
        return offers, {key: refusal for key, refusal in refusals.items() if key == drawn}

    rules, unit = view.rules[request.placement], Unit(request.visitor_id)
    return assign(rules, unit, {}, now, own, lambda rule, unit: None, trace=tried)  # type: ignore[arg-type]  # as Eligible


@pytest.fixture
def shop(sqlite_url: str) -> Iterator[Shop]:
    """A shop with little of the bundle's tea left."""
    engine: Engine = connect(sqlite_url)
    opened = open_shop(engine)
    put_stock(opened, STOCK, NOW)
    yield opened
    engine.dispose()


def put_stock(shop: Shop, pieces: int, now: Micros) -> None:
    tea = next(product for product in PRODUCTS if product["product_id"] == "B1")
    with writing(shop.engine) as conn:
        store_products(conn, shop.storefront.id, [parse_product(tea | {"stock": pieces}, "EUR")], now)


def run(shop: Shop, key: str, ask: Ask, cause: Cause) -> Check | None:
    """One experiment from its first visitor to its report's check of eligibility."""
    shop.define(experiment(key, placement=key))
    drawn, writer, refusals = np.random.default_rng(7), EventWriter(shop.engine), Refusals(shop.engine)
    view, left = shop.view, STOCK
    for n in range(VISITORS):
        now = Micros(NOW + n * SECOND)
        on_spoon = cause == "page" and drawn.random() < 0.5  # there is no larger spoon: no upsell there
        request = AssignmentRequest(f"{key}-{n}", key, context=ContextInput("C1" if on_spoon else "A1"))
        tried: Trace = []
        made = ask(view, request, now, tried)
        if (shown := exposure(view, request, made, now)) is not None:
            exposure_recording(view, shown, now).write(writer)
        refusals.note(Unit(request.visitor_id), tried, now)
        buys = made.variant is not None and made.variant.key == "bundle" and drawn.random() < BUYS
        if cause == "stock" and buys and left:
            left -= 1
            put_stock(shop, left, now)
            view = shop.view
    refusals.flush()
    assert cause == "page" or left == 0, "the tea sold out on the way"
    after = Micros(NOW + VISITORS * SECOND)
    with reading(shop.engine) as conn:
        found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, key), after)
    check = next((c for c in found.checks if c.check == "eligibility"), None)
    if check is not None and check.status == "fail":
        assert found.verdict.decision == "fix_first"
    return check


@pytest.mark.parametrize("cause", ["stock", "page"])
@pytest.mark.parametrize("key", TRIALS)
def test_where_every_variant_is_asked_for_the_shares_are_equal_and_the_alarm_is_silent(
    shop: Shop, key: str, cause: Cause
) -> None:
    found = run(shop, key, every_variant, cause)
    assert found is not None
    assert found.status == "pass", found.detail
    assert 0.2 < share(found, "control") < 0.8, "many were refused, so that there was something to compare"
    assert ("out_of_stock" if cause == "stock" else "no_candidate") in found.detail


@pytest.mark.parametrize(("cause", "variant"), [("stock", "bundle"), ("page", "upsell")])
@pytest.mark.parametrize("key", TRIALS)
def test_where_only_the_drawn_variant_is_asked_for_the_alarm_fires(
    shop: Shop, key: str, cause: Cause, variant: str
) -> None:
    found = run(shop, key, its_own_alone, cause)
    assert found is not None
    assert found.status == "fail", found.detail
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert share(found, "control") == 1
    assert share(found, variant) < 0.8


def share(check: Check, variant: str) -> float:
    """A variant's share of eligible units, as the check says it."""
    said = check.detail.partition(f"{variant} ")[2].partition("%")[0]
    return float(said) / 100
