"""`offerlab report`."""

import csv
import io
import sys
from datetime import UTC, datetime

import click

from experiments.errors import Invalid
from experiments.moment import Micros, micros
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.clock import now

FORMATS = ("table", "json", "html", "csv")


@click.command("report")
@click.argument("experiment")
@options.storefront
@click.option("--as-of", metavar="TIME", help="Count only what happened until then: 2026-11-21 or 2026-11-21T12:00Z.")
@click.option("--format", "shape", type=click.Choice(FORMATS), default="table", show_default=True)
@options.database
def command(experiment: str, storefront: str, as_of: str | None, shape: str, database: str | None) -> None:
    """Print the report of EXPERIMENT."""
    from analysis.experiment import experiment_report
    from analysis.report import Report
    from analysis.tables import as_page, as_text
    from webapp.errors import encode

    until = now() if as_of is None else _moment(as_of)
    with options.opened(database) as engine, reading(engine) as conn:
        shop = get_storefront(conn, storefront)
        found: Report = experiment_report(conn, shop, get_experiment(conn, shop.id, experiment), until)
    if shape == "json":
        sys.stdout.buffer.write(encode(found.to_dict()) + b"\n")
    elif shape == "csv":
        click.echo(_csv(found.to_dict()), nl=False)
    else:
        click.echo(as_page(found, experiment) if shape == "html" else as_text(found))


def _moment(text: str) -> Micros:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid.at("as-of", f"{text!r} is no time: write 2026-11-21 or 2026-11-21T12:00:00Z") from None
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


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
