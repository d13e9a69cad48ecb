from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import Moments
from experiments.errors import Invalid, NotEstimable

rows = st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 50)), max_size=40)


def of(some):
    return Moments.from_rows(
        {"y": np.array([y for y, _ in some], dtype=np.int64), "n": np.array([n for _, n in some], dtype=np.int64)}
    )


@given(rows, rows, rows)
def test_adding_is_associative_and_equals_the_moments_of_all_rows(a, b, c):
    assert (of(a) + of(b)) + of(c) == of(a) + (of(b) + of(c)) == of([*a, *b, *c])


@given(rows)
def test_order_of_rows_does_not_matter(some):
    assert of(some) == of(some[::-1])


@given(rows)
def test_integer_sums_are_exact_whatever_their_size(some):
    m = of(some)
    assert m.sums[0] == sum(y for y, _ in some)
    assert m.gram[0, 0] == sum(y * y for y, _ in some)
    assert m.gram[0, 1] == sum(y * n for y, n in some)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=2, max_size=40))
def test_variance_is_rounded_once(values):
    m = Moments.from_rows({"y": np.array(values)})
    mean = Fraction(sum(values), len(values))
    assert m.cov[0, 0] == float(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def test_decimals_of_money_are_summed_as_integers():
    m = Moments.from_rows({"y": np.array([0.1, 0.2, 1234.56])})
    assert (m.sums[0], m.scales) == (123486, (2,))
    assert m.total[0] == 1234.86


def test_floats_of_1e8_with_deviation_1_keep_their_variance():
    """sum_squares - sum**2 / n gives 2.62 for 1.00 here."""
    values = 1e8 + np.random.default_rng(1).normal(size=5_000)
    m = Moments.from_rows({"y": values})
    assert m.cov[0, 0] == pytest.approx(np.var(values - 1e8, ddof=1), rel=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_adding_floats_about_two_pivots(a, b):
    both = Moments.from_rows({"y": np.array(a)}) + Moments.from_rows({"y": np.array(b)})
    assert both.mean[0] == pytest.approx(np.mean([*a, *b]), rel=1e-9, abs=1e-6)
    assert both.cov[0, 0] == pytest.approx(np.var([*a, *b], ddof=1), rel=1e-6, abs=1e-4)


def test_adding_cents_to_euros():
    cents = Moments.from_rows({"y": np.array([1.25, 2.5])})
    euros = Moments.from_rows({"y": np.array([3, 4])})
    assert (cents + euros).total[0] == 10.75
    assert (cents + euros) == Moments.from_rows({"y": np.array([1.25, 2.5, 3, 4])})


def test_constant_float_column_has_exactly_no_variance():
    assert Moments.from_rows({"y": np.full(1000, 0.1234567)}).cov[0, 0] == 0.0


def test_aggregates_of_minor_units_speak_major_units():
    m = Moments.from_aggregates(4, {"revenue": 10_050}, {("revenue", "revenue"): 50_502_500}, {"revenue": 2})
    assert m.mean[0] == 25.125
    assert m.cov[0, 0] == float(Fraction(50_502_500 * 4 - 10_050**2, 4 * 3 * 10_000))


def test_aggregates_from_doubles_are_integers_where_they_can_be():
    m = Moments.from_aggregates(2, {"a": 3.0}, {("a", "a"): 5.0})
    assert isinstance(m.sums[0], int)
    assert m.cov[0, 0] == 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_a_number_is_refused_at_the_door(value):
    with pytest.raises(Invalid, match="y"):
        Moments.from_rows({"y": np.array([1.0, value])})
    with pytest.raises(Invalid, match="not a finite number"):
        Moments.from_aggregates(2, {"y": value}, {("y", "y"): 1.0})


def test_words_are_refused():
    with pytest.raises(Invalid, match="numbers"):
        Moments.from_rows({"y": np.array(["a", "b"])})


def test_a_product_that_is_not_there_is_named():
    with pytest.raises(Invalid, match=r"products\[a,b\]"):
        Moments.from_aggregates(2, {"a": 1, "b": 1}, {("a", "a"): 1, ("b", "b"): 1})


def test_other_columns_do_not_add():
    with pytest.raises(Invalid, match="same columns"):
        Moments.from_rows({"a": np.ones(2)}) + Moments.from_rows({"b": np.ones(2)})


def test_no_units_have_no_mean_and_one_has_no_variance():
    with pytest.raises(NotEstimable):
        _ = Moments.from_rows({"a": np.ones(0)}).mean
    with pytest.raises(NotEstimable):
        _ = Moments.from_rows({"a": np.ones(1)}).cov


def test_many_samples_at_once_have_the_moments_of_each():
    rng = np.random.default_rng(2)
    data = rng.normal(size=(3, 4, 50, 2)) + 1e6
    m = Moments.from_arrays(("a", "b"), data)
    assert m.mean.shape == (3, 4, 2)
    assert m.cov[1, 2] == pytest.approx(np.cov(data[1, 2].T), rel=1e-6)


@given(rows)
def test_idle_units_need_not_be_listed(some):
    busy = of([r for r in some if r != (0, 0)])
    names = {"y": np.array([y for y, n in some if (y, n) != (0, 0)], dtype=np.int64),
             "n": np.array([n for y, n in some if (y, n) != (0, 0)], dtype=np.int64)}  # fmt: skip
    listed = Moments.from_rows(names, idle=len(some) - busy.n)
    assert listed == of(some)


def test_idle_units_count_in_the_mean_of_floats():
    listed = Moments.from_rows({"y": np.array([0.123456, 3.987654])}, idle=2)
    whole = Moments.from_rows({"y": np.array([0.123456, 3.987654, 0, 0])})
    assert listed.mean == pytest.approx(whole.mean)
    assert listed.cov == pytest.approx(whole.cov)


def test_a_published_table_of_means_and_variances():
    rng = np.random.default_rng(8)
    values = rng.normal(5, 2, (60, 2))
    told = Moments.from_summary(("a", "b"), 60, values.mean(axis=0), np.cov(values.T))
    whole = Moments.from_rows({"a": values[:, 0], "b": values[:, 1]})
    assert told.mean == pytest.approx(whole.mean)
    assert told.cov == pytest.approx(whole.cov)
    assert (told + whole).cov == pytest.approx(np.cov(np.concatenate([values, values]).T))
    with pytest.raises(Invalid):
        Moments.from_summary(("a",), 60, [1.0, 2.0], [[1.0]])
