"""The report's numbers, against pandas and scipy straight from the events."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from experiments.moment import DAY, Micros, moment
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, a_a, experiment, exposed, open_shop, order, refund

VARIANTS = ("control", "upsell", "cross-sell", "bundle")
METRICS = {
    "primary": "revenue_per_visitor",
    "secondary": [
        "conversion",
        "aov",
        "items_per_order",
        "refund_rate",
        "net_aov",
        "offer_acceptance",
        "repeat_purchase",
    ],
}


def report(shop: Shop, key: str = "offers", as_of: Micros = NOW):
    with reading(shop.engine) as conn:
        return experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, key), as_of)


@pytest.fixture
def told(engine: Engine) -> tuple[Shop, pd.DataFrame]:
    """A shop with random events, and the same events by visitor as a plain frame."""
    shop = open_shop(engine)
    shop.define(experiment(metrics=METRICS), now=Micros(NOW - 20 * DAY))
    random = np.random.default_rng(7)
    visitors, exposures, conversions = [], [], []
    for i in range(300):
        variant = VARIANTS[int(random.integers(4))]
        met = moment(NOW) - timedelta(days=float(random.uniform(1, 19)))
        row = dict.fromkeys(["orders", "revenue", "items", "refunds", "refunded", "accepted"], 0) | {"variant": variant}
        row["viewed"] = int(random.random() < 0.7)
        kind = "viewed" if row["viewed"] else "assigned"
        exposures.append(exposed(f"v{i}", variant, kind=kind, occurred_at=met.isoformat()))
        for n in range(int(random.poisson(0.6))):
            at = met + timedelta(days=float(random.uniform(-2, 17)))
            cents, pieces = int(random.integers(100, 20_000)), int(random.integers(1, 4))
            at = min(at, moment(NOW))
            items = [{"product_id": "A1", "quantity": pieces, "price": "1.00"}]
            name = f"o{i}-{n}"
            conversions.append(order(name, f"v{i}", f"{cents / 100:.2f}", items=items, occurred_at=at.isoformat()))
            inside = met <= at < met + timedelta(days=14)
            row["orders"] += inside
            row["revenue"] += cents * inside
            row["items"] += pieces * inside
            if random.random() < 0.3:
                back = int(random.integers(50, 20_000))
                later = min(at + timedelta(days=1), moment(NOW)).isoformat()
                conversions.append(refund(f"r{i}-{n}", name, f"{back / 100:.2f}", occurred_at=later))
                row["refunds"] += inside
                row["refunded"] += back * inside
        if row["viewed"] and variant != "control" and random.random() < 0.3:
            after = min(met + timedelta(hours=1), moment(NOW)).isoformat()
            conversions.append(
                {"type": "offer_accepted", "visitor_id": f"v{i}", "experiment": "offers", "occurred_at": after}
            )
            row["accepted"] = 1
        visitors.append(row)
    random.shuffle(conversions)
    assert not shop.expose(*exposures, historic=True).rejected
    assert not shop.convert(*conversions).rejected
    return shop, pd.DataFrame(visitors)


def delta(y: pd.Series, d: pd.Series) -> tuple[float, float]:
    """A ratio of means and its variance by linearisation (Deng, Knoblich & Lu 2018)."""
    ratio = y.sum() / d.sum()
    return ratio, ((y - ratio * d).var() / len(y)) / d.mean() ** 2


def test_every_number_agrees_with_pandas_and_scipy(told: tuple[Shop, pd.DataFrame]) -> None:
    shop, frame = told
    found = report(shop)
    arms = dict(iter(frame.groupby("variant")))
    assert {variant: units for variant, units, _ in found.variants} == {v: len(arms[v]) for v in VARIANTS}
    for name, column in (
        ("revenue_per_visitor", frame.revenue / 100),
        ("orders_per_visitor", frame.orders.astype(float)),
    ):
        for variant in VARIANTS[1:]:
            treated, control = column[frame.variant == variant], column[frame.variant == "control"]
            expected = stats.ttest_ind(treated, control, equal_var=False)
            comparison = found[name].comparison(variant)
            assert comparison.difference.estimate == pytest.approx(treated.mean() - control.mean(), rel=1e-9, abs=1e-12)
            assert comparison.p_value == pytest.approx(expected.pvalue, rel=1e-9)
            interval = expected.confidence_interval()
            assert (comparison.difference.low, comparison.difference.high) == pytest.approx(interval, rel=1e-9)
    for name, top, bottom in (
        ("aov", "revenue", "orders"), ("items_per_order", "items", "orders"), ("refund_rate", "refunds", "orders"),
        ("offer_acceptance", "accepted", "viewed"),
    ):  # fmt: skip
        scale = 100 if name == "aov" else 1
        for variant in VARIANTS:
            ratio, variance = delta(arms[variant][top] / scale, arms[variant][bottom])
            value = found[name].variant(variant)
            assert value.value == pytest.approx(ratio, rel=1e-9), name
            if value.standard_error:
                assert value.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9), name
    for variant in VARIANTS:
        net = (arms[variant].revenue - arms[variant].refunded).sum() / 100 / arms[variant].orders.sum()
        assert found["net_aov"].variant(variant).value == pytest.approx(net, rel=1e-9)
        assert found["conversion"].variant(variant).value == pytest.approx((arms[variant].orders > 0).mean(), rel=1e-12)
        assert found["repeat_purchase"].variant(variant).value == pytest.approx((arms[variant].orders > 1).mean())


def test_as_of_counts_only_what_had_happened(told: tuple[Shop, pd.DataFrame]) -> None:
    shop, frame = told
    early = report(shop, as_of=Micros(NOW - 10 * DAY))
    assert 0 < sum(units for _, units, _ in early.variants) < len(frame)
    assert early.as_of == datetime(2026, 11, 10, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z")


def test_an_order_of_unknown_amount_still_converts_and_is_left_out_of_money(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(experiment())
    shop.expose(*(exposed(f"v{i}", "control" if i % 2 else "upsell") for i in range(40)))
    shop.convert(*(order(f"o{i}", f"v{i}", None if i == 0 else "10.00") for i in range(20)))
    found = report(shop)
    assert found["conversion"].variant("upsell").units == 20
    assert found["revenue_per_visitor"].variant("upsell").units == 19
    assert found["revenue_per_visitor"].variant("upsell").value == pytest.approx(90 / 19)


def test_contribution_is_not_given_while_a_cost_is_unknown(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(experiment(metrics={"primary": "contribution_per_visitor"}))
    shop.expose(*(exposed(f"v{i}", "control" if i % 2 else "upsell") for i in range(400)))
    line = [{"product_id": "A1", "quantity": 1, "price": "10"}]
    shop.convert(*(order(f"o{i}", f"v{i}", "10.00", items=line) for i in range(60)))
    known = report(shop)["contribution_per_visitor"].comparison("upsell")
    assert known.estimable
    shop.convert(order("unknown", "v70", "10.00"))
    comparison = report(shop)["contribution_per_visitor"].comparison("upsell")
    assert not comparison.estimable
    assert comparison.reason == ("the cost of an order is not known for 1 of 61 buyers; a missing cost is not zero")


def test_no_verdict_before_the_minimum_run_time(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(a_a(analysis={"minimum_days": 7}))
    met = [exposed(f"v{i}", "control" if i % 2 else "t1", experiment="same") for i in range(2000)]
    shop.expose(*met)
    shop.convert(*(order(f"o{i}", f"v{i}", f"10.{i % 100:02}") for i in range(0, 2000, 2)))
    early, late = (report(shop, "same", Micros(NOW + days * DAY)).verdict for days in (1, 8))
    assert (early.decision, early.because) == (
        "keep_running", ("1.0 of at least 7 days have passed: weekdays and weekends must both be in",),
    )  # fmt: skip
    assert (late.decision, late.variant) == ("ship", "t1")


def test_an_empty_experiment_has_a_report_that_says_so(engine: Engine) -> None:
    shop = open_shop(engine)
    shop.define(experiment())
    found = report(shop).to_dict()
    assert [v["units"] for v in found["variants"]] == [0, 0, 0, 0]
    assert {c["estimable"] for m in found["metrics"] for c in m["comparisons"]} == {False}
    assert all(c["reason"] for m in found["metrics"] for c in m["comparisons"])
    assert found["verdict"]["decision"] == "keep_running"


def test_the_change_of_revenue_is_split_to_the_cent(told: tuple[Shop, pd.DataFrame]) -> None:
    """Conversion, orders per buyer, pieces per order, price per piece: the parts add up to the whole."""
    shop, _ = told
    found = report(shop)
    splits = [d for d in found.to_dict()["decompositions"] if d["metric"] == "revenue_per_visitor"]
    assert {d["variant"] for d in splits} == set(VARIANTS[1:])
    for split in splits:
        whole = found["revenue_per_visitor"].comparison(split["variant"]).difference.estimate
        assert sum(part["estimate"] for part in split["parts"]) == pytest.approx(whole, abs=1e-9)
