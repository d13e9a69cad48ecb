"""Serving: which variant this visitor gets here, and what it shows.

Deciding writes nothing; recording is another call.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from experiments.assignment import Assignment, Eligible, Inside, Rule, Trace, Unit, assign, forced
from experiments.context import ContextInput
from experiments.explanation import explain
from experiments.identifiers import ExperimentId, Key, PlacementKey, UnitId
from experiments.moment import Micros, day_number
from experiments.offers import NoOffer
from experiments.resolution import Context, Refusal, ServedOffer
from experiments.service.capping import Viewed, capped, is_capped
from experiments.service.snapshot import Resolved, StorefrontView
from experiments.signals import SILENT, Signals
from experiments.storage.eventlog import ExposureRow
from experiments.traits import traits_of

NOTHING = ServedOffer(NoOffer())
"""What is shown when nothing applies."""


MOST_RESOLVED = 20_000
"""Contexts remembered for each storefront: some ten megabytes."""


PriceToken = Annotated[str, msgspec.Meta(max_length=4000)]
"""What came with an offer: the proof of the price that was shown."""


class AssignmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/assignments`."""

    visitor_id: UnitId
    placement: PlacementKey
    customer_id: UnitId | None = None
    attributes: dict[str, Any] = {}
    context: ContextInput = ContextInput()
    record: bool = True
    preview: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    explain: bool = False
    price_tokens: Annotated[list[PriceToken], msgspec.Meta(max_length=20)] = []


class Preview(msgspec.Struct, frozen=True):
    """A variant that somebody may look at, whatever the experiment's state."""

    experiment: Key
    variant: Key


def decide(
    view: StorefrontView,
    request: AssignmentRequest,
    now: Micros,
    inside: Inside,
    signals: Signals = SILENT,
    preview: Preview | None = None,
    trace: Trace | None = None,
    viewed: Viewed | None = None,
    tried: Trace | None = None,
) -> Assignment:
    """Which variant, and what it shows; nothing is written. What became of each rule goes into the trace.

    Without a trace only rules that could take the unit are tried; what became of those goes into `tried`.

    In order: the kill switch, a preview, bots and consent, then the rules with their own gates.
    """
    placement = request.placement
    if placement in view.paused:
        return Assignment("forced")
    context = request.context.context(view.catalogue, request.attributes.get("returning"))

    def eligible(rule: Rule) -> Resolved:
        found = resolve_variants(view, rule, context, now)
        caps = view.caps.get(rule.experiment_id)
        if caps and viewed is not None and not found[1] and is_capped(caps, viewed):
            return found[0], capped(rule.definition)
        return found

    if preview is not None and (shown := _previewed(view, placement, preview, eligible)) is not None:
        return shown
    rules: Sequence[Rule] = view.rules.get(placement, ())
    if not rules:
        return Assignment("no_experiment")
    attributes = {**request.attributes, "id": request.visitor_id, "visitor_id": request.visitor_id}
    if request.customer_id is not None:
        attributes["customer_id"] = request.customer_id
    refused = view.storefront.policy.refusal(signals, attributes)
    if refused is not None:
        return Assignment(refused)
    unit = Unit(request.visitor_id, request.customer_id)
    held_out = is_held_out(view, unit)
    if trace is None and view.shortlists and (known := view.shortlists.get(placement)) is not None:
        made = assign(known.of(unit), unit, attributes, now, eligible, inside, held_out=held_out, trace=tried)
        if made.variant is not None:
            return made
        rules = rules[:1]  # nobody takes the unit, and the first one says why
    if trace is None:
        trace = tried
    return assign(rules, unit, attributes, now, eligible, inside, held_out=held_out, trace=trace)


def is_held_out(view: StorefrontView, unit: Unit) -> bool:
    """Whether the visitor sees nothing of the programme; the holdout's unit is the visitor, logged in or not."""
    return view.holdout is not None and view.holdout.holds(unit.visitor_id)


def _previewed(view: StorefrontView, placement: str, preview: Preview, eligible: Eligible) -> Assignment | None:
    experiment = view.experiments.get(preview.experiment)
    if experiment is None or experiment.definition.placement != placement:
        return None  # a link is for one placement; the others show what they always show
    variants = [variant.key for variant in experiment.definition.variants]
    if preview.variant not in variants:
        return None
    return forced(view.rule(experiment), variants.index(preview.variant), "preview", eligible)


def explanation(
    view: StorefrontView, request: AssignmentRequest, made: Assignment, trace: Trace, now: Micros
) -> list[dict[str, Any]]:
    """Why it was this: each rule of the placement, with each gate passed or not."""
    unit = Unit(request.visitor_id, request.customer_id)
    rules = view.rules.get(request.placement, ())
    return explain(rules, trace, made, unit, now, held_out=is_held_out(view, unit))


def resolve_variants(view: StorefrontView, rule: Rule, context: Context, now: Micros) -> Resolved:
    """What each variant would show here; and for each variant with weight that could not be shown, why.

    Pages are looked at again and again: what does not depend on the time is resolved once for each context.
    """
    key = (rule.experiment_id, context)
    known = view.resolved.get(key)
    if known is None:
        known = _resolve(view, rule, context, now)
        if not rule.dated:
            if len(view.resolved) >= MOST_RESOLVED:
                view.resolved.clear()
            view.resolved[key] = known
    return known


def _resolve(view: StorefrontView, rule: Rule, context: Context, now: Micros) -> Resolved:
    offers: list[ServedOffer] = []
    refusals: dict[str, Refusal] = {}
    for variant in rule.definition.variants:
        salt = f"{rule.definition.key}:{variant.key}:{rule.fingerprint}"
        found = view.resolver.resolve(variant.offer, salt, context, now)
        if isinstance(found, ServedOffer):
            offers.append(found)
            continue
        offers.append(NOTHING)
        if variant.weight > 0:
            refusals[variant.key] = found
    return offers, refusals


def answer(request: AssignmentRequest, assignment: Assignment) -> dict[str, Any]:
    """The assignment as the contract's JSON."""
    taken = assignment.variant is not None
    shown: dict[str, Any] = {
        "placement": request.placement,
        "visitor_id": request.visitor_id,
        "experiment": assignment.rule.definition.key if taken and assignment.rule else None,
        "variant": assignment.variant.key if assignment.variant else None,
        "in_experiment": assignment.in_experiment,
        "reason": assignment.reason,
        "offer": (assignment.offer or NOTHING).json,
    }
    if assignment.refusals:
        shown["refusals"] = [
            {"variant": variant, "refusal": refusal.code, "product_id": refusal.product_id}
            for variant, refusal in assignment.refusals.items()
        ]
    return shown


def exposure(
    view: StorefrontView,
    request: AssignmentRequest,
    assignment: Assignment,
    now: Micros,
    user_agent: str | None = None,
) -> ExposureRow | None:
    """The exposure to record for this answer; None where it is not part of a comparison."""
    rule, variant = assignment.rule, assignment.variant
    if not assignment.in_experiment or rule is None or variant is None:
        return None
    unit_id = rule.unit_id(Unit(request.visitor_id, request.customer_id))
    if unit_id is None:
        return None
    planned = rule.definition.analysis.segments
    return ExposureRow(
        ExperimentId(rule.experiment_id),
        "assigned",
        unit_id,
        variant.key,
        now,
        day_number(now, view.storefront.zone),
        rule.fingerprint,
        traits_of(view.catalogue, planned, request.attributes, request.context, user_agent),
    )
