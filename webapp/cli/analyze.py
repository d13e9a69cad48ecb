"""`offerlab analyze`: a test that was run elsewhere, straight from its file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from experiments.errors import Invalid
from experiments.metrics import Metric, MetricType
from experiments.share import parse_share

if TYPE_CHECKING:
    from analysis.analysis_plan import Role

METHODS = ("confidence-sequence", "msprt", "group-sequential", "fixed")
SPENDINGS = ("obrien-fleming", "pocock", "power")
FORMATS = ("table", "json", "html")


class _Command(click.Command):
    """`--sequential` may stand alone, before another option or the file, or be followed by its method."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the default method written out where none follows."""
        following = [*args[1:], ""]
        written = [
            f"--sequential={METHODS[0]}" if one == "--sequential" and after not in METHODS else one
            for one, after in zip(args, following, strict=True)
        ]
        return super().parse_args(ctx, written)


@click.command(cls=_Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--variant", required=True, metavar="COLUMN", help="Column that names each row's variant.")
@click.option("--control", required=True, metavar="VALUE", help="The variant the others are compared with.")
@click.option(
    "--metric",
    "specs",
    multiple=True,
    required=True,
    metavar="NAME=SPEC",
    help="proportion:COLUMN | mean:COLUMN | ratio:NUMERATOR/DENOMINATOR | quantile:COLUMN:0.9; count() counts rows.",
)
@click.option("--unit", metavar="COLUMN", help="Unit of analysis, where it has several rows.")
@click.option("--covariate", "covariates", multiple=True, metavar="COLUMN", help="Measured before exposure, for CUPED.")
@click.option("--segment", "segments", multiple=True, metavar="COLUMN", help="Effects by the levels of a column.")
@click.option("--weights", multiple=True, metavar="VALUE=W", help="Planned share of a variant, on any scale.")
@click.option("--confidence", type=float, default=0.95, show_default=True)
@click.option(
    "--sequential",
    type=click.Choice(METHODS),
    default="fixed",
    help="Add readings for a test that is looked at on the way; by itself intervals that stay valid however often.",
)
@click.option(
    "--planned-units", type=int, help="Units planned in control and one variant together; tunes --sequential."
)
@click.option("--target-lift", metavar="LIFT", help="The lift looked for, such as 5%; tunes --sequential too.")
@click.option("--looks", default="5", show_default=True, metavar="N|FRACTIONS", help="Planned looks: 5, or 0.5,0.75,1.")
@click.option(
    "--spending", type=click.Choice(SPENDINGS), default=SPENDINGS[0], show_default=True, help="Of the planned looks."
)
@click.option(
    "--correction",
    type=click.Choice(["none", "bonferroni", "holm", "bh", "dunnett"]),
    default="holm",
    show_default=True,
)
@click.option(
    "--cap",
    type=float,
    metavar="PERCENTILE",
    help="Cap means and numerators at a percentile of buyers' values, such as 99.",
)
@click.option("--primary", multiple=True, metavar="NAME", help="A metric that decides; by default the first.")
@click.option(
    "--guardrail",
    "guardrails",
    multiple=True,
    metavar="NAME=MARGIN",
    help="A metric that must not fall by MARGIN, such as 2%.",
)
@click.option("--decrease", multiple=True, metavar="NAME", help="A metric of which less is better.")
@click.option("--format", "shape", type=click.Choice(FORMATS), default="table", show_default=True)
def analyze(
    file: Path, variant: str, control: str, specs: Sequence[str], unit: str | None, covariates: Sequence[str],
    segments: Sequence[str], weights: Sequence[str], confidence: float, sequential: str, planned_units: int | None,
    target_lift: str | None, looks: str, spending: str, correction: str, cap: float | None,
    primary: Sequence[str], guardrails: Sequence[str], decrease: Sequence[str], shape: str,
) -> None:  # fmt: skip
    """Analyse a test from its FILE: CSV or NDJSON (plain, .gz, .xz) or Parquet, one row a unit."""
    from analysis.analysis_plan import AnalysisPlan
    from analysis.populations import sample_file
    from analysis.reading import analyze_sample

    metrics = tuple(_metric(spec, covariates, _share(cap), decrease) for spec in specs)
    margins = {name: _margin(text) for name, text in (_named("guardrail", g) for g in guardrails)}
    plan = AnalysisPlan(
        metrics=metrics, control=control, roles=_roles(metrics, primary, tuple(margins)), margins=margins,
        weights={name: _number("weights", text) for name, text in (_named("weights", w) for w in weights)} or None,
        confidence=confidence, sequential=sequential.replace("-", "_"), planned_units=planned_units,  # type: ignore[arg-type]  # click.Choice held it to these
        target_lift=None if target_lift is None else float(parse_share(target_lift, "target-lift")),
        looks=_looks(looks), spending=spending.replace("-", "_"), correction=correction,  # type: ignore[arg-type]  # as above
        complete=sequential == "fixed",
    )  # fmt: skip
    sample, plan = sample_file(file, plan, variant, unit, segments)
    report = analyze_sample(sample, plan)
    if shape == "json":
        import orjson

        click.echo(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2).decode())
    elif shape == "html":
        from analysis.tables import as_page

        click.echo(as_page(report, file.name))
    else:
        from analysis.tables import as_text

        click.echo(as_text(report))


command = analyze


def _metric(spec: str, covariates: Sequence[str], cap: float | None, decrease: Sequence[str]) -> Metric:
    name, what = _named("metric", spec)
    kind, _, columns = what.partition(":")
    numerator, denominator, level = columns, None, None
    if kind == "ratio":
        numerator, _, denominator = columns.partition("/")
        if not denominator:
            raise Invalid.at("metric", f"{spec!r}: a ratio is ratio:NUMERATOR/DENOMINATOR")
    elif kind == "quantile":
        numerator, _, text = columns.rpartition(":")
        level = _number("metric", text)
    elif kind not in {"proportion", "mean"}:
        raise Invalid.at("metric", f"{spec!r}: the type is none of proportion, mean, ratio, quantile")
    measured = {numerator, denominator}
    own = () if kind == "quantile" else tuple(dict.fromkeys(c for c in covariates if c not in measured))
    return Metric(
        name, cast("MetricType", kind), numerator, denominator, level, own, cap if kind in {"mean", "ratio"} else None,
        "decrease" if name in decrease else "increase",
    )  # fmt: skip


def _roles(metrics: Sequence[Metric], primary: Sequence[str], guardrails: Sequence[str]) -> dict[str, "Role"]:
    if not primary and not guardrails:
        return {}
    names = [m.key for m in metrics]
    unknown = [n for n in (*primary, *guardrails) if n not in names]
    if unknown:
        raise Invalid.at("primary" if unknown[0] in primary else "guardrail", f"no metric {unknown[0]!r}")
    first = primary or [n for n in names if n not in guardrails][:1]
    return {n: "primary" if n in first else "guardrail" if n in guardrails else "secondary" for n in names}


def _named(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise Invalid.at(option, f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid.at(option, f"{text!r} is not a number") from None


def _margin(text: str) -> float:
    return _number("guardrail", text.removesuffix("%")) / (100 if text.endswith("%") else 1)


def _looks(text: str) -> int | tuple[float, ...]:
    if "," not in text and "." not in text:
        return int(_number("looks", text))
    return tuple(_number("looks", each) for each in text.split(","))


def _share(percentile: float | None) -> float | None:
    """99 and 0.99 are both the 99th percentile: a cap below the 1st makes no sense."""
    if percentile is None:
        return None
    if not 0 < percentile < 100 or percentile == 1:
        raise Invalid.at("cap", f"{percentile:g} is not a percentile such as 99")
    return percentile / 100 if percentile > 1 else percentile
