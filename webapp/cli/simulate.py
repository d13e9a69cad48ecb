"""`offerlab simulate`: A/A and A/B tests on a made-up shop, through the code that reads real ones."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import orjson

from experiments.errors import Invalid
from webapp.cli.plan import Share

if TYPE_CHECKING:  # scipy is imported when a simulation runs, not when --help is asked for
    from analysis.simulate import Simulated

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
@click.option("--confidence", type=_SHARE, default="95%", show_default=True)
@click.option("--correction", type=click.Choice(["none", "holm", "bh", "dunnett"]), default="holm", show_default=True)
@click.option("--sequential", is_flag=True, help="Read the confidence sequences too.")
@click.option("--seed", default=1, show_default=True, help="Start of the random numbers: the same seed, the same runs.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(form: str, runs: int, seed: int, **given: Any) -> None:
    """What the tests say when the truth is known: false alarms, power, coverage."""
    import numpy as np

    from analysis.shoppers import Influence, Shop
    from analysis.simulate import simulate as run
    from analysis.simulate import simulation_plan

    try:
        units = _units(given["visitors"], given["variants"], given["control_share"])
        found = run(
            Shop(given["conversion"], order_value=given["order_value"], log_deviation=given["spread"]),
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
    answer = {"seed": seed, "units": units, **asdict(found)}
    click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() if form == "json" else as_table(found, units))


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
        "",
        "metric          called   by any variant   interval held the truth   at any time   mean lift",
    ]
    for metric in found.metrics:
        shares = (metric.called, metric.called_by_any, metric.covered, metric.called_at_any_time, metric.mean_lift)
        cells = ["-" if share is None else f"{share:.1%}" for share in shares]
        lines.append(f"{metric.metric:<14} {cells[0]:>7} {cells[1]:>16} {cells[2]:>25} {cells[3]:>13} {cells[4]:>11}")
    return "\n".join(lines)
