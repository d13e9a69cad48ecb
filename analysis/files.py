"""Tables from files: whole, or piece by piece so that a file may be larger than the memory."""

import csv as plain
import gzip
import lzma
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
from pyarrow import csv, json, parquet

from analysis.frames import refuse_missing
from experiments.errors import Malformed, NotFound

PIECE_ROWS = 1 << 18
"""Rows of a piece: small enough for a processor's cache, large enough that the cost of starting one is not seen."""
_PIECE_BYTES = 1 << 23
_WHOLE_GROUP = 1 << 21
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_JSON = frozenset({".ndjson", ".jsonl"})
_CSV = frozenset({".csv", ".tsv", ".txt"})

Piece = Callable[[], pa.Table]
"""A part of a table that is still to be parsed, which any thread may do."""


def read_table(path: str | Path, text: Iterable[str] = (), only: Iterable[str] | None = None) -> pa.Table:
    """A table from CSV, TSV, NDJSON (each plain, .gz or .xz) or Parquet; columns in `text` are kept as written.

    `only` are the columns needed. Raises NotFound, Malformed, or Invalid naming a column that is not there.

    >>> from importlib.resources import files
    >>> letters = read_table(files("experiments") / "data/karlan_list_2007.csv.gz", only=["arm", "gave"])
    >>> letters.num_rows, letters.column_names
    (50083, ['arm', 'gave'])
    """
    path = Path(path)
    kind = _kind(path)
    with _readable(path):
        if kind == ".parquet":
            return _whole_parquet(path, set(text), only)
        with _open(path) as stream:
            if kind in _JSON:
                table = json.read_json(stream)
                if only is None:
                    return table
                refuse_missing(set(only), table.column_names)
                return table.select([c for c in table.column_names if c in set(only)])
            return _Csv.of(path, set(text), only).whole(stream)


def read_pieces(path: str | Path, text: Iterable[str], only: Iterable[str]) -> Iterator[Piece]:
    """The same table in pieces, of which few are held at a time; in NDJSON a piece may lack a column."""
    path = Path(path)
    kind = _kind(path)
    with _readable(path):
        if kind == ".parquet":
            yield from _parquet_pieces(path, set(text), set(only))
            return
        with _open(path) as stream:
            if kind in _JSON:
                for block in _blocks(stream, b""):
                    yield partial(_parsed, path, partial(_json_block, block))
                return
            layout = _Csv.of(path, set(text), only)
            stream.readline()
            for block in _blocks(stream, b'"'):
                yield partial(_parsed, path, partial(layout.block, block))


def table_pieces(table: pa.Table) -> Iterator[Piece]:
    """A table that is already there, in pieces."""
    for start in range(0, table.num_rows, PIECE_ROWS):
        yield partial(table.slice, start, PIECE_ROWS)


def _kind(path: Path) -> str:
    if not path.is_file():
        raise NotFound(f"no file {path}")
    packed = path.suffix.lower() in _OPENERS
    kind = path.with_suffix("").suffix.lower() if packed else path.suffix.lower()
    if kind in _JSON | _CSV or (kind == ".parquet" and not packed):
        return kind
    raise Malformed(f"{path.name}: neither .csv, .tsv, .ndjson, .jsonl (plain, .gz or .xz) nor .parquet")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise Malformed(f"{path.name}: {str(error).splitlines()[0]}") from error


def _parsed(path: Path, parse: Callable[[], pa.Table]) -> pa.Table:
    with _readable(path):
        return parse()


def _open(path: Path) -> IO[bytes]:
    opener = _OPENERS.get(path.suffix.lower())
    return cast("IO[bytes]", opener(path, "rb") if opener else path.open("rb"))


def _blocks(stream: IO[bytes], quote: bytes) -> Iterator[bytes]:
    """Whole lines, about 8 MB at a time; a line's end inside quotes is none."""
    rest = b""
    while chunk := stream.read(_PIECE_BYTES):
        block = rest + chunk
        end = _line_end(block, quote)
        if end:
            yield block[:end]
        rest = block[end:]
    if rest:
        yield rest


def _line_end(block: bytes, quote: bytes) -> int:
    """Where the last whole line of a block ends, 0 where none does."""
    end = block.rfind(b"\n") + 1
    if not quote or not end:
        return end
    inside = block.count(quote, 0, end) % 2
    while end and inside:
        before = block.rfind(b"\n", 0, end - 1) + 1
        inside ^= block.count(quote, before, end) % 2
        end = before
    return end


def _json_block(block: bytes) -> pa.Table:
    return json.read_json(pa.BufferReader(block), json.ReadOptions(use_threads=False, block_size=len(block) + 1))


@dataclass(frozen=True, slots=True)
class _Csv:
    """How one CSV file is laid out, and how the columns that are wanted are read."""

    delimiter: str
    header: list[str]
    convert: csv.ConvertOptions

    @classmethod
    def of(cls, path: Path, text: set[str], only: Iterable[str] | None) -> "_Csv":
        """Read off the file's first line."""
        delimiter = "\t" if ".tsv" in (suffix.lower() for suffix in path.suffixes[-2:]) else ","
        with _open(path) as stream:
            first = stream.readline().decode("utf-8-sig")
        header = next(plain.reader([first], delimiter=delimiter), [])
        if only is not None:
            refuse_missing(set(only), header)
        wanted = None if only is None else [c for c in header if c in set(only)]
        words = dict.fromkeys(text & set(header), pa.dictionary(pa.int32(), pa.string()))
        convert = csv.ConvertOptions(column_types=words, include_columns=wanted or None, strings_can_be_null=False)
        return cls(delimiter, header, convert)

    def whole(self, stream: IO[bytes]) -> pa.Table:
        """The file, by all of Arrow's threads."""
        return csv.read_csv(stream, csv.ReadOptions(), csv.ParseOptions(delimiter=self.delimiter), self.convert)

    def block(self, block: bytes) -> pa.Table:
        """Lines without the header, by this thread."""
        return csv.read_csv(
            pa.BufferReader(block),
            csv.ReadOptions(column_names=self.header, use_threads=False),
            csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=b'"' in block),
            self.convert,
        )


def _whole_parquet(path: Path, text: set[str], only: Iterable[str] | None) -> pa.Table:
    names = parquet.read_schema(path).names
    if only is not None:
        refuse_missing(set(only), names)
    # without rows a column list of none would forget their number
    return parquet.read_table(
        path, columns=[c for c in names if c in set(only)] if only else None, read_dictionary=sorted(text & set(names))
    )


def _parquet_pieces(path: Path, text: set[str], only: set[str]) -> Iterator[Piece]:
    names = parquet.read_schema(path).names
    refuse_missing(only, names)
    columns = [c for c in names if c in only]
    with parquet.ParquetFile(path, read_dictionary=sorted(text & set(names))) as file:
        for i in range(file.num_row_groups):
            if file.metadata.row_group(i).num_rows <= _WHOLE_GROUP:  # all columns at once, each by a thread of Arrow's
                yield from table_pieces(file.read_row_group(i, columns))
                continue
            for batch in file.iter_batches(PIECE_ROWS, [i], columns):
                yield partial(pa.Table.from_batches, [batch])
