"""Exporting: events as Hive-partitioned Parquet, one file a day, the same file whenever the same events are written."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import BigInteger, Connection, Double, Integer, Select, and_, select

from experiments.moment import date_number, day_date
from experiments.storage.storefronts import Storefront
from experiments.storage.tables import conversion, crossover, experiment, exposure, order_line

ROW_GROUP = 50_000
FILE = "part-0.parquet"


@dataclass(frozen=True, slots=True)
class Written:
    """A day's file: where, and how many rows; none where an earlier export's was taken away."""

    path: Path
    rows: int


def export(conn: Connection, storefront: Storefront, directory: Path, since: date | None = None) -> Iterator[Written]:
    """Write each day of exposures, crossovers, conversions and order lines from `since` on.

    A file appears under its name only when it is whole, and takes the place of an earlier one; a day that has no events
    any more loses its file.
    """
    first = -(10**9) if since is None else date_number(since)
    for name, query in _sources(storefront, first).items():
        schema = _schema(query)
        rows = conn.execution_options(yield_per=10_000).execute(query).mappings()
        days: set[str] = set()
        for day, of_day in groupby(rows, key=lambda row: int(row["day"])):
            days.add(f"day={day_date(day).isoformat()}")
            place = directory / name / f"day={day_date(day).isoformat()}" / FILE
            yield Written(place, _write(place, schema, (dict(row) for row in of_day)))
        for place in sorted((directory / name).glob(f"day=*/{FILE}")):
            stale = place.parent.name not in days
            if stale and (since is None or place.parent.name >= f"day={since.isoformat()}"):
                place.unlink()
                yield Written(place, 0)


def _sources(storefront: Storefront, first: int) -> dict[str, Select[Any]]:
    """What is exported, each in the order of its file: by day, then by what makes a row the one it is."""
    e, x, c, n = exposure.c, crossover.c, conversion.c, order_line.c
    key = experiment.c.key.label("experiment")
    mine = experiment.c.storefront_id == storefront.id
    met = and_(e.experiment_id == x.experiment_id, e.kind == "assigned", e.unit_id == x.unit_id)
    sold = and_(c.storefront_id == n.storefront_id, c.type == "order", c.order_id == n.order_id)
    kept = [column for column in conversion.columns if column.name not in {"id", "storefront_id"}]
    told = [e.device, e.category, e.cart, e.attributes]
    line = [n.order_id, n.number, n.product_id, n.quantity, n.price, n.cost, n.offer]
    return {
        "exposures": select(key, e.kind, e.unit_id, e.variant, e.at, e.day, e.fingerprint, e.received_at, *told)
        .join_from(exposure, experiment, e.experiment_id == experiment.c.id)
        .where(mine, e.day >= first)
        .order_by(e.day, key, e.kind, e.unit_id),
        "crossovers": select(key, x.unit_id, e.variant.label("first_variant"), x.variant, x.at, e.day)
        .select_from(crossover.join(exposure, met).join(experiment, e.experiment_id == experiment.c.id))
        .where(mine, e.day >= first)
        .order_by(e.day, key, x.unit_id, x.variant),
        "conversions": select(*kept)
        .where(c.storefront_id == storefront.id, c.day >= first)
        .order_by(c.day, c.event_key),
        "order_lines": select(*line, c.currency, c.at, c.day)
        .select_from(order_line.join(conversion, sold))
        .where(c.storefront_id == storefront.id, c.day >= first)
        .order_by(c.day, n.order_id, n.number),
    }


def _schema(query: Select[Any]) -> pa.Schema:
    """The Parquet columns of a query; the day is the directory's name."""
    kinds = {Double: pa.float64(), BigInteger: pa.int64(), Integer: pa.int32()}
    fields = []
    for column in query.selected_columns:
        kind = next((arrow for known, arrow in kinds.items() if isinstance(column.type, known)), pa.string())
        if column.name != "day":
            fields.append(pa.field(column.name, kind))
    return pa.schema(fields)


def _write(place: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> int:
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{FILE}.{os.getpid()}")
    remaining, written = iter(rows), 0
    with parquet.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            columns = [[row[name] for row in group] for name in schema.names]
            writer.write_table(pa.table(columns, schema=schema))
            written += len(group)
    unfinished.replace(place)
    return written
