"""A metric's preview is what the report would say of the same visitors, from a bounded number of events."""

from collections import Counter

import numpy as np
import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from analysis.metric_preview import DESIGN
from analysis.metric_preview_read import preview_metric
from analysis.power import Baseline, mde
from experiments.errors import NotEstimable
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import DAY, Micros, iso
from experiments.service import defining
from experiments.service.measuring import change_metric, save_metric
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, a_a, exposed, open_shop, order, refund

MET, BOUGHT = iso(Micros(NOW - 9 * DAY)), iso(Micros(NOW - 8 * DAY))
ASKED = {"key": "asked", "type": "mean", "numerator": "event:asked"}
OWN = [
    Metric("asked", "mean", "event:asked"),
    Metric("askers", "proportion", "with_event:asked"),
    Metric("answers", "ratio", "event:asked", "orders"),
    Metric("capped", "mean", "revenue", cap=0.95),
]


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Two hundred visitors, half of them in control; eighty buy, some ask, some send back."""
    opened = open_shop(engine)
    with writing(engine) as conn:
        for metric in OWN:
            fields = {"key": metric.key, "type": metric.type, "numerator": metric.numerator}
            fields |= {"denominator": metric.denominator} if metric.denominator else {}
            fields |= {"cap": metric.cap} if metric.cap else {}
            save_metric(conn, opened.storefront.id, fields, "test", NOW)
    plan = {"primary": "conversion", "secondary": [metric.key for metric in OWN]}
    opened.define(a_a("same", metrics=plan), now=Micros(NOW - 20 * DAY))
    variants = ["control" if i % 2 else "t1" for i in range(200)]
    opened.expose(*(exposed(f"v{i}", v, experiment="same", occurred_at=MET) for i, v in enumerate(variants)))
    opened.convert(
        *(order(f"o{i}", f"v{i}", f"{i}.50", occurred_at=BOUGHT, cost="0.25") for i in range(80)),
        *(refund(f"r{i}", f"o{i}", 0.5) for i in range(1, 9, 2)),
        *(
            {"type": "asked", "visitor_id": f"v{i % 50}", "event_id": f"q{i}", "occurred_at": BOUGHT}
            for i in range(120)
        ),
    )
    return opened


@pytest.mark.parametrize("key", [*BUILT_IN, *(metric.key for metric in OWN)])
def test_a_preview_says_of_the_control_what_the_report_says(shop: Shop, key: str) -> None:
    with reading(shop.engine) as conn:
        experiment = get_experiment(conn, shop.storefront.id, "same")
        known = experiment.definition.known_metrics
        report = experiment_report(conn, shop.storefront, experiment, NOW, metrics=tuple(known.values()))
        found = preview_metric(conn, shop.storefront, known[key], 28, 14, NOW)
    control = report[key].variant("control")
    assert found.units == control.units == 100
    if found.reason is not None:  # nobody saw the offer, nobody bought twice: there is nothing to plan with
        assert control.standard_error in {None, 0.0}
        return
    near = 1e-12 if known[key].cap is None else 1e-3  # the report's cap is found over all variants
    assert found.value == pytest.approx(control.value, rel=near)
    assert found.standard_deviation == pytest.approx(control.standard_error * 10, rel=near)
    assert found.capped_units == control.capped_units
    for part in found.detectable:
        assert part.units == int(found.units_a_day * 7 * part.weeks)
        assert part.lift == pytest.approx(part.difference / abs(found.value))
    sizes = [part.difference for part in found.detectable]
    assert sizes == sorted(sizes, reverse=True)


def test_events_are_counted_by_name_within_the_window(shop: Shop) -> None:
    told = Counter(i % 50 for i in range(120) if (i % 50) % 2)
    with reading(shop.engine) as conn:
        mean, share, ratio, capped = (preview_metric(conn, shop.storefront, m, 28, 14, NOW) for m in OWN)
        short = preview_metric(conn, shop.storefront, OWN[0], 28, 1, NOW)
    assert mean.value == pytest.approx(sum(told.values()) / 100)
    assert (mean.zeros, mean.top) == (pytest.approx(0.75), (3.0, 3.0, 3.0, 3.0, 3.0))
    assert share.value == 0.25
    assert ratio.value == pytest.approx(sum(told.values()) / 40)
    values = np.array([i + 0.5 for i in range(1, 80, 2)])
    cap = float(np.quantile(values, 0.95))
    assert capped.cap == pytest.approx(cap)
    assert capped.value == pytest.approx(np.minimum(values, cap).sum() / 100)
    assert capped.top == tuple(values[::-1][:5])
    assert short.reason is not None  # a day after they entered nobody had asked yet
    assert short.value is None


def test_the_effect_that_weeks_can_show_is_the_planners(shop: Shop) -> None:
    with reading(shop.engine) as conn:
        found = preview_metric(conn, shop.storefront, BUILT_IN["conversion"], 28, 14, NOW)
    two = found.detectable[0]
    assert two.difference == pytest.approx(mde(Baseline.of_proportion(0.4), two.units, DESIGN))


def test_of_very_many_events_the_latest_are_read_and_it_says_so(shop: Shop) -> None:
    shop.expose(exposed("late", "control", experiment="same", occurred_at=iso(Micros(NOW - DAY))))
    shop.convert(*(order(f"l{i}", "late", "1.00", occurred_at=iso(Micros(NOW - DAY + i))) for i in range(5)))
    shop.convert(*(order(f"x{i}", "v1", "1.00", occurred_at=iso(NOW)) for i in range(30)))
    aov = BUILT_IN["aov"]
    with reading(shop.engine) as conn:
        with pytest.raises(NotEstimable, match="nobody met the control"):
            preview_metric(conn, shop.storefront, aov, 28, 14, NOW, most_events=10)
        found = preview_metric(conn, shop.storefront, aov, 28, 14, NOW, most_events=60)
    assert found.sampled is not None
    assert found.sampled.startswith("only the latest 60 events were read")
    assert found.units == 1


def test_where_nobody_entered_there_is_nothing_to_try_it_on(engine: Engine) -> None:
    opened = open_shop(engine)
    with reading(engine) as conn, pytest.raises(NotEstimable, match="nobody entered"):
        preview_metric(conn, opened.storefront, OWN[0], 14, 14, NOW)
    opened.define(a_a("same"), now=Micros(NOW - 20 * DAY))
    opened.expose(exposed("v1", "t1", experiment="same", occurred_at=MET))
    with reading(engine) as conn, pytest.raises(NotEstimable, match="nobody met the control"):
        preview_metric(conn, opened.storefront, OWN[0], 14, 14, NOW)


def test_a_missing_cost_is_not_zero_here_either(shop: Shop) -> None:
    shop.convert(order("dear", "v99", "5.00", occurred_at=BOUGHT))
    with reading(shop.engine) as conn:
        found = preview_metric(conn, shop.storefront, BUILT_IN["contribution_per_visitor"], 28, 14, NOW)
    assert found.value is None
    assert found.reason is not None
    assert "a missing cost is not zero" in found.reason


def test_a_later_version_changes_no_report_of_what_runs(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        change_metric(conn, shop.storefront.id, "asked", ASKED | {"direction": "decrease"}, "test", NOW)
        experiment = get_experiment(conn, shop.storefront.id, "same")
        assert experiment_report(conn, shop.storefront, experiment, NOW)["asked"].direction == "increase"
        defining.duplicate(conn, shop.storefront, "same", "again", "test", NOW)
        copy = get_experiment(conn, shop.storefront.id, "again")
        assert copy.definition.known_metrics["asked"].direction == "decrease"
