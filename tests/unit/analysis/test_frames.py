"""DataFrames of every maker and type give the report that plain numbers give, or an error that names the column."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from analysis import Metric, analyze
from experiments.errors import Invalid

METRICS = [
    Metric("c", "proportion", "bought"), Metric("rpv", "mean", "money", covariates=("before",)),
    Metric("aov", "ratio", "money", "orders"),
]  # fmt: skip
ROWS = 400


def columns():
    rng = np.random.default_rng(4)
    orders = rng.poisson(0.8, ROWS)
    money = [None if i % 40 == 0 else round(float(o) * 9.95 + i % 7 * 0.01, 2) for i, o in enumerate(orders)]
    return {
        "variant": [("a", "b", "ç")[i % 3] for i in range(ROWS)], "bought": [bool(o) for o in orders],
        "orders": orders.tolist(), "money": money, "before": [None if i % 5 else float(i % 50) for i in range(ROWS)],
        "who": [f"u{i // 2}" for i in range(ROWS)],
    }  # fmt: skip


def plain():
    return pa.table(columns())


def pandas_numpy():
    return pd.DataFrame(columns()).astype({"money": float, "before": float})


def pandas_nullable():
    kinds = {
        "variant": "category", "bought": "boolean", "orders": "Int16", "money": "Float64", "before": "Float32",
        "who": "string",
    }  # fmt: skip
    return pd.DataFrame(columns()).astype(kinds).set_index(pd.Index(range(5, ROWS + 5), name="row"))


def pandas_arrow():
    return plain().to_pandas(types_mapper=pd.ArrowDtype)


def pandas_decimals():
    frame = pd.DataFrame(columns())
    frame["money"] = [None if pd.isna(m) else Decimal(str(m)) for m in frame["money"]]
    return frame


def polars_plain():
    return pl.DataFrame(columns())


def polars_lazy():
    return pl.LazyFrame(columns())


def polars_narrow():
    return pl.DataFrame(columns()).with_columns(
        pl.col("variant").cast(pl.Categorical), pl.col("bought").cast(pl.UInt8), pl.col("orders").cast(pl.UInt64),
        pl.col("money").cast(pl.Decimal(12, 2)), pl.col("before").cast(pl.Float32), pl.col("who").cast(pl.Categorical),
    )  # fmt: skip


def polars_enum():
    return pl.DataFrame(columns()).with_columns(pl.col("variant").cast(pl.Enum(["ç", "nobody", "b", "a"])))


def arrow_odd():
    table = plain()
    for name, kind in (
        ("variant", pa.large_string()), ("who", pa.string_view()), ("money", pa.decimal128(20, 4)),
        ("orders", pa.uint8()), ("before", pa.float32()),
    ):  # fmt: skip
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    return table


def arrow_in_chunks():
    table = plain()
    return pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])


def arrow_encoded():
    table = plain()
    for name in ("variant", "orders", "money"):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table


MAKERS = [
    pandas_numpy, pandas_nullable, pandas_arrow, pandas_decimals, polars_plain, polars_lazy, polars_narrow, polars_enum,
    arrow_odd, arrow_in_chunks, arrow_encoded,
]  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("options", [{}, {"unit": "who", "segments": ["variant"]}], ids=["one row", "several rows"])
def test_every_kind_of_frame_gives_one_report(maker, options):
    told = analyze(plain(), metrics=METRICS, control="a", **options).to_dict()
    assert analyze(maker(), metrics=METRICS, control="a", **options).to_dict() == told


@pytest.mark.parametrize("of", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([dt.date(2026, 1, 1), dt.date(2026, 1, 2)], "money: a column of numbers is needed, not"),
        ([dt.datetime(2026, 1, 1, 9, tzinfo=dt.UTC)] * 2, "money: a column of numbers is needed, not of timestamp"),
        ([dt.timedelta(1), dt.timedelta(2)], "money: a column of numbers is needed, not of duration"),
        (["1.5", "two"], "money: a column of numbers is needed, and this one holds words"),
        ([[1.0], [2.0]], "money: a column of numbers is needed, not of"),
        ([1.0, float("inf")], "money: holds an infinite value"),
    ],
)  # fmt: skip
def test_a_column_that_is_no_numbers_is_named(of, values, said):
    with pytest.raises(Invalid, match=said):
        analyze(of({"variant": ["a", "b"], "money": values}), metrics=[Metric("m", "mean", "money")], control="a")


def test_a_column_of_no_one_type_is_named():
    frame = pd.DataFrame({"variant": ["a", "b"], "money": pd.Series([1, "x"], dtype=object)})
    with pytest.raises(Invalid, match=r"^money: "):
        analyze(frame, metrics=[Metric("m", "mean", "money")], control="a")


def test_a_column_that_no_metric_needs_may_hold_anything():
    frame = pd.DataFrame({"variant": ["a", "b"] * 3, "y": range(6), "odd": pd.Series([1, "x", [], {}, None, 2.5])})
    assert analyze(frame, metrics=[Metric("m", "mean", "y")], control="a")["m"].unit_count == 6


@pytest.mark.parametrize("of", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
def test_a_missing_column_is_named_with_those_there_are(of):
    with pytest.raises(Invalid, match=r"profit: no such column; the columns are variant, money"):
        analyze(of({"variant": ["a"], "money": [1]}), metrics=[Metric("m", "mean", "profit")], control="a")


@pytest.mark.parametrize("twice", ["variant", "money"])
def test_columns_of_one_name_are_refused(twice):
    other = {"variant": "money", "money": "variant"}[twice]
    frame = pd.DataFrame([["a", "a", 1], ["b", "b", 2]], columns=[twice, twice, other])
    with pytest.raises(Invalid, match=twice):
        analyze(frame, metrics=[Metric("m", "mean", "money")], control="a")


@pytest.mark.parametrize(
    ("variants", "control"),
    [([1, 1, 2, 2], "1"), ([1.0, 1.0, 2.0, np.nan], "1"), ([True, True, False, False], "true"),
     ([dt.date(2026, 1, 1)] * 2 + [dt.date(2026, 1, 2)] * 2, "2026-01-01")],
)  # fmt: skip
def test_variants_of_any_type_are_words(variants, control):
    frame = pd.DataFrame({"variant": variants, "y": [0, 1, 1, 1]})
    assert analyze(frame, metrics=[Metric("y", "mean", "y")], control=control)["y"].variant(control).value == 0.5


def test_a_variant_of_lists_is_refused_by_name():
    frame = pa.table({"variant": [["a"], ["b"]], "y": [0, 1]})
    with pytest.raises(Invalid, match="variant: a column of words is needed"):
        analyze(frame, metrics=[Metric("y", "mean", "y")], control="a")
