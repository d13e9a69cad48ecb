"""Who was not eligible is counted by variant and reason, once for each unit; the balance of it is checked."""

import threading
from collections import Counter

import pytest
from sqlalchemy import Engine

from analysis.checks import Check
from analysis.experiment import experiment_report
from experiments.assignment import Assignment, Trace, Unit
from experiments.context import ContextInput
from experiments.moment import Micros
from experiments.service.eligibility import Refusals
from experiments.service.recording import exposure_recording
from experiments.service.serving import AssignmentRequest, decide, exposure
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.ineligibles import Ineligible, append_ineligible, count_ineligible
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, experiment, open_shop


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """A shop with the four-variant experiment in the cart: only who looks at the mug can be shown the upsell."""
    opened = open_shop(engine)
    opened.define(experiment())
    return opened


def visit(shop: Shop, refusals: Refusals, units: range, product_id: str, now: Micros = NOW) -> dict[str, Assignment]:
    """What each visitor got; recorded as the server does."""
    view, writer, met = shop.view, EventWriter(shop.engine), {}
    for n in units:
        request = AssignmentRequest(f"v{n}", "cart", context=ContextInput(product_id))
        tried: Trace = []
        made = met[f"v{n}"] = decide(view, request, now, lambda rule, unit: None, tried=tried)
        if (shown := exposure(view, request, made, now)) is not None:
            exposure_recording(view, shown, now).write(writer)
        refusals.note(Unit(f"v{n}"), tried, now)
    return met


def check(shop: Shop) -> Check | None:
    with reading(shop.engine) as conn:
        found = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "offers"), NOW)
    return next((c for c in found.checks if c.check == "eligibility"), None)


def test_a_unit_is_counted_once_with_the_variant_it_would_have_got(shop: Shop) -> None:
    refusals = Refusals(shop.engine)
    for _ in range(2):
        met = visit(shop, refusals, range(40), "C1")
    refusals.flush()
    Refusals(shop.engine).note(Unit("v1"), [met["v1"]], NOW)  # another process notes it too
    with reading(shop.engine) as conn:
        found = count_ineligible(conn, shop.view.experiments["offers"].id, NOW)
    assert sum(found.values()) == 40
    assert {reason for _, reason in found} == {"no_candidate"}
    would = visit(shop, Refusals(shop.engine), range(40), "A1")
    drawn = Counter(made.variant.key for made in would.values() if made.variant is not None)
    assert {variant: units for (variant, _), units in found.items()} == drawn


def test_who_is_eligible_later_is_no_longer_counted_as_refused(shop: Shop) -> None:
    refusals = Refusals(shop.engine)
    visit(shop, refusals, range(10), "C1")
    refusals.flush()
    visit(shop, refusals, range(4), "A1")
    with reading(shop.engine) as conn:
        assert sum(count_ineligible(conn, shop.view.experiments["offers"].id, NOW).values()) == 6


def test_the_report_says_how_many_were_eligible_and_why_others_were_not(shop: Shop) -> None:
    assert check(shop) is None, "nobody was refused: nothing to compare"
    refusals = Refusals(shop.engine)
    visit(shop, refusals, range(400), "C1")
    visit(shop, refusals, range(400, 500), "A1")
    refusals.flush()
    found = check(shop)
    assert found is not None
    assert found.status == "pass"
    assert "20.00% eligible" in found.detail
    assert found.detail.endswith("units refused: no_candidate 400")


def test_the_alarm_fires_where_eligibility_depends_on_the_variant(shop: Shop) -> None:
    refusals = Refusals(shop.engine)
    visit(shop, refusals, range(400), "A1")
    here = shop.view.experiments["offers"].id
    skewed = [
        Ineligible(here, f"x{n}", variant, "out_of_stock", NOW)
        for variant, units in (("control", 20), ("upsell", 300), ("cross-sell", 20), ("bundle", 20))
        for n in range(units)
    ]
    skewed = [Ineligible(r.experiment_id, f"{r.variant}-{r.unit_id}", r.variant, r.reason, r.at) for r in skewed]
    with writing(shop.engine) as conn:
        append_ineligible(conn, skewed)
    found = check(shop)
    assert found is not None
    assert found.status == "fail"


def test_notes_are_written_by_themselves_and_by_many_threads(shop: Shop) -> None:
    refusals = Refusals(shop.engine)
    threads = [threading.Thread(target=visit, args=(shop, refusals, range(30), "C1")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals.flush()
    with reading(shop.engine) as conn:
        assert sum(count_ineligible(conn, shop.view.experiments["offers"].id, NOW).values()) == 30
