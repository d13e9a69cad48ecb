"""Rows of a file, one after the other: CSV and TSV, NDJSON (each plain, .gz or .xz), Parquet."""

import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from experiments.errors import Malformed, NotFound

Cells = dict[str, Any]
"""A row's values by name; what is blank is not there."""
Names = Callable[[str], str | None]
"""What a column of the file means; None leaves it out."""

LONGEST_LINE = 1_048_576
"""Bytes of one NDJSON line, as of one HTTP body; and characters of one CSV cell."""
PARQUET_ROWS = 8192
_CSV, _NDJSON = {".csv", ".tsv", ".txt"}, {".ndjson", ".jsonl"}
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands (a line, counted from 1; in Parquet a row), and its cells or why they cannot be read."""

    line: int
    cells: Cells = field(default_factory=dict)
    fault: str = ""


class RowFile:
    """A file of rows, read as a stream. Raises NotFound, or Malformed where the file as a whole cannot be read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"There is no file {path}")
        self.path = path
        suffix = path.suffix.lower()
        self._packed = suffix if suffix in {".gz", ".xz"} else ""
        self._kind = path.with_suffix("").suffix.lower() if self._packed else suffix
        if self._kind not in _CSV | _NDJSON and (self._packed or self._kind != ".parquet"):
            raise Malformed(f"{path.name}: neither .csv, .tsv, .ndjson, .jsonl (plain, .gz or .xz) nor .parquet")
        self.size = path.stat().st_size
        """Bytes of the file as it lies on the disk."""
        self.position = 0
        """Bytes of it that are read so far."""
        self.header = self._header()
        """The columns, None where each row names its own."""

    def rows(self, names: Names) -> Iterator[Row]:
        """The rows in order, their cells by what the columns mean."""
        if self._kind == ".parquet":
            return self._parquet_rows(names)
        return self._ndjson_rows(names) if self._kind in _NDJSON else self._csv_rows(names)

    def _header(self) -> Sequence[str] | None:
        if self._kind in _NDJSON:
            return None
        with self._faults():
            if self._kind == ".parquet":
                from pyarrow import parquet

                return tuple(parquet.read_schema(self.path).names)
            with self._bytes() as stream:
                text = _text(stream)
                header = tuple(name.strip() for name in next(csv.reader(text, delimiter=self._delimiter()), []))
        if not any(header):
            raise Malformed(f"{self.path.name}: its first line names no columns")
        return header

    def _delimiter(self) -> str:
        """The one of comma, semicolon and tab that the first line has most of."""
        with self._bytes() as stream:
            line = stream.readline(LONGEST_LINE)
        return max((",", ";", "\t"), key=lambda mark: line.count(mark.encode()))

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        with self.path.open("rb") as raw:
            if self._packed == ".gz":
                yield self._counted(raw, io.BufferedReader(cast("Any", gzip.GzipFile(fileobj=raw))))
            elif self._packed == ".xz":
                yield self._counted(raw, io.BufferedReader(cast("Any", lzma.LZMAFile(raw))))  # noqa: SIM115 - it owns nothing; `raw` is closed here
            else:
                yield self._counted(raw, raw)

    def _counted(self, raw: BinaryIO, stream: Any) -> BinaryIO:
        self._tell = raw.tell
        return cast("BinaryIO", stream)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError, NotImplementedError) as error:
            # Arrow's errors are ValueErrors and NotImplementedErrors too
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Malformed(f"{self.path.name} cannot be read: {why}") from error

    def _csv_rows(self, names: Names) -> Iterator[Row]:
        wanted = [names(column) for column in self.header or ()]
        csv.field_size_limit(LONGEST_LINE)
        delimiter = self._delimiter()
        with self._faults(), self._bytes() as stream:
            reader = csv.reader(_text(stream), delimiter=delimiter, strict=True)
            next(reader, None)
            while True:
                line = reader.line_num + 1
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    yield Row(line, fault=f"is no CSV: {error}")
                    continue
                if values is None:
                    break
                if values:
                    yield _csv_row(line, wanted, values)
                if line % 1000 == 0:
                    self.position = self._tell()
        self.position = self.size

    def _ndjson_rows(self, names: Names) -> Iterator[Row]:
        with self._faults(), self._bytes() as stream:
            for line, text in enumerate(stream, start=1):
                if text.strip():
                    yield _ndjson_row(line, names, text)
                if line % 1000 == 0:
                    self.position = self._tell()
        self.position = self.size

    def _parquet_rows(self, names: Names) -> Iterator[Row]:
        import pyarrow as pa
        from pyarrow import parquet

        wanted = {column: name for column in self.header or () if (name := names(column)) is not None}
        with self._faults(), parquet.ParquetFile(self.path) as file:
            line = 0
            for batch in file.iter_batches(PARQUET_ROWS, columns=list(wanted)):
                columns = []
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    if pa.types.is_timestamp(column.type):
                        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # noqa: PLW2901
                    columns.append((wanted[name], column.to_pylist()))
                for index in range(batch.num_rows):
                    line += 1
                    cells = {name: values[index] for name, values in columns}
                    yield Row(line, {name: value for name, value in cells.items() if not _blank(value)})
                self.position = self.size * line // file.metadata.num_rows
        self.position = self.size


def _text(stream: BinaryIO) -> io.TextIOWrapper:
    """The text of a file; a byte that is no UTF-8 spoils its row only: no JSON carries its surrogate."""
    return io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")


def _blank(value: object) -> bool:
    return value is None or value == "" or value != value  # noqa: PLR0124 - a NaN is how pandas writes a blank


def _csv_row(line: int, wanted: list[str | None], values: list[str]) -> Row:
    if len(values) != len(wanted):
        cells = {str(number): value for number, value in enumerate(values, start=1)}
        return Row(line, cells, f"has {len(values)} cells, and the header names {len(wanted)}")
    return Row(line, {name: value for name, value in zip(wanted, values, strict=True) if value and name is not None})


def _ndjson_row(line: int, names: Names, text: bytes) -> Row:
    if len(text) > LONGEST_LINE:
        return Row(line, fault=f"has {len(text)} bytes; at most {LONGEST_LINE} are read")
    try:
        given = _RAW.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Row(line, {"line": text.decode("utf-8", "replace")[:2000]}, f"is no JSON object: {error}")
    cells: Cells = {}
    for column, value in given.items():
        name = names(column)
        if name in cells:
            return Row(line, dict(given), f"names {name!r} twice, once as {column!r}")
        if name is not None:
            cells[name] = value
    return Row(line, cells)
