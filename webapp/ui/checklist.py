"""What stands between a draft and its start: what must be done, and what would be wise; each with its place."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flask_babel import gettext, ngettext

from experiments.catalogue import Catalogue
from experiments.definition import AnalysisPlan, Definition
from experiments.offers import NoOffer
from experiments.service.reviewing import ReviewState
from webapp.ui.forecasts import Forecast
from webapp.ui.form_errors import label
from webapp.ui.overlaps import Overlap
from webapp.ui.previews import Preview
from webapp.ui.products import without_cost
from webapp.ui.typed import equal_split
from webapp.ui.words import metric_name

STEPS: Sequence[tuple[str, str]] = (
    ("idea", r"name|key|hypothesis|because|reason|about\.(owner|tags|links).*"),
    ("place", r"placement|new_placement|touchpoint"),
    ("offers", r"variants.*"),
    ("audience", r"targeting.*"),
    ("traffic", r"coverage|split|unit|layer.*"),
    ("metrics", r"metrics.*"),
    ("reading", r"analysis.*|rule.*|daily_units"),
    ("times", r"schedule.*"),
    ("people", r"about\.(reviewers|watchers).*"),
)
"""The steps of the page in order, and the places that stand in each."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do: blocking or advice, said in a sentence, with the place of the page that mends it."""

    kind: Literal["blocking", "advice"]
    text: str
    place: str
    address: str = ""
    """Of what is mended on another page."""

    @property
    def step(self) -> int:
        """The number of the step, from 1."""
        return step_of(self.place)


def step_of(place: str) -> int:
    """In which step a place stands; the first one where it is not known."""
    for number, (_, pattern) in enumerate(STEPS, 1):
        if re.fullmatch(pattern, place):
            return number
    return 1


def blocking(unfinished: Mapping[str, Sequence[str]]) -> list[Item]:
    """What must be done, one item for each place."""
    return [Item("blocking", f"{label(place)}: {messages[0]}", place) for place, messages in unfinished.items()]


def approval(review: ReviewState | None, *, required: bool, address: str) -> list[Item]:
    """That nobody approved it yet, where the storefront demands that; None is the review of what is not saved yet."""
    if review is None:
        text = gettext("The approval is missing: save the draft, then ask for a review.")
        return [Item("blocking", text, "about.reviewers")] if required else []
    if not review.blocks:
        return []
    said = {
        "none": gettext("The approval is missing: ask for a review."),
        "requested": gettext("The approval is missing: it waits for its review."),
        "changes_requested": gettext("The approval is missing: changes were asked for."),
        "stale": gettext("The approval is missing: it has changed since it was approved."),
    }
    return [Item("blocking", said[review.standing], "about.reviewers", address)]


def advice(
    definition: Definition,
    catalogue: Catalogue,
    shown: Sequence[Preview],
    others: Sequence[Overlap],
    forecast: Forecast | None,
) -> list[Item]:
    """What would be wise, in the order of the page."""
    found = [*_of_idea(definition), *_of_offers(definition, shown), *_of_traffic(definition, others)]
    found += [*_of_metrics(definition, catalogue), *_of_reading(definition, forecast)]
    return [Item("advice", str(text), place) for text, place in found]


_Found = Iterator[tuple[Any, str]]


def _of_idea(definition: Definition) -> _Found:
    if not definition.hypothesis:
        yield gettext("Write down the hypothesis: who reads the report will ask what was expected."), "hypothesis"
    if not definition.about.owner:
        yield gettext("Name an owner, so that others know whom to ask."), "about.owner"


def _of_offers(definition: Definition, shown: Sequence[Preview]) -> _Found:
    if not any(isinstance(v.offer, NoOffer) for v in definition.variants):
        yield gettext("No variant shows no offer: you will not learn what an offer adds at all."), "variants"
    for index, preview in enumerate(shown):
        refused = [example for example in preview.examples if example.refusal is not None]
        if refused or not (preview.examples or isinstance(preview.variant.offer, NoOffer)):
            name = preview.variant.name or preview.variant.key
            text = gettext("“%(variant)s” cannot be shown everywhere as it is: see its preview.", variant=name)
            yield text, f"variants[{index}]"


def _of_traffic(definition: Definition, others: Sequence[Overlap]) -> _Found:
    weights = [v.weight for v in definition.variants]
    if max(weights) - min(weights) > max(1, len(weights)) and weights != equal_split(len(weights)):
        yield gettext("The split is not equal: to show it to few, keep it equal and lower the coverage."), "split"
    first = [o for o in others if o.relation in {"winner", "asked_first"}]
    if first:
        text = ngettext(
            "%(num)s other experiment of this placement is asked first.",
            "%(num)s other experiments of this placement are asked first.",
            len(first),
        )
        yield text, "coverage"


def _of_metrics(definition: Definition, catalogue: Catalogue) -> _Found:
    plan = definition.metrics
    if not plan.guardrails:
        yield gettext("Name a guardrail: what must not suffer while the primary metric rises."), "metrics.refund_rate"
    missing = without_cost(catalogue)
    if plan.primary == "contribution_per_visitor" and missing:
        text = ngettext(
            "%(num)s product has no cost: its orders say nothing about profit.",
            "%(num)s products have no cost: their orders say nothing about profit.",
            missing,
        )
        yield text, "metrics.primary"
    if len(plan.secondary) > 5:
        yield (
            gettext("More than five secondary metrics: the more one looks at, the more one finds by chance."),
            (f"metrics.{plan.secondary[-1]}"),
        )


def _of_reading(definition: Definition, forecast: Forecast | None) -> _Found:
    analysis, usual = definition.analysis, AnalysisPlan()
    if analysis.minimum_days % 7 or not analysis.minimum_days:
        yield gettext("Run for whole weeks: weekdays and weekends differ."), "analysis.minimum_days"
    for name in ("confidence", "sequential", "correction"):
        if getattr(analysis, name) != getattr(usual, name):
            text = gettext("%(setting)s is not the usual one.", setting=label(f"analysis.{name}"))
            yield text, f"analysis.{name}"
    if forecast is None:
        return
    if forecast.duration is not None and forecast.duration.answer != "enough":
        lift, weeks = definition.analysis.target_mde, forecast.duration.plan.weeks
        if weeks is None:
            yield gettext("A lift of %(lift)s cannot be found in eight weeks.", lift=lift), "analysis.target_mde"
        else:
            text = gettext("A lift of %(lift)s takes %(weeks)s weeks to find.", lift=lift, weeks=weeks)
            yield text, "analysis.target_mde"
    elif forecast.reason == "no_traffic":
        yield gettext("Say how many visitors you expect a day, to see how long it takes."), "daily_units"
    elif forecast.reason == "no_baseline":
        name = str(metric_name(definition.metrics.primary)).lower()
        text = gettext("Nothing was measured here yet of %(metric)s: the duration is not known.", metric=name)
        yield text, "analysis.target_mde"
