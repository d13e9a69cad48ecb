"""Rows gathered piece by piece: those that did something are kept, in order of their variant, the others counted.

Most rows of a shop's test are zeros in every column: they add to the number of units and to nothing else.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.exact import LARGEST_INTEGER, largest, narrowed
from analysis.files import Piece
from analysis.frames import Numbers, fixed, labels, plain_numbers, refuse_missing, tally
from analysis.units import Rows

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One piece's rows: for each variant how many are idle, and the columns of the others.

    `lost` rows name no variant; `names` are the columns that the piece has.
    """

    idle: Mapping[str, int]
    columns: Mapping[str, Mapping[str, Numbers]]
    lost: int
    names: tuple[str, ...]


def gather(pieces: Iterable[Piece], variant: str, columns: Sequence[str]) -> tuple[Rows, int]:
    """All the pieces' rows, by all processors, and how many name no variant; raises as reading does."""
    parts = list(_in_turn(pieces, lambda piece: _part(piece(), variant, columns)))
    if parts:
        refuse_missing({variant, *columns}, list(dict.fromkeys(name for part in parts for name in part.names)))
    words = tuple(sorted({word for part in parts for word in part.idle}))
    idle = [sum(part.idle.get(word, 0) for part in parts) for word in words]
    cells = [part.columns[word] for word in words for part in parts if word in part.columns]
    joined = {name: _joined([cell[name] for cell in cells]) for name in columns}
    listed = [sum(_length(part.columns[word]) for part in parts if word in part.columns) for word in words]
    code = np.repeat(np.arange(len(words), dtype=np.int32), listed)
    rows = Rows(None, None, np.arange(len(code)), code, words, joined, idle=np.array(idle, dtype=np.int64))
    return rows, sum(part.lost for part in parts)


def _length(cell: Mapping[str, Numbers]) -> int:
    return len(next(iter(cell.values())).values)


def _in_turn(pieces: Iterable[Piece], work: Callable[[Piece], Part]) -> Iterator[Part]:
    """The work of each piece, in the pieces' order, a few under way at once."""
    workers = os.cpu_count() or 1
    todo = iter(pieces)
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[Part]] = deque(pool.submit(work, piece) for piece in islice(todo, workers * 2))
        while under_way:
            done = under_way.popleft().result()
            under_way.extend(pool.submit(work, piece) for piece in islice(todo, 1))
            yield done


def _part(table: pa.Table, variant: str, columns: Sequence[str]) -> Part:
    arms = labels(table, variant) if variant in table.column_names else None
    if arms is None:
        return Part({}, {}, table.num_rows, tuple(table.column_names))
    here = [name for name in columns if name in table.column_names]
    plain = {name: plain_numbers(table, name) for name in here}
    busy = np.full(table.num_rows, len(here) < len(columns))
    for values, known in plain.values():
        busy |= values != 0
        if known is not None:
            busy |= ~known
    listed = np.flatnonzero(busy & (arms.codes >= 0))
    code = arms.codes[listed]
    code = code.astype(np.int16) if len(arms.words) < 2**15 else code
    # a short integer sorts by radix, in one pass
    order = np.argsort(code, kind="stable")
    listed = listed[order]
    bounds = np.concatenate([[0], np.cumsum(tally(code, len(arms.words)))])
    rows = tally(arms.codes, len(arms.words))
    kept = {name: _kept(values, known, listed) for name, (values, known) in plain.items()}
    blank = Numbers(np.zeros(len(listed), dtype=np.int64), 0, np.zeros(len(listed), dtype=bool))
    split = {
        word: {name: _sliced(kept.get(name, blank), bounds[i], bounds[i + 1]) for name in columns}
        for i, word in enumerate(arms.words)
    }
    idle = {word: int(rows[i] - bounds[i + 1] + bounds[i]) for i, word in enumerate(arms.words)}
    return Part(idle, split, table.num_rows - int(rows.sum()), tuple(table.column_names))


def _kept(values: Array, known: NDArray[np.bool_] | None, listed: NDArray[np.int64]) -> Numbers:
    found = fixed(np.take(values, listed), None if known is None else known[listed])
    return found if found.values.dtype.kind == "f" else Numbers(narrowed(found.values), found.scale, found.known)


def _sliced(column: Numbers, start: int, end: int) -> Numbers:
    known = None if column.known is None else column.known[start:end]
    return Numbers(column.values[start:end], column.scale, known)


def _joined(parts: Sequence[Numbers]) -> Numbers:
    """One column, under the decimal places of the piece that has most."""
    scale = _common_scale(parts)
    if scale is None:
        values = [c.floats for c in parts]
    else:
        values = [c.values.astype(np.int64) * 10 ** (scale - c.scale) if c.scale < scale else c.values for c in parts]
    known = None
    if any(c.known is not None for c in parts):
        known = np.concatenate([np.ones(len(c.values), dtype=bool) if c.known is None else c.known for c in parts])
    return Numbers(np.concatenate(values) if values else np.zeros(0, dtype=np.int64), scale or 0, known)


def _common_scale(columns: Sequence[Numbers]) -> int | None:
    """The decimal places under which all are integers that doubles hold; None where there is none."""
    if any(c.values.dtype.kind == "f" for c in columns):
        return None
    scale = max((c.scale for c in columns), default=0)
    for c in columns:
        if c.scale < scale and largest(c.values) >= LARGEST_INTEGER // 10 ** (scale - c.scale):
            return None
    return scale
