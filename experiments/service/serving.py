"""Serving: which variant this visitor gets here, and what it shows.

Deciding writes nothing; recording is another call.
"""

from decimal import Decimal
from typing import Annotated, Any

import msgspec

from experiments.assignment import Assignment, Inside, Rule, Unit, assign
from experiments.events import Exposure
from experiments.identifiers import PlacementKey, ProductId, UnitId
from experiments.moment import Micros
from experiments.offers import NoOffer
from experiments.resolution import Context, Refusal, ServedOffer
from experiments.service.snapshot import Resolved, StorefrontView

NOTHING = ServedOffer(NoOffer())
"""What is shown when nothing applies."""


MOST_RESOLVED = 20_000
"""Contexts remembered for each storefront: some ten megabytes."""


class CartLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the cart."""

    product_id: ProductId
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    price: Decimal | None = None


class ContextInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the visitor stands."""

    product_id: ProductId | None = None
    cart: list[CartLine] = []
    currency: str | None = None

    def context(self) -> Context:
        """As offers are resolved against it."""
        return Context(self.product_id, tuple(line.product_id for line in self.cart), self.currency)


class AssignmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/assignments`."""

    visitor_id: UnitId
    placement: PlacementKey
    customer_id: UnitId | None = None
    attributes: dict[str, Any] = {}
    context: ContextInput = ContextInput()
    record: bool = True


def decide(view: StorefrontView, request: AssignmentRequest, now: Micros, inside: Inside) -> Assignment:
    """Which variant, and what it shows; nothing is written."""
    rules = view.rules.get(request.placement)
    if not rules:
        return Assignment("no_experiment")
    context = request.context.context()
    attributes = {**request.attributes, "id": request.visitor_id, "visitor_id": request.visitor_id}
    if request.customer_id is not None:
        attributes["customer_id"] = request.customer_id

    def eligible(rule: Rule) -> Resolved:
        return resolve_variants(view, rule, context, now)

    return assign(rules, Unit(request.visitor_id, request.customer_id), attributes, now, eligible, inside)


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


def exposure(request: AssignmentRequest, assignment: Assignment, now: Micros) -> Exposure | None:
    """The exposure to record for this answer; None where it is not part of a comparison."""
    if not assignment.in_experiment or assignment.rule is None or assignment.variant is None:
        return None
    definition = assignment.rule.definition
    return Exposure(definition.key, assignment.variant.key, request.visitor_id, request.customer_id, "assigned", now)
