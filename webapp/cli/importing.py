"""`offerlab import`."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec

from experiments.errors import Invalid, NotFound
from webapp.cli import options
from webapp.clock import now
from webapp.lab import new_id

if TYPE_CHECKING:
    from experiments.importing.catalogues import Format
    from experiments.importing.columns import Kind
    from experiments.importing.events import Fill
    from experiments.importing.feedfile import FeedFile
    from experiments.importing.rowfile import RowFile
    from experiments.service.importing import Batch, RejectedRow
    from experiments.service.snapshot import StorefrontView


@click.command("import")
@click.argument("kind", type=click.Choice(["products", "exposures", "conversions", "rates"]))
@click.argument("file", type=click.Path(path_type=Path))
@options.storefront
@click.option("--experiment", metavar="KEY", help="The experiment of rows that name none.")
@click.option("--variant", metavar="COLUMN", help="The column that names the variant, where it is called otherwise.")
@click.option("--unit", metavar="COLUMN", help="The column that names the visitor (or customer, if that is the unit).")
@click.option("--occurred-at", metavar="TIME", help="When it happened, for rows that do not say.")
@click.option("--timezone", metavar="ZONE", help="The zone of times that name none; without it they are refused.")
@click.option("--ignore-unknown", is_flag=True, help="Leave out columns that mean nothing here.")
@click.option(
    "--format", "format_", type=click.Choice(["offerlab", "shopify", "google"]),
    help="Whose catalogue it is; else its columns tell.",
)  # fmt: skip
@click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Write refused rows here, as NDJSON.")
@options.database
def command(
    kind: "Kind | Literal['rates']", file: Path, storefront: str, experiment: str | None, variant: str | None,
    unit: str | None, occurred_at: str | None, timezone: str | None, ignore_unknown: bool, rejects: Path | None,
    format_: "Format | None", database: str | None,
) -> int:  # fmt: skip
    """Import products, exposures, conversions or rates from FILE: CSV, TSV or NDJSON (plain, .gz or .xz), or Parquet.

    Products may also come as Shopify's product CSV or as Google's product feed (TSV or XML).

    Rates say what foreign money is worth: currency, day, rate (of the storefront's currency for one of that).

    Importing a file again changes nothing. A row that is refused never stops the others.
    """
    from experiments.importing.catalogues import detect, product_rows
    from experiments.importing.columns import Columns, RateColumns
    from experiments.importing.feedfile import FeedFile, is_feed
    from experiments.importing.rowfile import RowFile
    from experiments.service.snapshot import Snapshots
    from experiments.storage.database import reading
    from experiments.storage.storefronts import get_storefront

    source: RowFile | FeedFile = FeedFile(file) if kind == "products" and is_feed(file) else RowFile(file)
    with options.opened(database) as engine, ExitStack() as stack:
        with reading(engine) as conn:
            storefront_id = get_storefront(conn, storefront).id
        view = Snapshots(engine).current(now()).storefronts[storefront_id]
        fill = _fill(view, experiment, occurred_at, timezone)
        columns: Columns | RateColumns = RateColumns()
        if kind != "rates":
            columns = Columns(
                kind, _named(view, experiment, variant, unit), _filled(experiment), lenient=ignore_unknown
            )
        if kind == "products" and (foreign := format_ or detect(source.header)) != "offerlab":
            rows = product_rows(source, foreign, view.storefront.currency, now())
        else:
            if source.header is not None:
                columns.check(source.header)
            rows = source.rows(columns.meaning)
        sink = stack.enter_context(_create(rejects)) if rejects else None
        tally = Tally()
        for batch in _watched(source, _batches(kind, engine, view, rows, fill)):
            tally.add(batch)
            if sink:
                sink.writelines(_reject(row) for row in batch.rejected)
    for line in tally.lines():
        click.echo(line)
    return 1 if tally.rejected and not tally.accepted and not tally.duplicate else 0


def _batches(
    kind: "Kind | Literal['rates']", engine: Any, view: "StorefrontView", rows: Any, fill: "Fill"
) -> "Iterator[Batch]":
    from experiments.service.importing import import_conversions, import_exposures, import_products, import_rates

    if kind == "products":
        return import_products(engine, view, rows, now())
    if kind == "rates":
        return import_rates(engine, view, rows)
    if kind == "exposures":
        return import_exposures(engine, view, rows, fill, now())
    return import_conversions(engine, view, rows, fill, now(), new_id)


def _fill(view: "StorefrontView", experiment: str | None, occurred_at: str | None, timezone: str | None) -> "Fill":
    from experiments.importing.events import Fill

    if experiment is not None and experiment not in view.experiments:
        raise NotFound(f"There is no experiment {experiment!r}")
    zone = at = None
    if timezone is not None:
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid.at("timezone", f"{timezone!r} is no time zone; write for example Europe/Berlin") from None
    if occurred_at is not None:
        try:
            at = datetime.fromisoformat(occurred_at)
        except ValueError:
            raise Invalid.at("occurred-at", f"{occurred_at!r} is no time such as 2026-11-21T19:47:00Z") from None
        if at.tzinfo is None:
            if zone is None:
                raise Invalid.at("occurred-at", f"{occurred_at!r} needs its zone, as in 2026-11-21T19:47:00Z")
            at = at.replace(tzinfo=zone)
    return Fill(view.storefront.currency, experiment, at, zone)


def _named(view: "StorefrontView", experiment: str | None, variant: str | None, unit: str | None) -> dict[str, str]:
    named = {variant: "variant"} if variant else {}
    if unit:
        known = view.experiments.get(experiment or "")
        named[unit] = f"{known.definition.unit if known else 'visitor'}_id"
    return named


def _filled(experiment: str | None) -> tuple[str, ...]:
    return ("experiment",) if experiment else ()


def _create(path: Path) -> IO[str]:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise Invalid.at("rejects", f"cannot write {path}: {error.strerror}") from None


def _reject(row: "RejectedRow") -> str:
    reject = {"line": row.line, "code": row.refusal.code, "reason": row.refusal.message, "row": row.cells}
    return json.dumps(reject, default=_readable) + "\n"


def _readable(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else str(value)


@dataclass(slots=True)
class Tally:
    """What became of a file's rows, in numbers."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: "dict[str, tuple[int, RejectedRow]]" = field(default_factory=dict)

    def add(self, batch: "Batch") -> None:
        """Count a batch."""
        self.accepted += batch.accepted
        self.duplicate += batch.duplicate
        self.rejected += len(batch.rejected)
        for row in batch.rejected:
            reason = " ".join([row.refusal.code, *dict.fromkeys(row.refusal.fields)])
            count, first = self.reasons.get(reason, (0, row))
            self.reasons[reason] = (count + 1, first)

    def lines(self) -> Iterator[str]:
        """As the terminal shows it: the commonest reason first, each with its first line."""
        yield f"accepted {self.accepted}"
        yield f"duplicate {self.duplicate}"
        yield f"rejected {self.rejected}"
        for reason, (count, first) in sorted(self.reasons.items(), key=lambda item: -item[1][0]):
            yield f"  {reason} {count} (first on line {first.line}: {first.refusal.message})"


def _watched(source: "RowFile | FeedFile", batches: "Iterator[Batch]") -> "Iterator[Batch]":
    """The batches, with a progress bar where somebody watches."""
    if not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    shown = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(source.path.name, total=source.size, rows=0)
        rows = 0
        for batch in batches:
            rows += batch.accepted + batch.duplicate + len(batch.rejected)
            progress.update(task, completed=source.position, rows=rows)
            yield batch
