"""Every number of the report against pandas and statsmodels, straight from the files and the events themselves."""

import json
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from click.testing import CliRunner
from scipy import stats
from scipy.optimize import brentq, minimize_scalar
from sqlalchemy import Engine, select
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from analysis.experiment import experiment_report
from analysis.report import Report
from experiments.demo import karlan_list, storefront
from experiments.metrics import BUILT_IN
from experiments.moment import DAY, Micros, micros
from experiments.storage.database import connect, reading
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import get_storefront
from experiments.storage.tables import conversion, exposure, order_line
from experiments.wording import plain
from tests.conftest import sqlite_copy
from tests.shop import NOW, Shop, a_a, exposed, open_shop, order
from webapp.cli.report import command

MADE = micros(datetime(2026, 11, 21, 12, tzinfo=UTC))
STARBUCKS = Path(__file__).parents[1] / "reference" / "starbucks" / "Test.csv.gz"


def report(engine: Engine, shop: str, key: str, as_of: Micros, only: str | None = None) -> Report:
    with reading(engine) as conn:
        there = get_storefront(conn, shop)
        return experiment_report(conn, there, get_experiment(conn, there.id, key), as_of, only)


def welch(treated: pd.Series, control: pd.Series) -> tuple[float, float, float, float]:
    """Difference, interval and p-value by statsmodels."""
    found = CompareMeans(DescrStatsW(treated), DescrStatsW(control))
    low, high = found.tconfint_diff(usevar="unequal")
    return treated.mean() - control.mean(), low, high, found.ttest_ind(usevar="unequal")[1]


def miettinen_nurminen(hits: list[int], units: list[int]) -> tuple[float, float]:
    """Where the score statistic crosses the normal quantile, its constrained likelihood maximised by search.

    Not statsmodels' own: with unlike numbers of units its closed form does not reach that maximum.
    """
    (x_t, x_c), (n_t, n_c) = hits, units

    def beyond(gap: float, side: float) -> float:
        def unlikely(p: float) -> float:
            q = p + gap
            return -(x_c * np.log(p) + (n_c - x_c) * np.log1p(-p) + x_t * np.log(q) + (n_t - x_t) * np.log1p(-q))

        ends = max(1e-9, 1e-9 - gap), min(1 - 1e-9, 1 - 1e-9 - gap)
        p = minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-13}).x
        q, n = p + gap, n_c + n_t
        error = np.sqrt((q * (1 - q) / n_t + p * (1 - p) / n_c) * n / (n - 1))
        return side * (x_t / n_t - x_c / n_c - gap) / error - stats.norm.ppf(0.975)

    at = x_t / n_t - x_c / n_c
    reach = 20 * np.sqrt(0.25 / n_t + 0.25 / n_c)
    ends = (brentq(beyond, at, at - side * min(reach, 0.4), args=(side,), xtol=1e-12) for side in (1, -1))
    return tuple(ends)


def clustered(frame: pd.DataFrame, top: str, bottom: str) -> tuple[float, float]:
    """A ratio and its standard error: weighted least squares on a constant, with units as clusters.

    The cluster-robust error of `sum(top) / sum(bottom)` is that of the regression of each unit's own ratio on 1,
    weighted by its denominator; statsmodels' CR0 takes the factor sqrt(n / (n - 1)) to the delta method's.
    """
    some = frame[frame[bottom] > 0]
    fit = sm.WLS(some[top] / some[bottom], np.ones(len(some)), weights=some[bottom]).fit(
        cov_type="cluster", cov_kwds={"groups": np.arange(len(some)), "use_correction": False}
    )
    return float(fit.params.iloc[0]), float(fit.bse.iloc[0]) * float(np.sqrt(len(frame) / (len(frame) - 1)))


def agrees(found: Report, frame: pd.DataFrame, unpriced: pd.Series | None = None) -> None:
    """Conversion, revenue per unit and order value of a report, against a frame with a row for each unit."""
    control = frame[frame.variant == found.control]
    known = np.ones(len(frame), dtype=bool) if unpriced is None else ~unpriced.to_numpy()
    paid = frame[known]
    for variant in [v for v, _, _ in found.variants]:
        mine, priced = frame[frame.variant == variant], paid[paid.variant == variant]
        assert next(n for v, n, _ in found.variants if v == variant) == len(mine)
        assert found["conversion"].variant(variant).value == pytest.approx(mine.converted.mean(), rel=1e-12)
        ratio, error = clustered(priced, "revenue", "orders")
        assert found["aov"].variant(variant).value == pytest.approx(ratio, rel=1e-10)
        assert found["aov"].variant(variant).standard_error == pytest.approx(error, rel=1e-8)
        if variant == found.control:
            continue
        c = found["conversion"].comparison(variant)
        counts = [mine.converted.sum(), control.converted.sum()], [len(mine), len(control)]
        assert c.p_value == pytest.approx(proportions_ztest(*counts)[1], rel=1e-9)
        low, high = miettinen_nurminen(*counts)
        assert (c.difference.low, c.difference.high) == pytest.approx((low, high), abs=1e-7)
        c = found["revenue_per_visitor"].comparison(variant)
        expected = welch(priced.revenue, paid[paid.variant == found.control].revenue)
        got = (c.difference.estimate, c.difference.low, c.difference.high, c.p_value)
        assert got == pytest.approx(expected, rel=1e-8, abs=1e-12)
        parts(found, variant)
        money(found, variant)


def parts(found: Report, variant: str) -> None:
    """The parts of the change add up to it, to the cent."""
    for split in found.decompositions:
        if split["variant"] == variant:
            cents = sum(round(part["total"] * 100) for part in split["parts"])
            assert cents == round(split["change"]["total"] * 100)
            whole = found[split["metric"]].comparison(variant).difference.estimate
            assert split["change"]["estimate"] == pytest.approx(whole, rel=1e-9, abs=1e-12)


def money(found: Report, variant: str) -> None:
    """A day's worth is the difference times the visitors of a day, and a year's 365 of it."""
    for w in found.worth:
        if w.variant == variant and w.a_day.estimate is not None:
            one = found[w.metric].comparison(variant).difference
            assert w.a_day.estimate == pytest.approx(one.estimate * w.units_a_day)
            assert w.a_year.low == pytest.approx(one.low * w.units_a_day * 365)


@pytest.fixture(scope="module")
def demo(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The whole demo, with the field experiment."""
    engine = connect(sqlite_copy(template, tmp_path_factory.mktemp("numbers")))
    storefront.fill(engine, MADE, 0.3)
    yield engine
    engine.dispose()


def test_karlan_and_list_from_the_file(demo: Engine) -> None:
    rows = pd.read_csv(karlan_list.FILE)
    frame = pd.DataFrame({
        "variant": rows.arm, "converted": rows.gave, "orders": rows.gave, "revenue": rows.amount.fillna(0.0),
    })  # fmt: skip
    unknown = (rows.gave == 1) & rows.amount.isna()
    agrees(report(demo, karlan_list.KEY, "matching-gift", MADE), frame, unknown)


def test_starbucks_from_the_file(engine: Engine) -> None:
    rows = pd.read_csv(STARBUCKS).head(6000)
    shop = open_shop(engine, products=False)
    shop.define(a_a("promotion"), now=Micros(NOW - 3 * DAY))
    variant = np.where(rows.Promotion == "Yes", "t1", "control")
    met = [exposed(f"v{i}", v, experiment="promotion") for i, v in enumerate(variant)]
    assert shop.expose(*met, now=Micros(NOW - DAY)).accepted == len(rows)
    price = np.where(rows.Promotion == "Yes", 9.85, 10.0)
    bought = [order(f"o{i}", f"v{i}", f"{price[i]:.2f}") for i in np.flatnonzero(rows.purchase)]
    assert shop.convert(*bought).accepted == len(bought)
    frame = pd.DataFrame({
        "variant": variant, "converted": rows.purchase, "orders": rows.purchase, "revenue": rows.purchase * price,
    })  # fmt: skip
    found = report(engine, "shop", "promotion", NOW)
    for one in ("control", "t1"):
        mine = frame[frame.variant == one]
        assert found["conversion"].variant(one).value == pytest.approx(mine.converted.mean(), rel=1e-12)
        assert found["revenue_per_visitor"].variant(one).numerator == pytest.approx(mine.revenue.sum(), rel=1e-12)
    expected = welch(frame[frame.variant == "t1"].revenue, frame[frame.variant == "control"].revenue)
    c = found["revenue_per_visitor"].comparison("t1")
    got = (c.difference.estimate, c.difference.low, c.difference.high, c.p_value)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)
    splits = stats.chisquare(frame.variant.value_counts())
    assert next(c.p_value for c in found.checks if c.check == "srm") == pytest.approx(splits.pvalue, rel=1e-9)


def events(demo: Engine, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The demo's exposures and conversions of one experiment as frames, each conversion with its visitor's entry."""
    with reading(demo) as conn:
        found = get_experiment(conn, get_storefront(conn, "demo").id, key)
        e, c = exposure.c, conversion.c
        met = pd.DataFrame(conn.execute(
            select(e.unit_id, e.variant, e.at, e.day).where(e.experiment_id == found.id, e.kind == "assigned")
        ).all(), columns=["unit", "variant", "met", "day"])  # fmt: skip
        told = pd.DataFrame(conn.execute(
            select(c.visitor_id, c.customer_id, c.type, c.at, c.order_at, c.order_id, c.revenue, c.cost, c.refunded,
                   c.item_count, c.day).where(c.storefront_id == found.storefront_id, c.at <= MADE)
        ).all(), columns=["unit", "customer", "type", "at", "order_at", "order_id", "revenue", "cost", "refunded",
                          "items", "on"])  # fmt: skip
        lines = pd.DataFrame(conn.execute(
            select(order_line.c.order_id, order_line.c.product_id, order_line.c.quantity, order_line.c.price,
                   order_line.c.offer).where(order_line.c.storefront_id == found.storefront_id)
        ).all(), columns=["order_id", "product", "quantity", "price", "offer"])  # fmt: skip
    window = found.definition.analysis.window_days * DAY
    told = told.merge(met, on="unit")
    when = np.where(told.type == "refund", told.order_at.astype(float), told["at"].astype(float))
    told["since"] = when - told.met
    return met, told[(told.since >= 0) & (told.since < window)].merge(lines.groupby("order_id").size().rename("n"),
                                                                      on="order_id", how="left")  # fmt: skip


def test_the_demo_from_its_events(demo: Engine) -> None:
    """The shop's own tables in pandas: every unit's sums, each metric, each day of the series, the costs."""
    found = report(demo, "demo", "cart-offers", MADE)
    met, told = events(demo, "cart-offers")
    orders, refunds = told[told.type == "order"], told[told.type == "refund"]
    sums = orders.groupby("unit").agg(orders=("at", "size"), revenue=("revenue", "sum"), cost=("cost", "sum"),
                                      items=("items", "sum"))  # fmt: skip
    back = refunds.groupby("unit").refunded.sum().rename("refunded")
    frame = met.set_index("unit").join(sums).join(back).fillna(0).reset_index()
    frame["converted"] = (frame.orders > 0).astype(int)
    frame["contribution"] = (frame.revenue - frame.cost - frame.refunded) / 100
    frame["revenue"] /= 100
    agrees(found, frame)
    control = frame[frame.variant == "control"]
    for variant in ("upsell", "cross-sell", "bundle"):
        mine = frame[frame.variant == variant]
        c = found["contribution_per_visitor"].comparison(variant)
        got = (c.difference.estimate, c.difference.low, c.difference.high, c.p_value)
        assert got == pytest.approx(welch(mine.contribution, control.contribution), rel=1e-8, abs=1e-12)
    the_series(found, met, orders)
    the_groups(found, frame, demo)


def the_series(found: Report, met: pd.DataFrame, orders: pd.DataFrame) -> None:
    """Each day's cumulative revenue per visitor, recomputed from what had happened by then."""
    series = next(s for s in found.time.series if (s.metric, s.variant) == ("revenue_per_visitor", "bundle"))
    first = met.day.min()
    for i, point in list(enumerate(series.points))[2::6]:
        there = met[met.day <= first + i]
        paid = orders[orders.on <= first + i].groupby("unit").revenue.sum() / 100
        revenue = there.unit.map(paid).fillna(0.0)
        expected = welch(revenue[there.variant == "bundle"], revenue[there.variant == "control"])
        got = (point.difference.estimate, point.difference.low, point.difference.high)
        assert got == pytest.approx(expected[:3], rel=1e-8, abs=1e-12)
        assert point.units == int(there.variant.isin(["control", "bundle"]).sum())
    last = series.points[-1]
    assert last.difference == found["revenue_per_visitor"].comparison("bundle").difference
    daily = met.groupby(["day", "variant"]).size()
    for i, day in enumerate(found.time.days):
        assert day.units == {v: int(daily.get((first + i, v), 0)) for v in day.units}


def the_groups(found: Report, frame: pd.DataFrame, demo: Engine) -> None:
    """A level of a segment in the report, and the report of that level alone, are both that of the frame's rows."""
    weekend = (frame.day - 4) % 7 >= 5
    some = frame[weekend]
    expected = welch(some[some.variant == "bundle"].revenue, some[some.variant == "control"].revenue)
    group = next(
        g for g in found.segments
        if (g["segment"], g["metric"], g["variant"]) == ("entered_on", "revenue_per_visitor", "bundle")
    )  # fmt: skip
    level = next(x for x in group["levels"] if x["level"] == "weekend")
    assert level["difference"]["estimate"] == pytest.approx(expected[0], rel=1e-9)
    alone = report(demo, "demo", "cart-offers", MADE, "entered_on:weekend")
    c = alone["revenue_per_visitor"].comparison("bundle")
    assert (c.difference.estimate, c.difference.low, c.difference.high, c.p_value) == pytest.approx(expected, rel=1e-8)


def test_the_report_can_be_stored_and_read_again(demo: Engine) -> None:
    for shop, key in (("demo", "cart-offers"), (karlan_list.KEY, "matching-gift")):
        found = report(demo, shop, key, MADE)
        assert msgspec.json.decode(msgspec.json.encode(found, enc_hook=plain), type=Report) == found
        json.dumps(found.to_dict(), allow_nan=False)


def test_the_command_prints_the_same_json(demo: Engine) -> None:
    url = demo.url.render_as_string()
    arguments = ["cart-offers", "--storefront", "demo", "--as-of", "2026-11-21T12:00Z", "--database", url]
    printed = CliRunner().invoke(command, [*arguments, "--format", "json"], catch_exceptions=False)
    found = report(demo, "demo", "cart-offers", MADE)
    assert json.loads(printed.stdout) == json.loads(msgspec.json.encode(found.to_dict()))
    text = CliRunner().invoke(command, arguments, catch_exceptions=False).stdout
    assert "sold by the offer and on top, EUR" in text
    worth = CliRunner().invoke(command, [*arguments, "--format", "csv", "--table", "worth"]).stdout.splitlines()
    assert len(worth) == 1 + len(found.worth)
    assert "<table>" in unescape(CliRunner().invoke(command, [*arguments, "--format", "html"]).stdout)


def test_a_level_that_is_not_there_is_said(demo: Engine) -> None:
    arguments = ["cart-offers", "--storefront", "demo", "--database", demo.url.render_as_string()]
    with pytest.raises(Exception, match="visitor:new"):
        CliRunner().invoke(command, [*arguments, "--segment", "colour:red"], catch_exceptions=False)


def test_metrics_have_their_names_and_order(demo: Engine) -> None:
    found = report(demo, "demo", "cart-offers", MADE)
    assert found.metrics[0].role == "primary"
    assert {m.metric for m in found.metrics} <= set(BUILT_IN)


def test_missing_costs_give_a_band(engine: Engine) -> None:
    """From no margin on the unknown order to its category's usual one; the truth lies between."""
    shop: Shop = open_shop(engine)
    shop.define(a_a("same", metrics={"primary": "contribution_per_visitor"}, analysis={"sequential": False}))
    shop.expose(*(exposed(f"v{i}", "control" if i % 2 else "t1", experiment="same") for i in range(400)))
    mug = [{"product_id": "A1", "quantity": 1, "price": "10"}]
    spoon = [{"product_id": "C1", "quantity": 1, "price": "3"}]
    shop.convert(*(order(f"o{i}", f"v{i}", "10.00", items=mug) for i in range(100)))
    shop.convert(*(order(f"s{i}", f"v{i}", "3.00", items=spoon) for i in range(0, 100, 2)))
    found = report(engine, "shop", "same", Micros(NOW + 20 * DAY))
    assert not found["contribution_per_visitor"].comparison("t1").estimable
    (band,) = found.bands
    control = 50 * 6 / 200
    overall = 0.4  # what the known orders cost of their price: the spoon's category has no cost at all
    assert band.coverage == pytest.approx(1000 / 1150)
    assert band.zero_margin.estimate == pytest.approx(50 * 6 / 200 - control)
    assert band.category_margin.estimate == pytest.approx((50 * 6 + 50 * 3 * (1 - overall)) / 200 - control)
    profit = next(w for w in found.worth if w.metric == "contribution_per_visitor")
    assert profit.a_day.estimate is None
    assert profit.a_day.low == pytest.approx(band.zero_margin.low * profit.units_a_day)
