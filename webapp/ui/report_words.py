"""A report's parts as texts for its page: nothing computed anew but another scale of the same effect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from analysis.effect import Effect
from analysis.parts import Point
from analysis.report import Comparison, MetricResult, Report
from webapp.ui import formats
from webapp.ui.formats import DASH, Kind
from webapp.ui.words import CHECKS

Scale = Literal["relative", "absolute", "day", "year"]
SCALES: tuple[Scale, ...] = get_args(Scale)
SCALE_NAMES = {
    "relative": _("in percent"), "absolute": _("per visitor"), "day": _("per day"), "year": _("per year"),
}  # fmt: skip

STEPS = {
    "asked": _("Asked"), "eligible": _("Eligible, entered"), "viewed": _("Saw the offer"), "clicked": _("Clicked"),
    "accepted": _("Took it"), "paid": _("Paid for it"), "kept": _("Kept it"),
}  # fmt: skip

SEGMENTS = {
    "visitor": _("New and returning"), "past_spend": _("What was spent in the year before"),
    "entered_on": _("Day of the week of entry"), "entered_in": _("Week of entry"),
    "device": _("Device"), "category": _("Category"), "cart_value": _("Value of the cart"),
}  # fmt: skip

LEVELS = {
    "new": _("new"), "returning": _("returning"), "none": _("nothing"), "up to the median": _("up to the median"),
    "above the median": _("above the median"), "weekday": _("Monday to Friday"), "weekend": _("Saturday and Sunday"),
    "desktop": _("desktop"), "mobile": _("mobile"), "tablet": _("tablet"), "other": _("all others"),
    "unknown": _("not known"), "several": _("more than one"), "empty": _("empty"),
    "lowest quarter": _("lowest quarter"), "second quarter": _("second quarter"),
    "third quarter": _("third quarter"), "highest quarter": _("highest quarter"),
}  # fmt: skip

FACTORS = {
    "conversion": _("More or fewer buyers (conversion)"), "orders per converted": _("Orders per buyer"),
    "item_count per orders": _("Items per order"), "revenue per item_count": _("Price per item"),
    "revenue per orders": _("Order value"), "contribution per item_count": _("Profit per item"),
    "contribution per orders": _("Profit per order"), "revenue per converted": _("Spend per buyer"),
    "contribution per converted": _("Profit per buyer"), "contribution per orders per buyer": _("Profit per order"),
}  # fmt: skip

READINGS = {
    "as planned": _("As planned"), "without crossovers": _("Without those who met two variants"),
    "capped at the 99th percentile of buyers": _("Large values capped at the buyers' 99th percentile"),
    "all visitors, eligible or not": _("All visitors, eligible or not"),
    "only who saw the offer": _("Only who saw the offer (per protocol)"),
    "per visitor who saw the offer": _("Per visitor who saw the offer (per protocol)"),
}  # fmt: skip

CONCLUSIONS = {
    "higher": _("higher than control"), "lower": _("lower than control"),
    "no difference shown": _("no difference shown"),
}  # fmt: skip

TONES = {"good": "success", "bad": "danger", "warn": "warning", "info": "info"}

TERMS = {
    "lift": _("The change relative to control, +5%: 5 more for each 100 of control."),
    "interval": _("The range that holds the true change in 95 of 100 experiments like this one, unless the plan says "
                  "another share."),
    "p": _("How often chance alone would make a difference this large or larger. Small is strong evidence."),
    "chance": _("How probable it is that the variant is better than control, before any prior knowledge."),
    "always valid": _("Holds however often one looks; the other interval holds for a single look at a planned end."),
    "mde": _("The smallest true lift that would be found four times in five with what is in by now."),
    "interaction": _("Whether the effect differs between these groups at all. Look at it before any single group."),
    "matured": _("Past the shop's return window: these orders can no longer come back."),
    "expected loss": _("What shipping this costs on average if it is in truth worse than control."),
    "margin": _("By how much a guardrail may get worse before the variant must not be shipped."),
    "incremental": _("What the variant's visitors bought more than control's, the offer's own sales included."),
    "drawn": _("Each group's effect drawn towards the common one by as much as its own number is uncertain."),
}  # fmt: skip
"""What a term on the page means, shown when it is pointed at or focused."""


@dataclass(frozen=True, slots=True)
class Say:
    """Texts of one report's numbers, on the scale that the reader chose."""

    report: Report
    currency: str
    scale: Scale
    units_a_day: float

    def money(self, amount: float | None) -> str:
        """An amount without a sign of its own."""
        return DASH if amount is None else formats.rounded(amount, self.currency)

    def change_of_money(self, amount: float | None) -> str:
        """An amount with its sign."""
        if amount is None:
            return DASH
        sign = "+" if amount > 0 else "−" if amount < 0 else "±"
        return sign + formats.rounded(abs(amount), self.currency)

    def money_span(self, effect: Effect) -> str:
        """A change of money with its interval."""
        return within(effect, self.change_of_money)

    def lift_span(self, effect: Effect) -> str:
        """A lift with its interval."""
        return within(effect, formats.lift)

    def difference_span(self, effect: Effect, metric: str) -> str:
        """A difference of a metric with its interval."""
        return within(effect, self._differences(metric))

    def change(self, result: MetricResult, c: Comparison) -> str:
        """The effect on the chosen scale; a ratio has no sum over a day, and stays a difference."""
        if self.scale == "relative":
            return within(c.lift, formats.lift)
        if self.scale == "absolute" or result.type not in {"mean", "proportion"}:
            return within(c.difference, self._differences(result.metric))
        scaled = c.difference.times(self.units_a_day * (365 if self.scale == "year" else 1))
        return within(scaled, self.change_of_money if self.kind(result.metric) == "money" else _counted)

    def kind(self, metric: str) -> Kind:
        """How a metric's values are written."""
        known = next((r for r in self.report.metrics if r.metric == metric), None)
        return formats.kind_of(metric, "mean") if known is None else formats.kind_of(metric, known.type, known.unit)

    def _differences(self, metric: str) -> Callable[[float | None], str]:
        kind = self.kind(metric)
        return lambda amount: formats.difference(amount, kind, self.currency)

    def point(self, p: Point, metric: str) -> str:
        """One day of a series."""
        return self.difference_span(p.difference, metric)

    def p(self, p: float | None) -> str:
        """A p-value."""
        return formats.p_value(p)


def within(effect: Effect, show: Callable[[float | None], str]) -> str:
    """An effect with its interval; an end that does not exist is said in words."""
    low = gettext("no lower bound") if effect.low is None else show(effect.low)
    high = gettext("no upper bound") if effect.high is None else show(effect.high)
    if effect.estimate is None:
        if effect.low is None and effect.high is None:
            return DASH
        return str(gettext("%(low)s to %(high)s", low=low, high=high))
    if effect.low is None and effect.high is None:
        return show(effect.estimate)
    return str(gettext("%(estimate)s (%(low)s to %(high)s)", estimate=show(effect.estimate), low=low, high=high))


def _counted(amount: float | None) -> str:
    if amount is None:
        return DASH
    sign = "+" if amount > 0 else "−" if amount < 0 else "±"
    return f"{sign}{abs(amount):,.0f}" if abs(amount) >= 10 else f"{sign}{abs(amount):,.2g}"


def level_name(level: str) -> str:
    """A segment's level in words."""
    if level in LEVELS:
        return str(LEVELS[level])
    if not level.startswith("week "):
        return level
    number = level.removeprefix("week ").removesuffix(" and later")
    if level.endswith(" and later"):
        return str(gettext("week %(number)s and later", number=number))
    return str(gettext("week %(number)s", number=number))


WORDS: Mapping[str, object] = {
    "SCALES": SCALES, "SCALE_NAMES": SCALE_NAMES, "STEPS": STEPS, "SEGMENTS": SEGMENTS, "FACTORS": FACTORS,
    "READINGS": READINGS, "CONCLUSIONS": CONCLUSIONS, "TONES": TONES, "TERMS": TERMS, "level_name": level_name,
    "CHECKS": CHECKS,
}  # fmt: skip
"""What the report's templates know besides."""
