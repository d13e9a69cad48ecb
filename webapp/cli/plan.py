"""`offerlab plan`: sample size, duration and what each week can show."""

import math
from typing import TYPE_CHECKING, Any

import click
import orjson

from experiments.errors import Invalid
from experiments.metrics import BUILT_IN
from experiments.touchpoints import TOUCHPOINTS
from webapp.cli import options

if TYPE_CHECKING:  # scipy is imported when a plan is made, not when --help is asked for
    from analysis.learnings import Summary
    from analysis.plan import Plan
    from analysis.power import Baseline, Design


class Share(click.ParamType[float]):
    """A share: `5%` or `0.05`."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a number."""
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{text!r} is not a number such as 5% or 0.05", param, ctx)
        return number


_SHARE = Share()
OFFERS = ("upsell", "cross_sell", "bundle")
_OPTIONS = (
    click.option("--baseline", required=True, type=_SHARE, help="What control does: 0.03 or 3% for a proportion."),
    click.option(
        "--mde",
        type=_SHARE,
        help="Smallest lift worth finding, relative: 5% or 0.05; -5% for a fall. Needed, unless --like knows one.",
    ),
    click.option("--daily-visitors", required=True, type=float, help="New visitors a day that enter the experiment."),
    click.option("--variants", default=2, show_default=True, help="Variants, control included."),
    click.option(
        "--metric", type=click.Choice(["proportion", "mean", "ratio"]), default="proportion", show_default=True
    ),
    click.option(
        "--standard-deviation",
        type=float,
        help="For a mean: of one visitor's value, zeros included. For a ratio: of one order's value.",
    ),
    click.option("--per-visitor", type=float, help="For a ratio: orders per visitor."),
    click.option(
        "--clustering",
        default=1.0,
        show_default=True,
        help="For a ratio: factor by which repeat buyers raise the variance.",
    ),
    click.option("--variance-reduction", type=_SHARE, default="0%", show_default=True, help="Variance CUPED removes."),
    click.option("--confidence", type=_SHARE, default="95%", show_default=True, help="One minus the false alarms."),
    click.option("--power", type=_SHARE, default="80%", show_default=True, help="Chance to find the mde."),
    click.option("--control-share", type=_SHARE, help="Control's share; the others divide the rest.  [default: equal]"),
    click.option(
        "--correction",
        type=click.Choice(["dunnett", "bonferroni", "none"]),
        default="dunnett",
        show_default=True,
        help="How several variants keep to one error rate.",
    ),
    click.option(
        "--monitoring",
        type=click.Choice(["fixed", "group-sequential", "sequential"]),
        default="fixed",
        show_default=True,
        help="Looks on the way: none, planned ones, or at any time.",
    ),
    click.option("--looks", default=14, show_default=True, help="Looks until the end, unless fixed."),
    click.option("--one-sided", is_flag=True, help="Look only in the direction of the mde."),
    click.option("--weeks", default=8, show_default=True, type=click.IntRange(1, 104), help="Weeks at most."),
    click.option("--like", metavar="METRIC", help="Say what decided tests on this metric found, by its key: a hint."),
    click.option("--offer", type=click.Choice(OFFERS), help="Of them, those of this offer type."),
    click.option("--touchpoint", type=click.Choice(TOUCHPOINTS), help="Of them, those here, where there are enough."),
    click.option("--storefront", metavar="KEY", help="Of them, this storefront's.  [default: all]"),
    options.database,
    click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True),
)


def _with_options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command
@_with_options
def plan(form: str, mde: float | None, daily_visitors: float, weeks: int, **given: Any) -> None:
    """Sample size, duration, and the smallest lift that each week can find."""
    from analysis.plan import plan as plan_for

    like = _like(given)
    if mde is None:
        if like is None or like.mde is None:
            raise click.UsageError("a plan needs --mde" + (": --like knows too few tests that gained" if like else ""))
        mde = -like.mde if _falls(given["like"]) else like.mde
    if not 0 < daily_visitors < math.inf:
        raise click.BadParameter(f"{daily_visitors:g} is not above 0", param_hint="--daily-visitors")
    try:
        baseline = _baseline(given)
        if not baseline.value:
            raise click.BadParameter("a lift needs a baseline other than 0", param_hint="--baseline")
        found = plan_for(baseline, baseline.effect(mde), _design(mde, given), daily_visitors, weeks)
    except Invalid as error:
        raise click.UsageError(str(error)) from error
    if form == "json":
        click.echo(orjson.dumps(as_json(found) | _earlier_json(found, like), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo("\n".join([as_table(found), *_earlier_lines(found, like)]))


def _like(given: dict[str, Any]) -> "Summary | None":
    """What decided tests like it found, where that was asked."""
    metric = given["like"]
    if metric is None:
        if given["offer"] or given["touchpoint"] or given["storefront"]:
            raise click.UsageError("--offer, --touchpoint and --storefront go with --like METRIC")
        return None
    from experiments.storage.database import reading
    from experiments.storage.storefronts import get_storefront
    from webapp.learned import similar_tests

    with options.opened(given["database"]) as engine, reading(engine) as conn:
        only = None if given["storefront"] is None else [get_storefront(conn, given["storefront"]).id]
        return similar_tests(conn, metric, given["offer"], given["touchpoint"], only)


def _falls(metric: str) -> bool:
    known = BUILT_IN.get(metric)
    return known is not None and known.direction == "decrease"


def _earlier_json(found: "Plan", like: "Summary | None") -> dict[str, Any]:
    from analysis.learnings import planned_win
    from webapp.learned import summary_json

    if like is None:
        return {}
    win = planned_win(like, found.design, found.lift)
    expected = None if win is None else {"chance": win.chance, "shown": win.shown, "true": win.true}
    return {"earlier": summary_json(like) | {"if_it_wins": expected}}


def _earlier_lines(found: "Plan", like: "Summary | None") -> list[str]:
    """What earlier tests say, as a hint: no part of the plan was computed from it, but for a missing --mde."""
    from analysis.learnings import planned_win

    if like is None:
        return []
    win = planned_win(like, found.design, found.lift)
    if like.pooled is None or win is None:
        return ["", f"earlier tests   {like.tests} like it: too few to expect anything"]
    span = f"80% of new ones expected between {like.low:+.2%} and {like.high:+.2%}"
    return [
        "",
        f"earlier tests   {like.tests} like it: on average {like.pooled.mean:+.2%}, {span} (a hint; above 0 is better)",
        f"if it wins      chance {win.chance:.0%}; it will show {win.shown:+.2%} on average, {win.true:+.2%} is true",
    ]


def _baseline(given: dict[str, Any]) -> "Baseline":
    from analysis.power import Baseline

    kept = 1 - given["variance_reduction"]
    if given["metric"] == "proportion":
        return Baseline.of_proportion(given["baseline"], kept)
    deviation = given["standard_deviation"]
    if deviation is None:
        raise click.UsageError(f"a {given['metric']} needs --standard-deviation")
    if given["metric"] == "mean":
        return Baseline.of_mean(given["baseline"], deviation, kept)
    if given["per_visitor"] is None:
        raise click.UsageError("a ratio needs --per-visitor")
    if not (given["per_visitor"] > 0 and given["clustering"] >= 1):
        raise click.UsageError("--per-visitor must be above 0 and --clustering at least 1")
    # the linearised visitor, (Y - R N) / mean N, has variance sd^2 / mean N when orders are independent
    linearised = deviation * math.sqrt(given["clustering"] / given["per_visitor"])
    return Baseline("ratio", given["baseline"], linearised, kept)


def _design(mde: float, given: dict[str, Any]) -> "Design":
    from analysis.power import Design, equal_shares

    shares = equal_shares(given["variants"])
    if not 0 < given["confidence"] < 1:
        raise click.BadParameter(f"{given['confidence']:g} is not below 100%", param_hint="--confidence")
    control = given["control_share"]
    if control is not None:
        if not 0 < control < 1:
            raise click.BadParameter(f"{control:g} is not between 0 and 1", param_hint="--control-share")
        shares = (control, *equal_shares(len(shares), (1 - control) * len(shares) / (len(shares) - 1))[1:])
    return Design(
        shares=shares,
        alpha=1 - given["confidence"],
        power=given["power"],
        alternative="two-sided" if not given["one_sided"] else "greater" if mde > 0 else "less",
        correction=given["correction"],
        monitoring=given["monitoring"].replace("-", "_"),
        looks=given["looks"],
    )


def as_json(found: "Plan") -> dict[str, Any]:
    """The plan with full precision, under the names the documentation gives."""
    design = found.design
    return {
        "metric": found.baseline.metric,
        "baseline": found.baseline.value,
        "standard_deviation": found.baseline.standard_deviation,
        "mde": {"difference": found.effect, "lift": found.lift},
        "confidence": 1 - design.alpha,
        "power": design.power,
        "variants": len(design.shares),
        "shares": design.shares,
        "correction": design.correction,
        "monitoring": design.monitoring,
        "critical_value": design.critical,
        "units": found.units,
        "units_per_variant": found.units_per_variant,
        "detectable": found.detectable,
        "days": found.days,
        "weeks": found.weeks,
        "reason": found.reason,
        "by_week": [
            {"week": w.week, "units": w.units, "mde": {"difference": w.mde, "lift": w.mde_lift}, "power": w.power}
            for w in found.by_week
        ],
    }


def _test(design: "Design") -> str:
    """How the test will be run, in a line."""
    others = len(design.shares) - 1
    looks = {
        "fixed": "read once, at the end",
        "group_sequential": f"{design.looks} planned looks",
        "sequential": f"read at any time ({design.looks} looks counted)",
    }
    parts = [design.alternative, f"{1 - design.alpha:.4g} confidence", f"{design.power:.4g} power"]
    if others > 1:
        held = {"dunnett": "Dunnett" if design.monitoring == "fixed" else "Bonferroni", "bonferroni": "Bonferroni"}
        parts.append(f"{held.get(design.correction, 'no correction')} over {others} comparisons")
    return ", ".join([*parts, looks[design.monitoring]])


def as_table(found: "Plan") -> str:
    """The plan as a person reads it."""
    each = ", ".join(f"{units:,}" for units in dict.fromkeys(found.units_per_variant))
    answer = f"{found.weeks} week{'s' * (found.weeks != 1)} ({found.days} days)" if found.weeks else found.reason
    goal = f"lift {found.lift:+.2%} (to {found.baseline.value + found.effect:g})"
    lines = [
        f"{found.baseline.metric} {found.baseline.value:g}, {goal}, {len(found.design.shares)} variants",
        f"test            {_test(found.design)}",
        f"units needed    {found.units:,} in all, {each} a variant",
        f"duration        {answer}",
        "",
        "week      units   smallest lift   power for the mde",
    ]
    for week in found.by_week:
        smallest = "none" if week.mde_lift is None else f"{week.mde_lift:+.2%}"
        lines.append(f"{week.week:>4} {week.units:>10,} {smallest:>15} {week.power:>19.1%}")
    return "\n".join(lines)
