"""From a row to the event that it says, as the JSON that the HTTP door reads: both doors then share every rule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from experiments.catalogue import ProductInput
from experiments.importing.columns import LINE_FIELDS, TYPES
from experiments.importing.rowfile import Cells, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = ("quantity", "stock", "version")
_NESTED = ("items", "properties", "attributes", "context")
_TEXT = frozenset({"type", "variant", "experiment"})
_OTHER_NAMES = {"item_id": "product_id", "sku": "product_id", "item_cost": "cost"}
_SHOWN_ONLY = frozenset(
    {"item_name", "item_brand", "item_variant", "item_list_id", "item_list_name", "index", "name", "affiliation"}
    | {"item_category", "item_category2", "item_category3", "item_category4", "item_category5"}
)
"""What Google Analytics 4 says of an item beyond what was sold."""
_decimals = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row is no event: a code for programs, the fields at fault, a message."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One row (or the rows of one order): its line, what stood there, and its JSON or why it has none."""

    line: int
    cells: Cells
    raw: bytes = b""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """What rows need not say themselves: where a field is blank, this is it.

    `zone` is that of times without one; without it such a time is refused.
    """

    currency: str
    experiment: str | None = None
    occurred_at: datetime | None = None
    zone: tzinfo | None = None


class _Refused(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal("invalid", f"{field}: {message}", (field,))


def exposures(rows: Iterable[Row], fill: Fill) -> Iterator[Event]:
    """Each row as an exposure."""
    given: Cells = {}
    if fill.experiment is not None:
        given["experiment"] = fill.experiment
    if fill.occurred_at is not None:
        given["occurred_at"] = fill.occurred_at
    for row in rows:
        # an exposure has no number: its text is what the door reads, as it stands
        try:
            cells = {
                n: value if type(value) is str and n not in _NESTED else _cell(n, value)
                for n, value in row.cells.items()
            }
        except _Refused as refused:
            yield Event(row.line, row.cells, refusal=refused.refusal)
            continue
        yield _event(row, given | cells, fill)


def conversions(rows: Iterable[Row], fill: Fill) -> Iterator[Event]:
    """Each row as a conversion; rows that follow one another with one order id are the lines of one order."""
    for group in _orders(rows):
        first = group[0]
        try:
            cells = _conversion(group, fill)
        except _Refused as refused:
            yield Event(first.line, first.cells, refusal=refused.refusal)
            continue
        yield _event(first, cells, fill)


def products(rows: Iterable[Row]) -> Iterator[tuple[Row, Cells, Refusal | None]]:
    """Each row with the product that it says: columns that are no field of a product are its attributes."""
    fields = frozenset(ProductInput.__struct_fields__)
    for row in rows:
        if row.fault:
            yield row, {}, Refusal("malformed", row.fault)
            continue
        try:
            plain = {name: _plain(value) for name, value in row.cells.items()}
            product = {name: _cell(name, value) for name, value in plain.items() if name in fields}
            product = {name: _plain(value) for name, value in product.items()}
            others = {name: str(value) for name, value in plain.items() if name not in fields}
        except _Refused as refused:
            yield row, {}, refused.refusal
            continue
        if others:
            product["attributes"] = {**others, **product.get("attributes", {})}
        yield row, product, None


def _event(row: Row, cells: Cells, fill: Fill) -> Event:
    if row.fault:
        return Event(row.line, row.cells, refusal=Refusal("malformed", row.fault))
    try:
        if (at := cells.get("occurred_at")) is not None:
            cells["occurred_at"] = _moment(at, fill.zone)
        return Event(row.line, row.cells, msgspec.json.encode(cells))
    except _Refused as refused:
        return Event(row.line, row.cells, refusal=refused.refusal)
    except UnicodeEncodeError:
        return Event(row.line, row.cells, refusal=Refusal("malformed", "is not UTF-8 text"))
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        return Event(row.line, row.cells, refusal=Refusal("malformed", f"cannot be read: {error}"))


def _orders(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows one by one, but those of one order together."""
    group: list[Row] = []
    for row in rows:
        if group and _same_order(group[0].cells, row):
            group.append(row)
            continue
        if group:
            yield group
        group = [row]
    if group:
        yield group


def _same_order(first: Cells, row: Row) -> bool:
    if "product_id" not in first or "product_id" not in row.cells or "items" in first or row.fault:
        return False
    order_id = _plain(first.get("order_id"))
    return order_id is not None and order_id == _plain(row.cells.get("order_id"))


def _conversion(group: list[Row], fill: Fill) -> Cells:
    cells = {name: _cell(name, value) for name, value in group[0].cells.items()}
    kind = _plain(cells.get("type", "order"))
    cells["type"] = kind = TYPES.get(kind, kind) if isinstance(kind, str) else kind
    if fill.occurred_at is not None:
        cells.setdefault("occurred_at", fill.occurred_at)
    if kind == "order":
        _fill_order(cells, group, fill)
    elif kind == "refund":
        cells.setdefault("currency", fill.currency)
        if "amount" not in cells and "value" in cells:
            cells["amount"] = cells.pop("value")
    else:
        if fill.experiment is not None:
            cells.setdefault("experiment", fill.experiment)
        if "event_id" not in cells and "occurred_at" not in cells:
            message = f"is required (or occurred_at): without either, importing this {kind} again would count it again"
            raise _Refused("event_id", message)
    return cells


def _fill_order(cells: Cells, group: list[Row], fill: Fill) -> None:
    cells.setdefault("currency", fill.currency)
    if "revenue" not in cells:
        cells["revenue"] = cells.pop("value", None)  # blank: an order whose amount nobody knows
    if "items" in cells:
        cells["items"] = _items(cells["items"])
    elif "product_id" in cells:
        lines = [_line({name: _cell(name, value) for name, value in row.cells.items()}) for row in group]
        for row in group[1:]:
            _check_agrees(group[0], row)
        for name in LINE_FIELDS:
            cells.pop(name, None)
        cells["items"] = lines


def _line(cells: Cells) -> Cells:
    line = {name: cells[column] for column, name in LINE_FIELDS.items() if column in cells}
    line.setdefault("quantity", 1)
    return line


def _check_agrees(first: Row, row: Row) -> None:
    """A later line of an order may repeat what stands on the first one, or leave it blank; nothing else."""
    for name, value in row.cells.items():
        if name not in LINE_FIELDS and _plain(value) != _plain(first.cells.get(name)):
            message = f"is {_plain(value)!r} on line {row.line}, and not on line {first.line} of the same order"
            raise _Refused(name, message)


def _items(value: Any) -> Any:
    """The lines of an order with this product's names, whatever tool wrote them."""
    given = _plain(value)
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        return given
    return [{_OTHER_NAMES.get(n, n): v for n, v in item.items() if n not in _SHOWN_ONLY} for item in given]


def _plain(value: Any) -> Any:
    """What a cell of NDJSON holds; money stays exact."""
    return _decimals.decode(value) if isinstance(value, msgspec.Raw) else value


def _cell(name: str, value: Any) -> Any:
    """A cell of text as the JSON that belongs into its field; what it cannot be is left for the door to refuse."""
    if isinstance(value, str):
        if name in _WHOLE and value.strip().removesuffix(".0").isdecimal():
            return int(value.strip().removesuffix(".0"))
        if name in _NESTED:
            try:
                return _decimals.decode(value)
            except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
                raise _Refused(name, f"is no JSON: {error}") from None
    elif isinstance(value, int) and not isinstance(value, bool) and (name in _TEXT or name.endswith("_id")):
        return str(value)  # Parquet's ids are often numbers
    elif isinstance(value, float) and name in _WHOLE and value.is_integer():
        return int(value)
    return value


def _moment(value: Any, zone: tzinfo | None) -> Any:
    """A time as the door reads it: BigQuery's ` UTC`, GA4's microseconds since 1970, and a zone for those without."""
    if isinstance(value, msgspec.Raw):
        value = _plain(value)
    if isinstance(value, str):
        value = value.removesuffix(" UTC") + "Z" if value.endswith(" UTC") else value
        if value.isdecimal() and len(value) == 16:
            value = int(value)
        elif zone is not None:
            try:
                read = datetime.fromisoformat(value)
            except ValueError:
                return value
            value = read if read.tzinfo else read.replace(tzinfo=zone)
    if isinstance(value, int) and 10**15 <= value < 10**16:
        return _EPOCH + timedelta(microseconds=value)
    if isinstance(value, datetime) and value.tzinfo is None:
        if zone is None:
            raise _Refused("occurred_at", f"{value} needs its time zone; --timezone says it for the whole file")
        return value.replace(tzinfo=zone)
    if isinstance(value, date) and not isinstance(value, datetime):
        raise _Refused("occurred_at", f"{value} is a day, not a time")
    return value
