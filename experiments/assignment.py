"""Who gets which variant: a pure function of the rules, the unit, the attributes and the time.

A placement's rules are tried in order: decided winners, then the experiments, the oldest first. For each: allow-list,
schedule, holdout, targeting, layer, coverage, then eligibility, and only then the variant: a unit enters an experiment
only if every variant of it could be shown here, so that they stay comparable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from experiments.bucketing import BUCKETS, Bucketer, bucket_ranges, in_buckets
from experiments.definition import WHOLE, Definition, Variant
from experiments.lifecycle import State
from experiments.moment import Micros, micros
from experiments.resolution import Refusal, ServedOffer, is_dated
from experiments.targeting import Condition, SavedGroups, compile_condition

Reason = Literal[
    "assigned", "winner", "forced", "preview", "no_experiment", "not_running", "holdout", "not_targeted",
    "layer_excluded", "not_in_coverage", "not_eligible", "bot", "no_consent",
]  # fmt: skip

NO_BUCKET = 255
"""The mark, in a table of buckets, of a bucket outside the coverage."""


class Unit(msgspec.Struct, frozen=True):
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
    """For each bucket the variant's index, or NO_BUCKET, before the first step of a ramp."""
    condition: Condition | None
    layer: Bucketer | None
    layer_range: range
    starts_at: Micros | None
    ends_at: Micros | None
    winner: Variant | None = None
    dated: bool = False
    """Whether what its offers come to depends on the time."""
    ramp: tuple[tuple[Micros, int, bytes], ...] = ()
    """From when on which coverage, and the table it makes; in order of time."""
    allowed: Mapping[str, int] = field(default_factory=dict)
    """By visitor or customer, the index of the variant that they are shown to look at it."""

    def coverage_at(self, now: Micros) -> int:
        """The coverage in force."""
        return next((coverage for at, coverage, _ in reversed(self.ramp) if at <= now), self.definition.coverage)

    def table_at(self, now: Micros) -> bytes:
        """The table in force."""
        return next((table for at, _, table in reversed(self.ramp) if at <= now), self.table)

    def unit_id(self, unit: Unit) -> str | None:
        """The id that this experiment randomises: the visitor's, or the customer's."""
        return unit.visitor_id if self.definition.unit == "visitor" else unit.customer_id


def compile_rule(
    experiment_id: int,
    definition: Definition,
    state: State,
    seed: str,
    layer_seed: str = "",
    winner: str | None = None,
    saved_groups: SavedGroups | None = None,
) -> Rule:
    """An experiment's definition as a rule of its placement."""
    layer, schedule = definition.layer, definition.schedule
    keys = [variant.key for variant in definition.variants]
    return Rule(
        experiment_id=experiment_id,
        definition=definition,
        fingerprint=definition.fingerprint,
        state=state,
        seed=seed,
        bucketer=Bucketer(seed),
        table=_table(definition, definition.coverage),
        condition=compile_condition(definition.targeting, saved_groups) if definition.targeting else None,
        layer=Bucketer(layer_seed) if layer else None,
        layer_range=range(layer.start, layer.end) if layer else range(0),
        starts_at=micros(schedule.start_at) if schedule.start_at else None,
        ends_at=micros(schedule.end_at) if schedule.end_at else None,
        winner=definition.variant(winner) if winner else None,
        dated=any(is_dated(variant.offer) for variant in definition.variants),
        ramp=tuple((micros(s.at), s.coverage, _table(definition, s.coverage)) for s in schedule.ramp),
        allowed={unit_id: keys.index(key) for unit_id, key in definition.allow_list.items() if key in keys},
    )


def _table(definition: Definition, coverage: int) -> bytes:
    table = bytearray([NO_BUCKET]) * BUCKETS
    ranges = bucket_ranges(coverage / WHOLE, [v.weight / WHOLE for v in definition.variants])
    for index, span in enumerate(ranges):
        places = in_buckets(span)
        table[places.start : places.stop] = bytes([index]) * len(places)
    return bytes(table)


class Assignment(msgspec.Struct, frozen=True):
    """What was decided, and why."""

    reason: Reason
    rule: Rule | None = None
    variant: Variant | None = None
    offer: ServedOffer | None = None
    refusals: Mapping[str, Refusal] = {}
    drawn: Variant | None = None
    """Of a unit that was not eligible, the variant that it would have got: its eligibility must not depend on it."""

    @property
    def in_experiment(self) -> bool:
        """Whether this answer is part of the comparison."""
        return self.reason == "assigned"


Eligible = Callable[[Rule], tuple[Sequence[ServedOffer], Mapping[str, Refusal]]]
"""For a rule, what each of its variants would show here, or by variant why it could not."""
Inside = Callable[[Rule, str], str | None]
"""For a closed experiment, the variant that a unit already holds."""
Trace = list[Assignment]
"""What became of each rule that was tried, in order."""


def assign(
    rules: Sequence[Rule],
    unit: Unit,
    attributes: Mapping[str, object],
    now: Micros,
    eligible: Eligible,
    inside: Inside,
    *,
    held_out: bool = False,
    trace: Trace | None = None,
) -> Assignment:
    """The first rule that takes the unit decides; where none does, the first one's reason is the answer.

    A unit that is `held_out` gets no offer at all, a decided winner neither: the holdout measures what the whole
    programme brings, and what it has shipped is most of that. Only an allow-list, for looking, goes before it.
    """
    first: Assignment | None = None
    for rule in rules:
        if rule.allowed and (index := _allowed(rule, unit, now)) is not None:
            tried = forced(rule, index, "forced", eligible)
        elif held_out:
            tried = Assignment("holdout", rule)
        elif rule.winner:
            tried = _winner(rule, eligible)
        else:
            tried = _try(rule, unit, attributes, now, eligible, inside)
        if trace is not None:
            trace.append(tried)
        if tried.variant is not None:
            return tried
        first = first or tried
    return first or Assignment("no_experiment")


def forced(rule: Rule, index: int, reason: Reason, eligible: Eligible) -> Assignment:
    """A variant shown for looking at it: never part of the comparison; where it cannot be shown, the refusal says why.

    Eligibility of the other variants does not matter to it.
    """
    offers, refusals = eligible(rule)
    variant = rule.definition.variants[index]
    own = {variant.key: refusals[variant.key]} if variant.key in refusals else {}
    return Assignment(reason, rule, variant, offers[index], own)


def _allowed(rule: Rule, unit: Unit, now: Micros) -> int | None:
    if rule.winner or rule.state == "paused" or not _not_over(rule, now):
        return None
    index = rule.allowed.get(unit.visitor_id)
    return rule.allowed.get(unit.customer_id) if index is None and unit.customer_id is not None else index


def _try(
    rule: Rule, unit: Unit, attributes: Mapping[str, object], now: Micros, eligible: Eligible, inside: Inside
) -> Assignment:
    if not in_time(rule, now):
        return Assignment("not_running", rule)
    unit_id = rule.unit_id(unit)
    if unit_id is None or (rule.condition is not None and not rule.condition.matches(attributes)):
        return Assignment("not_targeted", rule)
    if rule.layer is not None and rule.layer(unit_id) not in rule.layer_range:
        return Assignment("layer_excluded", rule)
    index = (rule.table_at(now) if rule.ramp else rule.table)[rule.bucketer(unit_id)]
    if index == NO_BUCKET:
        return Assignment("not_in_coverage", rule)
    if rule.state == "closed":  # no new units; those inside keep what they hold
        held = inside(rule, unit_id)
        index = next((i for i, v in enumerate(rule.definition.variants) if v.key == held), NO_BUCKET)
        if index == NO_BUCKET:
            return Assignment("not_running", rule)
    offers, refusals = eligible(rule)
    if refusals:
        return Assignment("not_eligible", rule, refusals=refusals, drawn=rule.definition.variants[index])
    return Assignment("assigned", rule, rule.definition.variants[index], offers[index])


def _winner(rule: Rule, eligible: Eligible) -> Assignment:
    winner = rule.winner
    offers, refusals = eligible(rule)
    if winner is None or winner.key in refusals:
        return Assignment("not_eligible", rule, refusals=refusals)
    return Assignment("winner", rule, winner, offers[rule.definition.variants.index(winner)])


def in_time(rule: Rule, now: Micros) -> bool:
    """Whether the rule is in force: its state lets it run, and its schedule says that it is time."""
    if rule.state not in {"running", "closed"}:
        return (
            rule.state == "scheduled" and rule.starts_at is not None and rule.starts_at <= now and _not_over(rule, now)
        )
    return _not_over(rule, now)


def _not_over(rule: Rule, now: Micros) -> bool:
    return rule.ends_at is None or now < rule.ends_at
