"""An experiment's definition: frozen data, checked at the door, never repaired."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from experiments.errors import FieldError, Invalid
from experiments.identifiers import Key, PlacementKey, UnitId
from experiments.looks import Monitoring, Spending, broken_looks
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import Micros, micros
from experiments.offers import Moment, Offer
from experiments.rules import DecisionRule, check_rule
from experiments.saved_metrics import SavedMetric, check_saved, own_metrics
from experiments.segments import MOST, SegmentName, check_segments
from experiments.shape import convert
from experiments.share import check_share, parse_share
from experiments.targeting import check_condition
from experiments.wording import worded

WHOLE = 10_000
"""Weights sum to this, and coverage is a part of it: one is a hundredth of a percent."""

Part = Annotated[int, msgspec.Meta(ge=0, le=WHOLE)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
Contact = Annotated[str, msgspec.Meta(max_length=254)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Link = Annotated[str, msgspec.Meta(max_length=2000, pattern="^https?://")]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An arm: a key, what it shows, and its weight in hundredths of a percent."""

    key: Key
    weight: Part
    offer: Offer
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Guardrail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric that must not get worse by more than the margin (a relative share such as `2%`)."""

    metric: str
    margin: str = "0%"


class MetricPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides, what explains, what must not suffer."""

    primary: str = "contribution_per_visitor"
    secondary: list[str] = []
    guardrails: list[Guardrail] = []


class AnalysisPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the report will be read, fixed before the start.

    `monitoring` names the method of a test that is looked at on the way, a confidence sequence unless said otherwise;
    `planned_units` counts control and one variant together, and `target_mde` stands in for it; `looks` are the planned
    ones of a group-sequential test, so many or their fractions of the plan, and `spending` how they share the error.
    `segments` are the groups whose effects will be compared: built-in ones, or attributes of the visitor by name.
    """

    confidence: Annotated[float, msgspec.Meta(ge=0.5, le=0.999)] = 0.95
    sequential: bool = True
    correction: Literal["none", "bonferroni", "holm", "bh", "dunnett"] = "holm"
    window_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 14
    minimum_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 7
    target_mde: str | None = None
    monitoring: Monitoring | None = None
    planned_units: Annotated[int, msgspec.Meta(ge=2, le=10**12)] | None = None
    looks: int | list[float] = 5
    spending: Spending = "obrien_fleming"
    segments: Annotated[list[SegmentName], msgspec.Meta(max_length=MOST)] = []

    @property
    def method(self) -> Monitoring:
        """How the test may be looked at."""
        return self.monitoring or ("confidence_sequence" if self.sequential else "fixed")


class RampStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on the coverage is what."""

    at: Moment
    coverage: Part


PauseWhen = Literal["sample_ratio_mismatch", "guardrail_breached"]


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When it starts, ends and pauses by itself, and how its coverage grows; None where people do that."""

    start_at: Moment | None = None
    end_at: Moment | None = None
    ramp: Annotated[list[RampStep], msgspec.Meta(max_length=50)] = []
    pause_when: Annotated[list[PauseWhen], msgspec.Meta(max_length=2)] = []


class LayerRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a layer that an experiment holds: [start, end) in hundredths of a percent."""

    key: Key
    start: Part
    end: Part


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to ask about it and where to find it: nothing here decides who sees what or how it is read."""

    owner: Contact = ""
    tags: Annotated[list[Label], msgspec.Meta(max_length=20)] = []
    links: Annotated[list[Link], msgspec.Meta(max_length=20)] = []
    reviewers: Annotated[list[Contact], msgspec.Meta(max_length=20)] = []
    watchers: Annotated[list[Contact], msgspec.Meta(max_length=50)] = []


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is compared, for whom, where, and how it will be judged."""

    key: Key
    placement: PlacementKey
    variants: list[Variant]
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    hypothesis: Text = ""
    unit: Literal["visitor", "customer"] = "visitor"
    coverage: Part = WHOLE
    layer: LayerRange | None = None
    targeting: dict[str, Any] = {}
    metrics: MetricPlan = MetricPlan()
    analysis: AnalysisPlan = AnalysisPlan()
    rule: DecisionRule = DecisionRule()
    schedule: Schedule = Schedule()
    allow_list: Annotated[dict[UnitId, str], msgspec.Meta(max_length=1000)] = {}
    """Visitors or customers who are shown this variant to look at it; they are never part of the comparison."""
    saved_offers: dict[str, Key] = {}
    """By variant, the saved offer that it took; what it shows stands in the variant itself."""
    saved_metrics: dict[Key, SavedMetric] = {}
    """The storefront's own metrics that the plan names, as they were when it was saved."""
    about: About = About()

    @property
    def known_metrics(self) -> Mapping[str, Metric]:
        """Every metric that the plan may name."""
        return {**BUILT_IN, **own_metrics(self.saved_metrics)}

    @property
    def control(self) -> Variant:
        """What the other variants are compared with: the variant named `control`, else the first."""
        return next((v for v in self.variants if v.key == "control"), self.variants[0])

    @property
    def fingerprint(self) -> str:
        """What every exposure carries: 16 hex digits over all that decides who sees what."""
        drawn = {
            "key": self.key,
            "placement": self.placement,
            "unit": self.unit,
            "coverage": self.coverage,
            "layer": self.layer,
            "targeting": self.targeting,
            "variants": self.variants,
        }
        return hashlib.sha256(msgspec.json.encode(drawn, order="sorted")).hexdigest()[:16]

    @property
    def window(self) -> timedelta:
        """How long after its exposure what a unit does is counted."""
        return timedelta(days=self.analysis.window_days)

    def coverage_at(self, now: Micros) -> int:
        """The coverage in force: that of the last step of the ramp that was taken."""
        return next((step.coverage for step in reversed(self.schedule.ramp) if micros(step.at) <= now), self.coverage)

    def variant(self, key: str) -> Variant | None:
        """The variant of that key, or None."""
        return next((v for v in self.variants if v.key == key), None)


def parse(
    value: object, metrics: Mapping[str, Metric] = BUILT_IN, audiences: Collection[str] | None = None
) -> Definition:
    """A definition at the door: Invalid lists every rule that it breaks, each with its field.

    With `audiences`, targeting that names another saved audience is refused too.
    """
    definition = convert(value, Definition)
    if not definition.name:
        definition = msgspec.structs.replace(definition, name=definition.key)
    errors = [*_check_variants(definition), *_check_plan(definition, metrics)]
    for key, saved in definition.saved_metrics.items():
        errors += check_saved(key, saved, f"saved_metrics.{key}.")
    errors += [*_check_traffic(definition, audiences), *_check_schedule(definition)]
    if errors:
        raise Invalid(errors)
    return definition


def to_json(definition: Definition) -> dict[str, Any]:
    """The definition as the contract's JSON; `parse` gives the same definition back."""
    built: dict[str, Any] = msgspec.to_builtins(definition)
    return built


def _check_variants(definition: Definition) -> Iterator[FieldError]:
    variants = definition.variants
    if not 2 <= len(variants) <= 20:
        yield FieldError("variants", worded("there must be 2 to 20, and there are %(given)s", given=len(variants)))
        return
    seen: set[str] = set()
    for i, variant in enumerate(variants):
        if variant.key in seen:
            yield FieldError(f"variants[{i}].key", worded("%(key)s is taken by another variant", key=repr(variant.key)))
        seen.add(variant.key)
        yield from variant.offer.check(f"variants[{i}].offer")
    total = sum(v.weight for v in variants)
    if total != WHOLE:
        yield FieldError(
            "variants",
            worded(
                "weights must sum to %(whole)s (hundredths of a percent), and sum to %(total)s",
                whole=WHOLE,
                total=total,
            ),
        )
    if definition.control.weight == 0:
        yield FieldError(
            "variants", worded("%(key)s has no weight: nothing to compare with", key=repr(definition.control.key))
        )
    if sum(v.weight > 0 for v in variants) < 2:
        yield FieldError("variants", worded("at least two variants need weight"))


def _check_plan(definition: Definition, metrics: Mapping[str, Metric]) -> Iterator[FieldError]:
    plan, metrics = definition.metrics, {**metrics, **own_metrics(definition.saved_metrics)}
    named = [("metrics.primary", plan.primary)]
    named += [(f"metrics.secondary[{i}]", key) for i, key in enumerate(plan.secondary)]
    named += [(f"metrics.guardrails[{i}].metric", g.metric) for i, g in enumerate(plan.guardrails)]
    seen: dict[str, str] = {}
    for field, key in named:
        if key not in metrics:
            yield FieldError(
                field,
                worded("%(key)s is not a metric; there are %(known)s", key=repr(key), known=", ".join(sorted(metrics))),
            )
        elif key in seen:
            yield FieldError(field, worded("%(key)s already has a role, as %(role)s", key=repr(key), role=seen[key]))
        seen.setdefault(key, field)
    for i, guardrail in enumerate(plan.guardrails):
        yield from check_share(guardrail.margin, f"metrics.guardrails[{i}].margin", Decimal(0), Decimal(1))
    yield from check_share(definition.analysis.target_mde, "analysis.target_mde", Decimal("0.0001"), Decimal(10))
    yield from _check_monitoring(definition.analysis)
    yield from check_segments(definition.analysis.segments, "analysis.segments")
    yield from _check_rule(definition, metrics)


def _check_rule(definition: Definition, metrics: Mapping[str, Metric]) -> Iterator[FieldError]:
    plan, margins = definition.metrics, []
    for guardrail in plan.guardrails:
        with suppress(Invalid):  # a margin that is none is refused where it stands
            margins.append(parse_share(guardrail.margin, "margin"))
    planned = definition.analysis.target_mde is not None
    yield from check_rule(definition.rule, metrics, plan.primary, margins, planned)


def _check_monitoring(analysis: AnalysisPlan) -> Iterator[FieldError]:
    if analysis.monitoring is not None and (analysis.monitoring == "fixed") == analysis.sequential:
        method = analysis.monitoring
        yield FieldError(
            "analysis.monitoring",
            worded("%(method)s is read once, at its end: sequential must be false", method=method)
            if analysis.sequential
            else worded("%(method)s is read on the way: sequential must be true", method=method),
        )
    if analysis.method == "group_sequential" and analysis.planned_units is None and analysis.target_mde is None:
        yield FieldError("analysis.planned_units", worded("planned looks need an end: planned_units, or a target_mde"))
    if analysis.method == "msprt" and analysis.target_mde is None:
        yield FieldError("analysis.target_mde", worded("the mSPRT needs the size of the effects that are looked for"))
    if message := broken_looks(analysis.looks):
        yield FieldError("analysis.looks", message)


def _check_traffic(definition: Definition, audiences: Collection[str] | None) -> Iterator[FieldError]:
    yield from check_condition(definition.targeting, saved_groups=audiences)
    layer = definition.layer
    if layer is not None and layer.start >= layer.end:
        yield FieldError(
            "layer.end",
            worded("must be greater than start, %(start)s, and is %(end)s", start=layer.start, end=layer.end),
        )
    for unit_id, variant in definition.allow_list.items():
        if definition.variant(variant) is None:
            yield FieldError(f"allow_list.{unit_id}", worded("%(key)s is not a variant", key=repr(variant)))


def _check_schedule(definition: Definition) -> Iterator[FieldError]:
    schedule = definition.schedule
    if schedule.start_at and schedule.end_at and schedule.start_at >= schedule.end_at:
        yield FieldError("schedule.end_at", worded("must be later than start_at"))
    time, coverage = schedule.start_at, definition.coverage
    for i, step in enumerate(schedule.ramp):
        if time is not None and step.at <= time:
            yield FieldError(f"schedule.ramp[{i}].at", worded("must be later than %(time)s", time=time.isoformat()))
        if step.coverage <= coverage:  # less coverage would throw out units that are inside
            yield FieldError(
                f"schedule.ramp[{i}].coverage",
                worded("must be more than %(least)s, and is %(given)s", least=coverage, given=step.coverage),
            )
        time, coverage = step.at, step.coverage
    if time is not None and schedule.ramp and schedule.end_at is not None and time >= schedule.end_at:
        yield FieldError(f"schedule.ramp[{len(schedule.ramp) - 1}].at", worded("must be before end_at"))
    yield from _check_pauses(definition)


def _check_pauses(definition: Definition) -> Iterator[FieldError]:
    named = definition.schedule.pause_when
    if len(set(named)) != len(named):
        yield FieldError("schedule.pause_when", worded("names a condition twice"))
    if "guardrail_breached" in named and not definition.metrics.guardrails:
        yield FieldError("schedule.pause_when", worded("guardrail_breached needs a guardrail, and there is none"))
    if "guardrail_breached" in named and definition.analysis.method == "fixed":
        said = worded(
            "guardrail_breached needs an analysis that may be read on the way, and this one is read once, at its end"
        )
        yield FieldError("schedule.pause_when", said)
