"""Tables from DataFrames, and the columns of tables as arrays of numbers and of words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import exact
from experiments.errors import Invalid

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column: `values` are `10**scale` times the numbers, integers where they can be; `known` is None or a mask."""

    values: Array
    scale: int
    known: NDArray[np.bool_] | None

    @property
    def floats(self) -> NDArray[np.float64]:
        """The numbers themselves."""
        floats = self.values.astype(np.float64)
        return floats / 10**self.scale if self.scale else floats


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A column of words: `codes` index `words`, -1 where blank."""

    codes: NDArray[np.signedinteger[Any]]
    words: tuple[str, ...]


def as_table(frame: Any, only: Iterable[str] | None = None) -> pa.Table:
    """An Arrow table of a pandas, Polars (lazy too) or Arrow DataFrame, through narwhals; of the columns `only`.

    Raises Invalid, naming the column that is missing, stands twice or has no one type.
    """
    if isinstance(frame, pa.Table):
        found = frame
        if only is not None:
            refuse_missing(set(only), frame.column_names)
            found = frame.select([c for c in frame.column_names if c in set(only)])
        return found
    import narwhals
    from narwhals.exceptions import DuplicateError

    try:
        wrapped = narwhals.from_native(frame)
        names = wrapped.collect_schema().names()
    except TypeError:
        raise Invalid.at("table", f"a DataFrame is needed, not {type(frame).__name__}") from None
    except DuplicateError as error:
        raise Invalid.at("table", " ".join(str(error).split())) from None
    wanted = names if only is None else [c for c in names if c in set(only)]
    refuse_missing(set(only or ()), names)
    chosen = wrapped.select(*wanted)
    eager = chosen.collect() if isinstance(chosen, narwhals.LazyFrame) else chosen
    # without columns a table would forget how many rows it has
    return pa.table({name: _as_arrow(name, eager.get_column(name)) for name in wanted})


def _as_arrow(name: str, series: Any) -> Any:
    try:
        return series.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise Invalid.at(name, f"its values have no one type: {str(error).splitlines()[0]}") from None


def numbers(table: pa.Table, name: str) -> Numbers:
    """A column of the table as numbers; a blank is unknown. Raises Invalid where it holds anything else."""
    return fixed(*plain_numbers(table, name))


def fixed(values: Array, known: NDArray[np.bool_] | None) -> Numbers:
    """Numbers as integers of a scale where they can be."""
    found = exact.as_integers(values)
    return Numbers(values.astype(np.float64), 0, known) if found is None else Numbers(found[0], found[1], known)


def plain_numbers(table: pa.Table, name: str) -> tuple[Array, NDArray[np.bool_] | None]:
    """A column's values as they are, 0 where blank, and which are known; None where all are."""
    column = _column(table, name)
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_null(column.type):
        return np.zeros(len(column), dtype=np.int64), np.zeros(len(column), dtype=bool)
    if _is_text(column.type):
        column = _from_words(name, column)
    places = column.type.scale if pa.types.is_decimal(column.type) else None
    if places is not None or pa.types.is_float16(column.type):
        column = pc.cast(column, pa.float64())
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise Invalid.at(name, f"a column of numbers is needed, not of {column.type}")
    known = None
    if column.null_count:
        known = pc.is_valid(column).to_numpy()
        column = pc.fill_null(column, 0)
    values = column.to_numpy()
    if places is not None and 0 < places <= 22:
        # Arrow multiplies by a power of ten that no double is: the nearest double is that of a division
        near = np.rint(values * 10.0**places) / 10.0**places
        values = np.where(np.abs(values) < exact.LARGEST_INTEGER / 10.0**places, near, values)
    if values.dtype.kind == "f":
        known, values = _without_nan(name, values, known)
    return values, known


def labels(table: pa.Table, name: str) -> Labels:
    """A column of the table as words, in order of first appearance; blank is -1. Raises Invalid where it has none."""
    column = _column(table, name)
    if not (pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type)):
        column = _as_words(name, column)
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    indices = pc.fill_null(encoded.indices, -1) if encoded.null_count else encoded.indices
    codes = indices.to_numpy().astype(np.int32, copy=False)
    words = encoded.dictionary.to_pylist()
    if "" in words:
        blank = words.index("")
        codes = np.where(codes == blank, -1, codes - (codes > blank))
        words.pop(blank)
    return _occurring(codes, words)


def identities(table: pa.Table, name: str) -> NDArray[np.int64]:
    """Which rows have one value: a number from 0 for each value, -1 where blank; raises Invalid."""
    column = _column(table, name)
    try:
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        if pa.types.is_string_view(column.type):
            column = pc.cast(column, pa.string())
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise Invalid.at(name, f"{column.type} names no unit") from None
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    codes = pc.fill_null(pc.cast(encoded.indices, pa.int64()), -1).to_numpy()
    blank = pc.index(encoded.dictionary, "").as_py() if _is_text(encoded.dictionary.type) else -1
    return codes if blank < 0 else np.where(codes == blank, -1, codes)


def _as_words(name: str, column: Any) -> Any:
    """Encoded; whole numbers in a column of floats are written without a point, as they were before a blank came in."""
    try:
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        return pc.cast(column, pa.string()).dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise Invalid.at(name, f"a column of words is needed, not of {column.type}") from None


def tally(codes: NDArray[np.signedinteger[Any]], words: int) -> NDArray[np.int64]:
    """How often each code from 0 occurs."""
    if words <= 16:  # counting truth values is several times as fast as bincount
        return np.array([np.count_nonzero(codes == code) for code in range(words)], dtype=np.int64)
    return np.bincount(codes + 1, minlength=words + 1)[1:].astype(np.int64)


def _occurring(codes: NDArray[np.int32], words: list[str]) -> Labels:
    """Without the words that no row has: a filtered table keeps the levels that it lost."""
    seen = tally(codes, len(words)) > 0
    if seen.all():
        return Labels(codes, tuple(words))
    moved = np.append(np.cumsum(seen) - 1, -1).astype(np.int32)  # the last one is where blank, -1, points
    return Labels(moved[codes], tuple(word for word, here in zip(words, seen, strict=True) if here))


def _column(table: pa.Table, name: str) -> Any:
    refuse_missing({name}, table.column_names)
    return table.column(name)


def refuse_missing(wanted: set[str], names: list[str]) -> None:
    """Raises Invalid, naming a wanted column that is not there, or is there twice."""
    for name in sorted(wanted):
        if name not in names:
            raise Invalid.at(name, f"no such column; the columns are {', '.join(names)}")
        if names.count(name) > 1:
            raise Invalid.at(name, "two columns have this name")


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _from_words(name: str, column: Any) -> Any:
    words = pc.cast(column, pa.string())
    words = pc.if_else(pc.equal(words, ""), None, words)
    try:
        return pc.cast(words, pa.float64())
    except pa.ArrowInvalid:
        raise Invalid.at(name, "a column of numbers is needed, and this one holds words") from None


def _without_nan(
    name: str, values: NDArray[np.float64], known: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_] | None, NDArray[np.float64]]:
    # pandas writes a blank as NaN; an infinity is nobody's blank
    if not np.isfinite(values).all():
        if np.isinf(values).any():
            raise Invalid.at(name, "holds an infinite value")
        blank = np.isnan(values)
        known = ~blank if known is None else known & ~blank
        values = np.where(blank, 0.0, values)
    return known, values
