"""Tables from files and DataFrames, and their columns as arrays of numbers."""

import gzip
import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, json, parquet

from analysis import exact
from experiments.errors import Invalid, Malformed, NotFound

Array = NDArray[Any]
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}


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


def read_table(path: str | Path, text: Iterable[str] = (), only: Iterable[str] | None = None) -> pa.Table:
    """A table from CSV, TSV, NDJSON (each plain, .gz or .xz) or Parquet; columns in `text` are kept as written.

    `only` are the columns needed. Raises NotFound, Malformed, or Invalid naming a column that is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFound(f"no file {path}")
    packed = path.suffix.lower() in _OPENERS
    kind = path.with_suffix("").suffix.lower() if packed else path.suffix.lower()
    try:
        if kind == ".parquet":
            return _read_parquet(path, set(text), only)
        with _open(path) as stream:
            if kind in {".ndjson", ".jsonl"}:
                return json.read_json(stream)
            if kind in {".csv", ".tsv", ".txt"}:
                return _read_csv(stream, path, "\t" if kind == ".tsv" else ",", set(text), only)
    except (pa.ArrowInvalid, OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise Malformed(f"{path.name}: {str(error).splitlines()[0]}") from error
    raise Malformed(f"{path.name}: neither .csv, .tsv, .ndjson, .jsonl (plain, .gz or .xz) nor .parquet")


def _open(path: Path) -> IO[bytes]:
    opener = _OPENERS.get(path.suffix.lower())
    return cast("IO[bytes]", opener(path, "rb") if opener else path.open("rb"))


def _read_csv(stream: IO[bytes], path: Path, delimiter: str, text: set[str], only: Iterable[str] | None) -> pa.Table:
    header = _header(path, delimiter)
    wanted = None if only is None else [c for c in header if c in set(only)]
    if wanted is not None:
        _refuse_missing(set(only or ()), header)
    words = dict.fromkeys(text & set(header), pa.dictionary(pa.int32(), pa.string()))
    convert = csv.ConvertOptions(column_types=words, include_columns=wanted or None, strings_can_be_null=False)
    return csv.read_csv(stream, csv.ReadOptions(), csv.ParseOptions(delimiter=delimiter), convert)


def _header(path: Path, delimiter: str) -> list[str]:
    import csv as plain

    with _open(path) as stream:
        first = stream.readline().decode("utf-8-sig")
    return next(plain.reader([first], delimiter=delimiter), [])


def _read_parquet(path: Path, text: set[str], only: Iterable[str] | None) -> pa.Table:
    names = parquet.read_schema(path).names
    if only is not None:
        _refuse_missing(set(only), names)
    # without rows a column list of none would forget their number
    return parquet.read_table(
        path, columns=[c for c in names if c in set(only)] if only else None, read_dictionary=sorted(text & set(names))
    )


def as_table(frame: Any) -> pa.Table:
    """An Arrow table of a pandas, Polars or Arrow DataFrame, through narwhals."""
    if isinstance(frame, pa.Table):
        return frame
    import narwhals

    try:
        return narwhals.from_native(frame, eager_only=True).to_arrow()
    except TypeError:
        raise Invalid.at("table", f"a DataFrame is needed, not {type(frame).__name__}") from None


def numbers(table: pa.Table, name: str) -> Numbers:
    """A column of the table as numbers; a blank is unknown. Raises Invalid where it holds words."""
    column = _column(table, name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_dictionary(column.type):
        column = _from_words(name, column)
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.float64())
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
        raise Invalid.at(name, f"a column of numbers is needed, not of {column.type}")
    known = None
    if pa.types.is_null(column.type):
        return Numbers(np.zeros(len(column), dtype=np.int64), 0, np.zeros(len(column), dtype=bool))
    if column.null_count:
        known = pc.is_valid(column).to_numpy()
        column = pc.fill_null(column, 0)
    values = column.to_numpy()
    if values.dtype.kind == "f":
        known, values = _without_nan(name, values, known)
    fixed = exact.as_integers(values)
    return Numbers(values.astype(np.float64), 0, known) if fixed is None else Numbers(fixed[0], fixed[1], known)


def labels(table: pa.Table, name: str) -> Labels:
    """A column of the table as words, in order of first appearance; blank is -1."""
    column = _column(table, name)
    if not pa.types.is_dictionary(column.type):
        column = pc.cast(column, pa.string()).dictionary_encode()
    elif not pa.types.is_string(column.type.value_type):
        column = pc.cast(column, pa.dictionary(pa.int32(), pa.string()))
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


def _occurring(codes: NDArray[np.int32], words: list[str]) -> Labels:
    """Without the words that no row has: a filtered table keeps the levels that it lost."""
    seen = np.bincount(codes[codes >= 0], minlength=len(words)) > 0
    if seen.all():
        return Labels(codes, tuple(words))
    moved = np.append(np.cumsum(seen) - 1, -1).astype(np.int32)  # the last one is where blank, -1, points
    return Labels(moved[codes], tuple(word for word, here in zip(words, seen, strict=True) if here))


def _column(table: pa.Table, name: str) -> Any:
    _refuse_missing({name}, table.column_names)
    return table.column(name)


def _refuse_missing(wanted: set[str], names: list[str]) -> None:
    missing = sorted(wanted - set(names))
    if missing:
        raise Invalid.at(missing[0], f"no such column; the columns are {', '.join(names)}")


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
