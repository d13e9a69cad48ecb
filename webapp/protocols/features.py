"""A storefront's placements as GrowthBook's features: what every SDK of theirs evaluates to the variant we would give.

Each placement is a feature, each experiment a rule with the ranges, the seed and the hash that our own bucketing has.
What a payload cannot say, and the server can: eligibility (which looks at the cart), holding on to a closed experiment
without a sticky bucket service, previews, the bot filter; and allow-lists are left out, as everyone can read this.
"""

import hashlib
import threading
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from experiments.assignment import Rule, in_time
from experiments.bucketing import bucket_ranges
from experiments.definition import WHOLE
from experiments.identifiers import StorefrontId
from experiments.moment import SECOND, Micros, iso
from experiments.offers import Bundle, CrossSell, NoOffer, Offer
from experiments.resolution import Context
from experiments.service.serving import resolve_variants
from experiments.service.snapshot import StorefrontView
from webapp.protocols.groups import groups_named

HASH_VERSION = 2
NO_OFFER = {"type": "none"}


@dataclass(frozen=True, slots=True)
class Features:
    """A payload: its JSON, and the digest that changes with it."""

    json: bytes
    digest: str


def features_of(view: StorefrontView, at: Micros) -> dict[str, Any]:
    """The features by placement, as GrowthBook's SDKs read them."""
    return {
        key: {
            "defaultValue": NO_OFFER,
            "rules": []
            if key in view.paused
            else [made for rule in view.rules.get(key, ()) if (made := _rule(view, rule, at)) is not None],
        }
        for key in sorted(view.placements)
    }


def _rule(view: StorefrontView, rule: Rule, at: Micros) -> dict[str, Any] | None:
    """The rule as GrowthBook's, or None where it lets nobody in at this time."""
    if not rule.winner and not in_time(rule, at):
        return None
    offers, refusals = resolve_variants(view, rule, Context(), at)
    variants = rule.definition.variants
    lasting = {variant.key for variant in variants if is_context_free(variant.offer)}
    refused = refusals.keys() & lasting
    values = [
        offer.json if variant.key in lasting else definition_of(variant.offer)
        for variant, offer in zip(variants, offers, strict=True)
    ]
    if rule.winner:
        if rule.winner.key in refused:
            return None
        made = {"id": rule.definition.key, "force": values[variants.index(rule.winner)]}
        return made | _gates(view, rule, targeted=False)
    if refused:  # where one variant cannot be shown to anybody, nobody is eligible
        return None
    return _experiment(rule, values, at) | _gates(view, rule, targeted=True)


def _experiment(rule: Rule, values: list[dict[str, Any]], at: Micros) -> dict[str, Any]:
    definition = rule.definition
    coverage = rule.coverage_at(at) / WHOLE
    weights = [variant.weight / WHOLE for variant in definition.variants]
    ranges = bucket_ranges(coverage, weights)
    if rule.state == "closed":  # nobody new; who has a sticky bucket keeps it
        coverage, ranges = 0.0, [(0.0, 0.0)] * len(weights)
    return {
        "id": definition.key,
        "key": definition.key,
        "seed": rule.seed,
        "hashAttribute": _attribute(rule),
        "hashVersion": HASH_VERSION,
        "bucketVersion": 1,
        "minBucketVersion": 0,
        "variations": values,
        "meta": [{"key": variant.key} for variant in definition.variants],
        "coverage": coverage,
        "weights": weights,
        "ranges": ranges,
        "phase": "0",
    }


def _attribute(rule: Rule) -> str:
    return "id" if rule.definition.unit == "visitor" else "customer_id"


def _gates(view: StorefrontView, rule: Rule, *, targeted: bool) -> dict[str, Any]:
    """Whom the rule is for: consent, targeting, holdout, layer."""
    policy, filters = view.storefront.policy, []
    conditions: list[dict[str, Any]] = []
    if policy.consent == "required":
        conditions.append({"consent": True})
    if policy.honours_gpc:
        conditions.append({"gpc": {"$ne": True}})
    if view.holdout is not None:
        filters.append(_filter(view.holdout.seed, "id", view.holdout.share, WHOLE))
    if targeted and rule.definition.targeting:
        conditions.append(rule.definition.targeting)
    if targeted and rule.layer is not None:
        held = rule.layer_range
        filters.append(_filter(rule.layer.seed, _attribute(rule), held.start, held.stop))
    gates: dict[str, Any] = {"filters": filters} if filters else {}
    if conditions:
        gates["condition"] = conditions[0] if len(conditions) == 1 else {"$and": conditions}
    return gates


def _filter(seed: str, attribute: str, start: int, end: int) -> dict[str, Any]:
    ranges = [[start / WHOLE, end / WHOLE]]
    return {"seed": seed, "attribute": attribute, "hashVersion": HASH_VERSION, "ranges": ranges}


def is_context_free(offer: Offer) -> bool:
    """Whether it is the same wherever the visitor stands, so that it can be resolved before anyone asks."""
    if isinstance(offer, CrossSell):
        return offer.pick == "bestsellers" or (offer.pick == "explicit" and set(offer.products) == {"*"})
    return isinstance(offer, NoOffer) or (isinstance(offer, Bundle) and offer.pick == "explicit")


def definition_of(offer: Offer) -> dict[str, Any]:
    """The offer as it was defined, for a shop that resolves it itself; without what is nobody else's business."""
    built: dict[str, Any] = msgspec.to_builtins(offer)
    built.pop("minimum_margin", None)
    return built


class FeaturesByStorefront:
    """The payloads of this process: made when asked for, kept for a second or until the storefront changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[StorefrontId, tuple[StorefrontView, int, Features]] = {}

    def current(self, view: StorefrontView, at: Micros) -> Features:
        """The payload of this view at this time; schedules are followed to the second."""
        storefront_id, second = view.storefront.id, at // SECOND
        with self._lock:
            known = self._made.get(storefront_id)
            if known is not None and known[0] is view and known[1] == second:
                return known[2]
            made = payload(view, at)
            self._made[storefront_id] = (view, second, made)
            return made


def payload(view: StorefrontView, at: Micros) -> Features:
    """The answer of `GET /api/features/{key}`."""
    features = features_of(view, at)
    told: dict[str, Any] = {"features": features, "experiments": []}
    conditions = [rule.get("condition") for feature in features.values() for rule in feature["rules"]]
    if groups := groups_named(conditions, view.saved_groups):
        told["savedGroups"] = groups
    digest = hashlib.blake2b(orjson.dumps(told), digest_size=12).hexdigest()
    dated = {"status": 200, "dateUpdated": _date_updated(view, at, digest)} | told
    return Features(orjson.dumps(dated), digest)


def _date_updated(view: StorefrontView, at: Micros, digest: str) -> str:
    """When something last happened to the experiments or the catalogue, to the second.

    The SDKs take two payloads of one date for the same and keep the old one. So the microseconds are the digest's:
    another content has another date, and the same content has the same in every process.
    """
    times = [view.storefront.products_at]
    for record in view.experiments.values():
        times += [record.created_at, *filter(None, (record.started_at, record.stopped_at, record.decided_at))]
    for rules in view.rules.values():
        for rule in rules:
            scheduled = (rule.starts_at, rule.ends_at, *(step_at for step_at, *_ in rule.ramp))
            times += [time for time in scheduled if time is not None and time <= at]
    return iso(Micros(max(times) // SECOND * SECOND + int(digest, 16) % SECOND))
