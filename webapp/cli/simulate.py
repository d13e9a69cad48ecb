"""`offerlab simulate`: A/A and A/B tests on a made-up shop or a real one's past, by the code that reads real ones."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from experiments.errors import Invalid
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import get_storefront
from webapp.cli import options
from webapp.cli.plan import Share
from webapp.clock import now

if TYPE_CHECKING:  # scipy is imported when a simulation runs, not when --help is asked for
    from analysis.simulate import Draw, Simulated

_SHARE = Share()


@click.command
@click.option("--runs", default=200, show_default=True, help="Experiments to draw.")
@click.option("--visitors", default=10_000, show_default=True, help="Visitors of each, over all variants.")
@click.option("--variants", default=2, show_default=True, help="Variants, control included.")
@click.option("--control-share", type=_SHARE, help="Control's share; the others divide the rest.  [default: equal]")
@click.option(
    "--lift", type=_SHARE, default="0%", show_default=True, help="True lift of conversion; 0% is an A/A test."
)
@click.option("--order-value-lift", type=_SHARE, default="0%", show_default=True, help="True lift of the order value.")
@click.option("--conversion", type=_SHARE, default="6%", show_default=True, help="Share of visitors that buy.")
@click.option("--order-value", default=55.0, show_default=True, help="Mean value of an order.")
@click.option(
    "--spread", default=0.9, show_default=True, help="Standard deviation of the logarithm of an order's value."
)
@click.option("--history", type=click.Path(path_type=Path), help="Draw from a file of real visitors instead.")
@click.option("--orders", default="orders", show_default=True, metavar="COLUMN", help="The history's orders.")
@click.option("--revenue", default="revenue", show_default=True, metavar="COLUMN", help="The history's revenue.")
@click.option("--unit", metavar="COLUMN", help="The history's visitor, where it has several rows a visitor.")
@click.option("--storefront", metavar="KEY", help="With --experiment: draw from the visitors of its control.")
@click.option("--experiment", metavar="KEY")
@options.database
@click.option("--confidence", type=_SHARE, default="95%", show_default=True)
@click.option("--correction", type=click.Choice(["none", "holm", "bh", "dunnett"]), default="holm", show_default=True)
@click.option("--sequential", is_flag=True, help="Read the confidence sequences too.")
@click.option("--seed", default=1, show_default=True, help="Start of the random numbers: the same seed, the same runs.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(form: str, runs: int, seed: int, **given: Any) -> None:
    """What the tests say when the truth is known: false alarms, power, coverage."""
    import numpy as np

    from analysis.shoppers import Influence
    from analysis.simulate import simulate as run
    from analysis.simulate import simulation_plan

    try:
        units = _units(given["visitors"], given["variants"], given["control_share"])
        found = run(
            _visitors(given),
            Influence(given["lift"], given["order_value_lift"]),
            units,
            runs,
            np.random.default_rng(seed),
            simulation_plan(
                units, confidence=given["confidence"], correction=given["correction"], sequential=given["sequential"]
            ),
        )
    except Invalid as error:
        raise click.UsageError(str(error)) from error
    answer = {"seed": seed, "units": units, "confidence": given["confidence"], **asdict(found)}
    click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() if form == "json" else as_table(found, units))


def _visitors(given: Mapping[str, Any]) -> "Draw":
    """Where the visitors come from: a file, an experiment's control, or a made-up shop."""
    from analysis.past import past_of_file
    from analysis.shoppers import Shop, draw

    if (given["storefront"] is None) != (given["experiment"] is None):
        raise Invalid.at("experiment", "a storefront and an experiment go together")
    if given["history"] is not None and given["experiment"] is not None:
        raise Invalid.at("history", "a file or an experiment, not both")
    if given["history"] is not None:
        return past_of_file(given["history"], given["orders"], given["revenue"], given["unit"]).draw
    if given["experiment"] is not None:
        return _control(given["storefront"], given["experiment"], given["database"])
    shop = Shop(given["conversion"], order_value=given["order_value"], log_deviation=given["spread"])
    return lambda rng, visitors, influence: draw(shop, rng, visitors, influence)


def _control(storefront: str, experiment: str, database: str | None) -> "Draw":
    from analysis.past import past_of_control

    with options.opened(database) as engine, reading(engine) as conn:
        shop = get_storefront(conn, storefront)
        return past_of_control(conn, shop, get_experiment(conn, shop.id, experiment), now()).draw


def _units(visitors: int, variants: int, control_share: float | None) -> list[int]:
    if not 2 <= variants <= 20:
        raise Invalid.at("variants", f"{variants} is not between 2 and 20")
    control = 1 / variants if control_share is None else control_share
    if not 0 < control < 1:
        raise Invalid.at("control-share", f"{control:g} is not between 0 and 1")
    other = int(visitors * (1 - control) / (variants - 1))
    return [visitors - other * (variants - 1)] + [other] * (variants - 1)


def as_table(found: "Simulated", units: list[int]) -> str:
    """The simulation as a person reads it."""
    sizes = ", ".join(f"{n:,}" for n in units)
    lines = [
        f"{found.runs:,} runs with {sizes} visitors; sample ratio alarms {found.srm_alarms:.1%}",
        "Shares of the runs, with the standard error that so few runs leave.",
        "",
        f"{'':28}" + "".join(f"{metric.metric:>18}" for metric in found.metrics),
        f"{'true lift':28}" + "".join(f"{metric.true_lift:>18.1%}" for metric in found.metrics),
    ]
    for name, words in _ROWS.items():
        cells = [_cell(getattr(metric, name), metric.errors.get(name)) for metric in found.metrics]
        lines.append(f"{words:28}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


_ROWS = {
    "mean_lift": "mean lift that was read",
    "called": "called",
    "called_by_any": "some variant, corrected",
    "called_at_any_time": "called by the sequence",
    "covered": "interval held the truth",
}


def _cell(share: float | None, error: float | None) -> str:
    return "-" if share is None else f"{share:.1%} ± {error or 0.0:.1%}"
