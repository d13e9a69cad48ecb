"""GrowthBook's features: rules in order, prerequisites, rollouts and experiments, compiled once.

`evalFeature` of GrowthBook's SDK specification, in the order of the JavaScript SDK (1.8.0, specification 0.8.0).
Contextual bandits are left out: their rules have no `variations` and are passed over, as the specification asks of an
implementation that does not know them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from experiments.bucketing import Allocation
from experiments.draw import Context, Definition, DrawResult, Experiment, Filters
from experiments.ecmascript import to_string, truthy
from experiments.prerequisites import Prerequisite, compile_prerequisites
from experiments.targeting import SavedGroups, compile_condition

__all__ = ["Context", "DrawResult", "Experiment", "FeatureResult", "Features", "Step"]

_OF_AN_EXPERIMENT = (
    "hashAttribute", "fallbackAttribute", "disableStickyBucketing", "namespace", "weights", "meta", "ranges",
    "name", "phase", "seed", "hashVersion", "filters", "condition",
)  # fmt: skip


class FeatureResult(msgspec.Struct, frozen=True):
    """A feature's value for one unit, and where it came from.

    `source` is defaultValue, force, experiment, prerequisite, cyclicPrerequisite or unknownFeature.
    """

    value: object
    source: str
    rule_id: str = ""
    experiment: Experiment | None = None
    drawn: DrawResult | None = None

    @property
    def on(self) -> bool:
        """Whether the value counts as true."""
        return truthy(self.value)


class Step(msgspec.Struct, frozen=True):
    """What became of one rule: `outcome` is its result's source, or why it was passed over."""

    feature: str
    rule: int
    rule_id: str
    outcome: str


Trace = list[Step]


class _Rule(Protocol):
    id: str
    prerequisites: Sequence[Prerequisite]

    def apply(self, context: Context) -> FeatureResult | str: ...


class _Forced:
    """A rule that gives one value to everyone it lets in."""

    def __init__(self, feature: str, rule: Definition, groups: SavedGroups) -> None:
        self.id = rule.get("id") or ""
        self.prerequisites = compile_prerequisites(rule, groups)
        self._result = FeatureResult(rule["force"], "force", self.id)
        self._filters = Filters(rule["filters"]) if rule.get("filters") is not None else None
        self._condition = compile_condition(rule["condition"], groups) if rule.get("condition") else None
        self._attribute = rule.get("hashAttribute") or "id"
        self._fallback = None if rule.get("disableStickyBucketing") else rule.get("fallbackAttribute")
        self._rollout = _rollout(feature, rule)

    def apply(self, context: Context) -> FeatureResult | str:
        if self._filters is not None and not self._filters.let_in(context.attributes):
            return "filters"
        if self._condition is not None and not self._condition.matches(context.attributes):
            return "condition"
        if self._rollout is not None:
            value = context.attributes.get(self._attribute)
            if not truthy(value) and self._fallback and context.sticky is not None:
                value = context.attributes.get(self._fallback)
            if not truthy(value):
                return "no_hash_value"
            if not self._rollout.holds(to_string(value)):
                return "rollout"
        return self._result


class _Drawn:
    """A rule that runs an experiment."""

    def __init__(self, feature: str, rule: Definition, groups: SavedGroups) -> None:
        self.id = rule.get("id") or ""
        self.prerequisites = compile_prerequisites(rule, groups)
        self._filters = Filters(rule["filters"]) if rule.get("filters") is not None else None
        self._experiment = Experiment(_experiment(feature, rule), groups, filtered=self._filters is not None)

    def apply(self, context: Context) -> FeatureResult | str:
        # asked here, and not by the experiment, they come before what is forced or kept
        if self._filters is not None and not self._filters.let_in(context.attributes):
            return "filters"
        drawn = self._experiment.draw(context)
        if not drawn.in_experiment:
            return drawn.reason
        if drawn.passthrough:
            return "passthrough"
        return FeatureResult(drawn.value, "experiment", self.id, self._experiment, drawn)


class _Invalid:
    """A rule that is neither: it may gate a feature by its prerequisites, and nothing else."""

    def __init__(self, rule: Definition, groups: SavedGroups) -> None:
        self.id = rule.get("id") or ""
        self.prerequisites = compile_prerequisites(rule, groups)

    def apply(self, context: Context) -> FeatureResult | str:  # noqa: ARG002  # the others need it
        return "neither_force_nor_variations"


class _Feature(msgspec.Struct, frozen=True):
    rules: Sequence[_Rule]
    default: FeatureResult


_UNKNOWN = FeatureResult(None, "unknownFeature")
_CYCLE = FeatureResult(None, "cyclicPrerequisite")
_GATED = FeatureResult(None, "prerequisite")


class Features:
    """The compiled features of one payload."""

    def __init__(self, definitions: Mapping[str, Definition], saved_groups: SavedGroups | None = None) -> None:
        groups = saved_groups or {}
        self._features = {
            key: _Feature(
                [_rule(key, rule, groups) for rule in definition.get("rules") or []],
                FeatureResult(definition.get("defaultValue"), "defaultValue"),
            )
            for key, definition in definitions.items()
        }

    def evaluate(self, key: str, context: Context, trace: Trace | None = None) -> FeatureResult:
        """The feature's value for the unit the context is about; a trace is given a Step for each rule looked at."""
        return self._evaluate(key, context, (), trace)

    def _evaluate(self, key: str, context: Context, path: tuple[str, ...], trace: Trace | None) -> FeatureResult:
        if key in path:
            return _CYCLE
        feature = self._features.get(key)
        if feature is None:
            return _UNKNOWN
        for index, rule in enumerate(feature.rules):
            outcome = self._barred(rule, context, (*path, key), trace) if rule.prerequisites else None
            if outcome is None:
                outcome = rule.apply(context)
            if trace is not None:
                trace.append(Step(key, index, rule.id, outcome if isinstance(outcome, str) else outcome.source))
            if not isinstance(outcome, str):
                return outcome
        return feature.default

    def _barred(
        self, rule: _Rule | Experiment, context: Context, path: tuple[str, ...], trace: Trace | None
    ) -> FeatureResult | str | None:
        for prerequisite in rule.prerequisites:
            parent = self._evaluate(prerequisite.feature, context, path, trace)
            if parent.source == "cyclicPrerequisite":
                return _CYCLE
            if not prerequisite.holds(parent.value):
                return _GATED if prerequisite.gate else "prerequisite"
        return None

    def draw(self, experiment: Experiment, context: Context) -> DrawResult:
        """The variation of an experiment that is no feature's rule, but may have features as prerequisites."""
        return experiment.draw(context, lambda: self._barred(experiment, context, (), None) is None)


def _rule(feature: str, rule: Definition, groups: SavedGroups) -> _Rule:
    if "force" in rule:
        return _Forced(feature, rule, groups)
    return _Drawn(feature, rule, groups) if rule.get("variations") is not None else _Invalid(rule, groups)


def _experiment(feature: str, rule: Definition) -> Definition:
    copied = {name: rule[name] for name in _OF_AN_EXPERIMENT if truthy(rule.get(name))}
    copied |= {name: rule[name] for name in ("coverage", "bucketVersion", "minBucketVersion") if name in rule}
    return {"variations": rule["variations"], "key": rule.get("key") or feature, **copied}


def _rollout(feature: str, rule: Definition) -> Allocation | None:
    """The part of the line a forced value is for; None if it is for all."""
    coverage, ranges = rule.get("coverage"), [rule["range"]] if rule.get("range") else None
    if ranges is None:
        if coverage is None:
            return None
        # up to and with the coverage, by the specification; experiments' ranges end before it
        ranges = [(0, math.nextafter(coverage, 2))] if coverage else []
    return Allocation(rule.get("seed") or feature, rule.get("hashVersion") or 1, ranges)
