"""Who gets which variant: a pure function of the rules, the unit, the attributes and the time.

A placement's rules are tried in order. For each: schedule, targeting, layer, coverage, then eligibility, and only then
the variant: a unit enters an experiment only if every variant of it could be shown here, so that they stay comparable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from experiments.bucketing import BUCKETS, Bucketer, bucket_ranges, in_buckets
from experiments.definition import WHOLE, Definition, Variant
from experiments.lifecycle import State
from experiments.moment import Micros, micros
from experiments.resolution import Refusal, ServedOffer, is_dated
from experiments.targeting import Condition, compile_condition

Reason = Literal[
    "assigned", "winner", "forced", "preview", "no_experiment", "not_running", "holdout", "not_targeted",
    "layer_excluded", "not_in_coverage", "not_eligible", "bot", "no_consent",
]  # fmt: skip

NO_BUCKET = 255
"""The mark, in a table of buckets, of a bucket outside the coverage."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Who asks: the visitor, and the customer once there was a login."""

    visitor_id: str
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One experiment of a placement, compiled: all that the hot path needs, and nothing to compute twice."""

    experiment_id: int
    definition: Definition
    fingerprint: str
    state: State
    seed: str
    bucketer: Bucketer
    table: bytes
    """For each bucket the variant's index, or NO_BUCKET."""
    condition: Condition | None
    layer: Bucketer | None
    layer_range: range
    starts_at: Micros | None
    ends_at: Micros | None
    winner: Variant | None = None
    dated: bool = False
    """Whether what its offers come to depends on the time."""

    def unit_id(self, unit: Unit) -> str | None:
        """The id that this experiment randomises: the visitor's, or the customer's."""
        return unit.visitor_id if self.definition.unit == "visitor" else unit.customer_id


def compile_rule(
    experiment_id: int, definition: Definition, state: State, seed: str, layer_seed: str = "", winner: str | None = None
) -> Rule:
    """An experiment's definition as a rule of its placement."""
    table = bytearray([NO_BUCKET]) * BUCKETS
    ranges = bucket_ranges(definition.coverage / WHOLE, [v.weight / WHOLE for v in definition.variants])
    for index, span in enumerate(ranges):
        for place in in_buckets(span):
            table[place] = index
    layer, schedule = definition.layer, definition.schedule
    return Rule(
        experiment_id=experiment_id,
        definition=definition,
        fingerprint=definition.fingerprint,
        state=state,
        seed=seed,
        bucketer=Bucketer(seed),
        table=bytes(table),
        condition=compile_condition(definition.targeting) if definition.targeting else None,
        layer=Bucketer(layer_seed) if layer else None,
        layer_range=range(layer.start, layer.end) if layer else range(0),
        starts_at=micros(schedule.start_at) if schedule.start_at else None,
        ends_at=micros(schedule.end_at) if schedule.end_at else None,
        winner=definition.variant(winner) if winner else None,
        dated=any(is_dated(variant.offer) for variant in definition.variants),
    )


@dataclass(frozen=True, slots=True)
class Assignment:
    """What was decided, and why."""

    reason: Reason
    rule: Rule | None = None
    variant: Variant | None = None
    offer: ServedOffer | None = None
    refusals: Mapping[str, Refusal] = field(default_factory=dict)

    @property
    def in_experiment(self) -> bool:
        """Whether this answer is part of the comparison."""
        return self.reason == "assigned"


Eligible = Callable[[Rule], tuple[Sequence[ServedOffer], Mapping[str, Refusal]]]
"""For a rule, what each of its variants would show here, or by variant why it could not."""
Inside = Callable[[Rule, str], str | None]
"""For a closed experiment, the variant that a unit already holds."""


def assign(
    rules: Sequence[Rule], unit: Unit, attributes: Mapping[str, object], now: Micros, eligible: Eligible, inside: Inside
) -> Assignment:
    """The first rule that takes the unit decides; where none does, the first one's reason is the answer."""
    first: Assignment | None = None
    for rule in rules:
        tried = _winner(rule, eligible) if rule.winner else _try(rule, unit, attributes, now, eligible, inside)
        if tried.variant is not None:
            return tried
        first = first or tried
    return first or Assignment("no_experiment")


def _try(
    rule: Rule, unit: Unit, attributes: Mapping[str, object], now: Micros, eligible: Eligible, inside: Inside
) -> Assignment:
    if not _in_time(rule, now):
        return Assignment("not_running", rule)
    unit_id = rule.unit_id(unit)
    if unit_id is None or (rule.condition is not None and not rule.condition.matches(attributes)):
        return Assignment("not_targeted", rule)
    if rule.layer is not None and rule.layer(unit_id) not in rule.layer_range:
        return Assignment("layer_excluded", rule)
    index = rule.table[rule.bucketer(unit_id)]
    if index == NO_BUCKET:
        return Assignment("not_in_coverage", rule)
    if rule.state == "closed":  # no new units; those inside keep what they hold
        held = inside(rule, unit_id)
        index = next((i for i, v in enumerate(rule.definition.variants) if v.key == held), NO_BUCKET)
        if index == NO_BUCKET:
            return Assignment("not_running", rule)
    offers, refusals = eligible(rule)
    if refusals:
        return Assignment("not_eligible", rule, refusals=refusals)
    return Assignment("assigned", rule, rule.definition.variants[index], offers[index])


def _winner(rule: Rule, eligible: Eligible) -> Assignment:
    winner = rule.winner
    offers, refusals = eligible(rule)
    if winner is None or winner.key in refusals:
        return Assignment("not_eligible", rule, refusals=refusals)
    return Assignment("winner", rule, winner, offers[rule.definition.variants.index(winner)])


def _in_time(rule: Rule, now: Micros) -> bool:
    if rule.state not in {"running", "closed"}:
        return (
            rule.state == "scheduled" and rule.starts_at is not None and rule.starts_at <= now and _not_over(rule, now)
        )
    return _not_over(rule, now)


def _not_over(rule: Rule, now: Micros) -> bool:
    return rule.ends_at is None or now < rule.ends_at
