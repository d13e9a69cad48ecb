"""Importing: rows of a file into the catalogue and the event log, batch by batch, each durable before the next."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TypeVar

import msgspec
from sqlalchemy import Engine

from experiments.catalogue import Product, parse_product
from experiments.errors import Invalid
from experiments.events import NewId
from experiments.importing import events
from experiments.importing.events import Event, Fill, Refusal
from experiments.importing.rowfile import Cells, Row
from experiments.moment import Micros, date_number
from experiments.money import exponent
from experiments.service.bulk import plain_exposures
from experiments.service.recording import Receipt, receipt_of, record_conversions, record_exposures
from experiments.service.settings import store_products
from experiments.service.snapshot import StorefrontView
from experiments.storage.database import writing
from experiments.storage.eventwriter import EventWriter, Intake
from experiments.storage.rates import Rate, put_rates

BATCH = 5000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was refused: its line, what stood there, and why."""

    line: int
    cells: Cells
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of the next rows."""

    accepted: int
    duplicate: int
    rejected: Sequence[RejectedRow]


def import_exposures(
    engine: Engine, view: StorefrontView, rows: Iterable[Row], fill: Fill, now: Micros
) -> Iterator[Batch]:
    """Record exposures, also of experiments that are not live: an import tells of the past."""
    writer = EventWriter(engine)
    for batch in _batches(rows):
        plain = plain_exposures(view, batch, fill, now)
        if plain is not None:
            receipt = receipt_of(writer.write(view.storefront.id, Intake(exposures=plain), now), ())
            yield Batch(receipt.accepted, receipt.duplicate, ())
            continue
        yield from _record(
            events.exposures(batch, fill),
            lambda raws: record_exposures(writer, view, raws, now, historic=True, source=None),  # refusals go to a file
        )


def import_conversions(
    engine: Engine, view: StorefrontView, rows: Iterable[Row], fill: Fill, now: Micros, new_id: NewId
) -> Iterator[Batch]:
    """Record orders, refunds and whatever else units did."""
    writer = EventWriter(engine)
    return _record(
        events.conversions(rows, fill),
        lambda raws: record_conversions(writer, view, raws, now, new_id, source=None),
    )


def import_products(engine: Engine, view: StorefrontView, rows: Iterable[Row], now: Micros) -> Iterator[Batch]:
    """Put products into the catalogue: new and changed ones are accepted, unchanged ones are duplicates."""
    lines: dict[str, int] = {}
    for batch in _batches(events.products(rows)):
        products: list[Product] = []
        rejected: list[RejectedRow] = []
        for row, cells, refusal in batch:
            found = refusal or _product(cells, view.storefront.currency)
            if isinstance(found, Product) and (first := lines.setdefault(found.product_id, row.line)) != row.line:
                found = Refusal(
                    "twice", f"product_id: {found.product_id!r} stands on line {first} too", ("product_id",)
                )
            if isinstance(found, Product):
                products.append(found)
            else:
                rejected.append(RejectedRow(row.line, row.cells, found))
        with writing(engine) as conn:
            changed, same = store_products(conn, view.storefront.id, products, now)
        yield Batch(changed, same, rejected)


def import_rates(engine: Engine, view: StorefrontView, rows: Iterable[Row]) -> Iterator[Batch]:
    """Set what foreign money is worth, from a day on; a rate that was the same already is a duplicate."""
    for batch in _batches(rows):
        rates: list[Rate] = []
        rejected: list[RejectedRow] = []
        for row in batch:
            try:
                rates.append(parse_rate({name: _plain_text(value) for name, value in row.cells.items()}, view))
            except Invalid as invalid:
                fields = tuple(error.field for error in invalid.errors)
                rejected.append(RejectedRow(row.line, row.cells, Refusal(invalid.code, invalid.message, fields)))
        with writing(engine) as conn:
            changed, same = put_rates(conn, view.storefront.id, rates)
        yield Batch(changed, same, rejected)


def _plain_text(value: object) -> str:
    return str(msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value).strip()


def parse_rate(cells: Mapping[str, str], view: StorefrontView) -> Rate:
    """A rate from the text of its currency, day and rate; Invalid names what is wrong."""
    currency = cells.get("currency", "")
    exponent(currency)
    if currency == view.storefront.currency:
        raise Invalid.at("currency", f"{currency} is what {view.storefront.key!r} counts in")
    try:
        day = date.fromisoformat(cells.get("day", "")[:10])
    except ValueError:
        raise Invalid.at("day", f"{cells.get('day', '')!r} is no date such as 2026-11-21") from None
    try:
        rate = Decimal(cells.get("rate", ""))
    except InvalidOperation:
        raise Invalid.at("rate", f"{cells.get('rate', '')!r} is no number") from None
    if not rate.is_finite() or not 0 < rate < 10**9 or -int(rate.as_tuple().exponent) > 12:
        raise Invalid.at("rate", f"{rate} is no rate: above 0, below 10^9, at most 12 decimals")
    return Rate(currency, date_number(day), rate)


def _product(cells: Cells, currency: str) -> Product | Refusal:
    try:
        return parse_product(cells, currency)
    except Invalid as invalid:
        return Refusal(invalid.code, invalid.message, tuple(error.field for error in invalid.errors))


def _record(given: Iterable[Event], record: Callable[[Sequence[bytes]], Receipt]) -> Iterator[Batch]:
    for batch in _batches(given):
        sound = [event for event in batch if event.refusal is None]
        rejected = [RejectedRow(e.line, e.cells, e.refusal) for e in batch if e.refusal is not None]
        receipt = record([event.raw for event in sound])
        for refused in receipt.rejected:
            event = sound[refused.index]
            fields = tuple(error.field for error in refused.errors)
            rejected.append(RejectedRow(event.line, event.cells, Refusal(refused.code, refused.message, fields)))
        yield Batch(receipt.accepted, receipt.duplicate, sorted(rejected, key=lambda row: row.line))


def _batches(given: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(given)
    while batch := list(islice(iterator, BATCH)):
        yield batch
