"""`offerlab report`."""

import csv
import io
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from experiments.errors import Invalid
from experiments.moment import Micros, micros
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now

if TYPE_CHECKING:
    from analysis.report import Report  # takes a second to import: not before it is asked for

FORMATS = ("table", "json", "html", "csv")


@click.command("report")
@click.argument("experiment")
@options.storefront
@click.option("--as-of", metavar="TIME", help="Count only what happened until then: 2026-11-21 or 2026-11-21T12:00Z.")
@click.option("--format", "shape", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--segment", metavar="SEGMENT:LEVEL", help="Look at one level of a segment alone: visitor:returning.")
@click.option("--table", metavar="NAME", help="With csv: another table than the metrics, such as worth or series.")
@options.database
def command(
    experiment: str, storefront: str, as_of: str | None, shape: str, segment: str | None, table: str | None,
    database: str | None,
) -> None:  # fmt: skip
    """Print the report of EXPERIMENT."""
    from analysis.experiment import experiment_report
    from analysis.part_tables import as_page, as_text
    from webapp.errors import encode

    until = now() if as_of is None else _moment(as_of)
    with options.opened(database) as engine, reading(engine) as conn:
        shop = get_storefront(conn, storefront)
        found = experiment_report(conn, shop, get_experiment(conn, shop.id, experiment), until, segment)
    if shape == "json":
        sys.stdout.buffer.write(encode(found.to_dict()) + b"\n")
    elif shape == "csv":
        click.echo(_csv(found.to_dict()) if table is None else _table(found, table), nl=False)
    else:
        click.echo(as_page(found, experiment) if shape == "html" else as_text(found))


def _moment(text: str) -> Micros:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid.at("as-of", f"{text!r} is no time: write 2026-11-21 or 2026-11-21T12:00:00Z") from None
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _table(report: "Report", name: str) -> str:
    """One of the report's other tables at full precision."""
    from analysis.part_tables import part_tables

    known = {table.name: table for table in part_tables(report)}
    if name not in known:
        raise Invalid.at("table", f"{name!r} is none of {', '.join(known)}")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([known[name].head, *known[name].rows])
    return out.getvalue()


def _csv(report: dict[str, object]) -> str:
    """One row for each metric and comparison, full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["metric", "role", "control", "variant", "control_value", "variant_value", "difference", "difference_low",
         "difference_high", "lift", "lift_low", "lift_high", "p_value", "p_value_adjusted", "estimable", "reason"]
    )  # fmt: skip
    metrics = report["metrics"]
    assert isinstance(metrics, list)
    for metric in metrics:
        value = {v["variant"]: v["value"] for v in metric["variants"]}
        for c in metric["comparisons"]:
            difference, lift = c["difference"], c["lift"]
            writer.writerow(
                [metric["metric"], metric["role"], c["control"], c["variant"], value.get(c["control"]),
                 value.get(c["variant"]), difference["estimate"], difference["low"], difference["high"],
                 lift["estimate"], lift["low"], lift["high"], c["p_value"], c["p_value_adjusted"], c["estimable"],
                 c["reason"]]
            )  # fmt: skip
    return out.getvalue()
