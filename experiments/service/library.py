"""The offer library: offers that are saved once and taken by variants by their key.

A definition holds the whole offer as it was when the definition was saved, so that a running experiment never changes;
saving a draft again takes the offer as it is then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from experiments.definition import Definition
from experiments.errors import Conflict, FieldError, Invalid
from experiments.identifiers import Key, Name, StorefrontId
from experiments.lifecycle import State
from experiments.moment import Micros
from experiments.shape import convert
from experiments.storage.registry import AuditEntry, experiments, write_audit
from experiments.storage.savedoffers import (
    SavedKind,
    SavedOffer,
    add_saved_offer,
    delete_saved_offer,
    get_saved_offer,
    put_saved_offer,
    saved_offers,
)
from experiments.storage.storefronts import placements
from experiments.touchpoints import misfits
from experiments.wording import worded

UNSTARTED: frozenset[State] = frozenset({"draft", "scheduled"})
"""States from which a definition may be saved again."""


class SavedOfferInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A saved offer as the API writes it; `version`, where given, is the one that was read."""

    key: Key
    offer: SavedKind
    name: Name = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """A variant that took the offer; not `current` where the offer has changed since."""

    experiment: str
    variant: str
    state: State
    current: bool


def save_offer(conn: Connection, storefront_id: StorefrontId, value: object, actor: str, now: Micros) -> SavedOffer:
    """A new one in the library; Conflict where its key is taken."""
    given = checked(value)
    made = add_saved_offer(conn, storefront_id, given.key, given.name, given.offer, now)
    _audit(conn, storefront_id, actor, "create", None, made, now)
    return made


def change_offer(
    conn: Connection, storefront_id: StorefrontId, key: str, value: object, actor: str, now: Micros
) -> SavedOffer:
    """Its next version; experiments keep what they took, until a draft is saved again."""
    before = get_saved_offer(conn, storefront_id, key)
    given = checked(value)
    if given.key != key:
        raise Invalid.at("key", worded("cannot change from %(key)s: definitions name it", key=repr(key)))
    if given.version is not None and given.version != before.version:
        raise Conflict(
            "edited_meanwhile",
            worded("%(key)s is at version %(version)s by now; look at it first", key=repr(key), version=before.version),
        )
    changed = put_saved_offer(conn, storefront_id, before, given.name or before.name, given.offer, now)
    _audit(conn, storefront_id, actor, "edit", before, changed, now)
    return changed


def remove_offer(conn: Connection, storefront_id: StorefrontId, key: str, actor: str, now: Micros) -> SavedOffer:
    """Out of the library; Conflict while a draft takes it, as that takes it again when it is saved.

    What has started holds its offer as it was, and goes on.
    """
    before = get_saved_offer(conn, storefront_id, key)
    drafts = [use.experiment for use in uses(conn, storefront_id, {key: before})[key] if use.state in UNSTARTED]
    if drafts:
        named = ", ".join(dict.fromkeys(drafts))
        raise Conflict(
            "offer_in_use",
            worded(
                "%(key)s is taken by %(experiments)s, not started yet: let that show another first",
                key=repr(key),
                experiments=named,
            ),
        )
    delete_saved_offer(conn, storefront_id, key)
    _audit(conn, storefront_id, actor, "remove", before, None, now)
    return before


def uses(conn: Connection, storefront_id: StorefrontId, library: Mapping[str, SavedOffer]) -> dict[str, list[Use]]:
    """By the key of a saved offer, the variants that took it, in the newest experiment first."""
    found: dict[str, list[Use]] = {key: [] for key in library}
    for experiment in experiments(conn, storefront_id):
        for variant in experiment.definition.variants:
            key = experiment.definition.saved_offers.get(variant.key)
            if key is not None and key in library:
                current = variant.offer == library[key].offer
                found[key].append(Use(experiment.key, variant.key, experiment.state, current))
    return found


def still_saved(conn: Connection, storefront_id: StorefrontId, taken: Mapping[str, str]) -> dict[str, str]:
    """Of what variants took, by variant, what can be taken again; the rest is in the definition alone."""
    library = {saved.key for saved in saved_offers(conn, storefront_id)} if taken else set()
    return {variant: key for variant, key in taken.items() if key in library}


def with_saved(conn: Connection, storefront_id: StorefrontId, value: Mapping[str, Any]) -> dict[str, Any]:
    """The definition's JSON with the offers that it takes from the library; Invalid names a key that is not there.

    A variant takes one by `"offer": {"saved": KEY}`; which variant took what stays in `saved_offers`.
    """
    variants, taken = value.get("variants"), value.get("saved_offers") or {}
    if not isinstance(variants, list) or not isinstance(taken, Mapping):
        return dict(value)
    wanted: dict[int, object] = {}
    for i, variant in enumerate(variants):
        offer = variant.get("offer") if isinstance(variant, Mapping) else None
        if isinstance(offer, Mapping) and offer.keys() == {"saved"}:
            wanted[i] = offer["saved"]
        elif isinstance(variant, Mapping) and isinstance(variant.get("key"), str) and variant["key"] in taken:
            wanted[i] = taken[variant["key"]]
    if not wanted:
        return dict(value) | ({"saved_offers": {}} if "saved_offers" in value else {})
    library = {saved.key: saved for saved in saved_offers(conn, storefront_id)}
    errors = [
        FieldError(
            f"variants[{i}].offer.saved",
            worded(
                "%(key)s is no saved offer; there are %(known)s",
                key=repr(key),
                known=", ".join(library) or worded("none"),
            ),
        )
        for i, key in wanted.items()
        if not (isinstance(key, str) and key in library)
    ]
    if errors:
        raise Invalid(errors)
    filled, names = list(variants), {}
    for i, key in wanted.items():
        filled[i] = dict(variants[i]) | {"offer": msgspec.to_builtins(library[str(key)].offer)}
        names[str(variants[i].get("key", ""))] = key
    return dict(value) | {"variants": filled, "saved_offers": names}


def check_fit(conn: Connection, storefront_id: StorefrontId, definition: Definition) -> list[FieldError]:
    """Every offer that makes no sense at the touchpoint of the definition's placement."""
    known = {placement.key: placement.touchpoint for placement in placements(conn, storefront_id)}
    touchpoint = known.get(definition.placement)
    return [
        error
        for i, variant in enumerate(definition.variants)
        for error in misfits(variant.offer, touchpoint, f"variants[{i}].offer")
    ]


def checked(value: object) -> SavedOfferInput:
    """The offer as it would be saved; Invalid lists every rule that it breaks."""
    given = convert(value, SavedOfferInput)
    if errors := list(given.offer.check("offer")):
        raise Invalid(errors)
    return given


def _audit(
    conn: Connection,
    storefront_id: StorefrontId,
    actor: str,
    action: str,
    before: SavedOffer | None,
    then: SavedOffer | None,
    now: Micros,
) -> None:
    facts = [
        None if saved is None else {"name": saved.name, "offer": msgspec.to_builtins(saved.offer)}
        for saved in (before, then)
    ]
    key = next(saved.key for saved in (then, before) if saved is not None)
    write_audit(conn, storefront_id, AuditEntry(now, actor, action, f"offer:{key}", facts[0], facts[1]))
