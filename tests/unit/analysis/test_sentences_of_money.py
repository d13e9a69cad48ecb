"""Sentences of a report write money as its currency is written, and everything else as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.analysis_plan import AnalysisPlan
from analysis.effect import Effect
from analysis.findings import findings
from analysis.parts import Band, Cannibalisation
from analysis.remarks import _cannibalised
from analysis.report import Comparison, MetricResult
from analysis.tables import range_of, signed, span_of
from experiments.metrics import BUILT_IN, Metric
from experiments.money import EXPONENTS, decimals, rounded

CURRENCIES = st.sampled_from(sorted(EXPONENTS))


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (6.793, "EUR", "6.79"), (-6.793, "EUR", "-6.79"), (6.793, "JPY", "7"), (6.7934, "KWD", "6.793"),
        (2036.4, "EUR", "2,036"), (-1141.2, "KWD", "-1,141"), (114.126, "USD", "114.13"),
        (0.0123, "EUR", "0.012"), (0.5, "EUR", "0.500"), (0.00041, "USD", "0.00041"), (0.4, "JPY", "0.40"),
        (0.0, "EUR", "0.00"), (0.0, "JPY", "0"), (1e-17, "EUR", "0.00"),
    ],
)  # fmt: skip
def test_an_amount_has_its_currencys_decimals(amount: float, currency: str, written: str) -> None:
    assert rounded(amount, currency) == written


@given(st.floats(-1e9, 1e9), CURRENCIES)
def test_what_is_read_is_the_amount_to_its_last_digit(amount: float, currency: str) -> None:
    read = float(rounded(amount, currency).replace(",", ""))
    places = 0 if abs(amount) >= 1000 else decimals(amount, currency)
    assert abs(read - amount) <= 0.5000001 * 10.0**-places
    assert decimals(amount, currency) == decimals(-amount, currency) >= EXPONENTS[currency]


def test_an_interval_names_its_currency_once() -> None:
    effect = Effect(6.793, -1141.2, 2036.4)
    assert span_of(effect, "EUR") == "+6.79 EUR (-1,141 to +2,036)"
    assert span_of(effect, "JPY") == "+7 JPY (-1,141 to +2,036)"
    assert span_of(effect) == "+6.793 (-1,141 to +2,036)"
    assert range_of(-0.5, 6.7934, "KWD") == "-0.5000 to +6.793 KWD"
    assert range_of(None, None, None) == "- to -"
    assert signed(None, "EUR") == "-"


def sentence(metric: Metric, comparison: Comparison, currency: str | None) -> str:
    plan = AnalysisPlan((metric,), "control", currency=currency)
    # a report that is read back from what was kept says no unit: the plan knows it
    [found] = findings(MetricResult(metric.key, metric.type, "primary", 100, "increase", (), (comparison,)), plan)
    return found.sentence


@pytest.mark.parametrize(
    ("key", "currency", "said"),
    [
        ("revenue_per_visitor", "EUR", "t on revenue_per_visitor: +6.79 EUR, better (p = 0.001)"),
        ("revenue_per_visitor", "JPY", "t on revenue_per_visitor: +7 JPY, better (p = 0.001)"),
        ("revenue_per_visitor", "KWD", "t on revenue_per_visitor: +6.793 KWD, better (p = 0.001)"),
        ("revenue_per_visitor", None, "t on revenue_per_visitor: +6.793, better (p = 0.001)"),
        ("items_per_order", "EUR", "t on items_per_order: +6.793, better (p = 0.001)"),
    ],
)
def test_a_change_without_a_lift_is_money_where_the_metric_is(key: str, currency: str | None, said: str) -> None:
    comparison = Comparison("t", "control", difference=Effect(6.7934, 1.0, 9.0), p_value=0.001, p_value_adjusted=0.001)
    assert sentence(BUILT_IN[key], comparison, currency) == said


def test_a_profit_of_unknown_costs_is_money() -> None:
    band = Band("t", 0.8, Effect(-6.793, -9.0, -1.2345), Effect(-3.2, -5.0, -0.5), 0.001, 0.001)
    said = sentence(BUILT_IN["contribution_per_visitor"], Comparison("t", "control", estimable=False, band=band), "EUR")
    assert "-6.79 EUR (-9.00 to -1.23) with no margin" in said
    assert "-3.20 EUR (-5.00 to -0.500) with its usual one, worse" in said


@pytest.mark.parametrize(
    ("currency", "sold", "span"),
    [
        ("EUR", "812.50 EUR", "-1,141 to +6.79 EUR"),
        ("JPY", "812 JPY", "-1,141 to +7 JPY"),
        ("KWD", "812.500 KWD", "-1,141 to +6.793 KWD"),
    ],
)
def test_what_came_on_top_is_money(currency: str, sold: str, span: str) -> None:
    found = Cannibalisation("t", 812.5, Effect(2.0, -1141.2, 6.7934), None, Effect(None, None, None), ())
    [remark] = _cannibalised(found, currency)
    assert remark.sentence == (
        f"t: {sold} were bought with the offer, but nothing is shown to have come on top: {span}. At least a part of "
        "it would have been bought anyway, or displaced something else."
    )
