"""Setting up: storefronts, keys, people, placements, products, audiences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import Connection

from experiments.audiences import Audience, named_audiences, parse_audience
from experiments.catalogue import Product
from experiments.crawlers import BotFilter
from experiments.definition import Contact
from experiments.errors import Conflict, FieldError, Invalid, NotFound
from experiments.identifiers import Name, StorefrontId, check_key
from experiments.moment import Micros
from experiments.money import exponent
from experiments.shape import convert
from experiments.signals import Consent
from experiments.storage.audiences import add_audience, audiences
from experiments.storage.audiences import replace_audience as put_audience
from experiments.storage.keys import KeyKind, add_key, revoke_key
from experiments.storage.layers import HOLDING
from experiments.storage.products import put_products
from experiments.storage.registry import AuditEntry, experiments, write_audit
from experiments.storage.storefronts import (
    Placement,
    Storefront,
    add_placement,
    add_storefront,
    bump_revision,
    change_placement,
    change_storefront,
    get_placement,
    get_storefront,
    touch_products,
)
from experiments.storage.users import all_users
from experiments.touchpoints import TOUCHPOINTS, misfits
from experiments.wording import worded


def create_storefront(
    conn: Connection, key: str, currency: str, timezone: str, origins: Sequence[str], now: Micros, name: str = ""
) -> Storefront:
    """A new tenant; Invalid names what it cannot be."""
    errors = check_key(key)
    try:
        exponent(currency)
    except Invalid as refusal:
        errors += refusal.errors
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        errors.append(FieldError("timezone", f"{timezone!r} is no time zone; write for example Europe/Berlin"))
    errors += _check_origins(origins, "origin")
    if errors:
        raise Invalid(errors)
    storefront = add_storefront(conn, key, name or key, currency, timezone, tuple(origins), now)
    bump_revision(conn)
    return storefront


class StorefrontChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of a storefront that can change; what is not given stays. `holdout` is in hundredths of a percent."""

    name: Annotated[Name, msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    origins: list[str] | msgspec.UnsetType = msgspec.UNSET
    bots: BotFilter | msgspec.UnsetType = msgspec.UNSET
    consent: Consent | msgspec.UnsetType = msgspec.UNSET
    honours_gpc: bool | msgspec.UnsetType = msgspec.UNSET
    holdout: Annotated[int, msgspec.Meta(ge=0, le=5000)] | msgspec.UnsetType = msgspec.UNSET
    review_required: bool | msgspec.UnsetType = msgspec.UNSET
    reviewers: Annotated[list[Contact], msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET


def change_settings(conn: Connection, storefront: Storefront, value: object, actor: str, now: Micros) -> Storefront:
    """Other settings for a storefront; Invalid names what cannot be."""
    changed: dict[str, Any] = msgspec.to_builtins(convert(value, StorefrontChange))
    errors = _check_origins(changed.get("origins", ()), "origins")
    if "reviewers" in changed:
        changed["reviewers"] = sorted({email.strip().lower() for email in changed["reviewers"]} - {""})
        errors += _check_people(conn, changed["reviewers"])
    if errors:
        raise Invalid(errors)
    if not changed:
        return storefront
    before = storefront_json(get_storefront(conn, storefront.key))
    change_storefront(conn, storefront.id, **changed)
    entry = AuditEntry(now, actor, "edit", "storefront", {name: before[name] for name in changed}, changed)
    write_audit(conn, storefront.id, entry)
    bump_revision(conn)
    return get_storefront(conn, storefront.key)


def storefront_json(storefront: Storefront) -> dict[str, Any]:
    """A storefront with its settings, as the API writes it."""
    policy = storefront.policy
    return {
        "key": storefront.key,
        "name": storefront.name,
        "currency": storefront.currency,
        "timezone": storefront.zone.key,
        "origins": list(storefront.origins),
        "bots": policy.bots,
        "consent": policy.consent,
        "honours_gpc": policy.honours_gpc,
        "holdout": policy.holdout,
        "review_required": storefront.review.required,
        "reviewers": list(storefront.review.reviewers),
    }


def _check_people(conn: Connection, emails: Sequence[str]) -> list[FieldError]:
    known = {person.email for person in all_users(conn)}
    return [
        FieldError("reviewers", worded("%(email)s is nobody here: invite them first", email=repr(email)))
        for email in emails
        if email not in known
    ]


def _check_origins(origins: Sequence[str], field: str) -> list[FieldError]:
    return [
        FieldError(field, worded("%(origin)s is no origin; write https://shop.example", origin=repr(o)))
        for o in origins
        if not _origin(o)
    ]


def _origin(text: str) -> bool:
    scheme, _, host = text.partition("://")
    return scheme in {"http", "https"} and bool(host) and "/" not in host and " " not in host


def create_key(
    conn: Connection, storefront_id: StorefrontId, kind: KeyKind, random: str, now: Micros, actor: str
) -> str:
    """A new key, which is shown once."""
    key = add_key(conn, storefront_id, kind, random, now)
    _audit(conn, storefront_id, actor, "create", f"key:…{key[-4:]}", {"kind": kind}, now)
    bump_revision(conn)
    return key


def withdraw_key(conn: Connection, storefront_id: StorefrontId, key_id: int, now: Micros, actor: str) -> None:
    """A key that opens nothing any more."""
    if not revoke_key(conn, storefront_id, key_id, now):
        raise Invalid.at("key", worded("is not a live key of this storefront"))
    _audit(conn, storefront_id, actor, "revoke", f"key:{key_id}", None, now)
    bump_revision(conn)


def create_placement(
    conn: Connection, storefront_id: StorefrontId, key: str, name: str, touchpoint: str | None, now: Micros, actor: str
) -> Placement:
    """A new slot of the storefront."""
    _check_touchpoint(touchpoint)
    placement = Placement(key, name or key, touchpoint)
    add_placement(conn, storefront_id, placement, now)
    _audit(conn, storefront_id, actor, "create", f"placement:{key}", {"name": name, "touchpoint": touchpoint}, now)
    bump_revision(conn)
    return placement


class PlacementChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a placement can change; what is not given stays."""

    name: Annotated[Name, msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    touchpoint: str | msgspec.UnsetType | None = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET


def edit_placement(
    conn: Connection, storefront_id: StorefrontId, key: str, value: object, actor: str, now: Micros
) -> Placement:
    """A placement renamed, moved, or its kill switch turned; NotFound where the storefront has none of that key."""
    changed: dict[str, Any] = msgspec.to_builtins(convert(value, PlacementChange))
    _check_touchpoint(changed.get("touchpoint"))
    before = get_placement(conn, storefront_id, key)
    then = replace(before, **changed)
    if then.touchpoint != before.touchpoint:
        _check_fits(conn, storefront_id, then)
    change_placement(conn, storefront_id, then)
    _audit(conn, storefront_id, actor, "edit", f"placement:{key}", changed, now)
    bump_revision(conn)
    return then


def _check_fits(conn: Connection, storefront_id: StorefrontId, then: Placement) -> None:
    """Conflict where a live experiment shows offers there that would make no sense any more."""
    for experiment in experiments(conn, storefront_id):
        if experiment.state not in HOLDING or experiment.definition.placement != then.key:
            continue
        for variant in experiment.definition.variants:
            for error in misfits(variant.offer, then.touchpoint, f"{experiment.key}: {variant.key}"):
                raise Conflict(
                    "offers_do_not_fit", worded("%(where)s: %(message)s", where=error.field, message=error.message)
                )


def _check_touchpoint(touchpoint: str | None) -> None:
    if touchpoint is not None and touchpoint not in TOUCHPOINTS:
        raise Invalid.at("touchpoint", f"must be one of {', '.join(TOUCHPOINTS)}, and is {touchpoint!r}")


def create_audience(conn: Connection, storefront_id: StorefrontId, value: object, actor: str, now: Micros) -> Audience:
    """A new saved audience; Conflict where its key is taken."""
    made = parse_audience(value, audiences(conn, storefront_id))
    add_audience(conn, storefront_id, made, now)
    _audit(conn, storefront_id, actor, "create", f"audience:{made.key}", _audience_facts(made), now)
    bump_revision(conn)
    return made


def replace_audience(
    conn: Connection, storefront_id: StorefrontId, key: str, value: object, actor: str, now: Micros
) -> Audience:
    """The same audience, meaning others; NotFound where there is none.

    A list is data about units, and may change at any time. A condition is part of the definitions that name it:
    Conflict while one of those is live.
    """
    known = audiences(conn, storefront_id)
    if key not in known:
        raise NotFound(f"There is no audience {key!r}")
    changed = parse_audience(value, known)
    if changed.key != key:
        raise Invalid.at("key", worded("cannot change from %(key)s: experiments name it", key=repr(key)))
    if not (changed.is_list and known[key].is_list):
        users = _live_users(conn, storefront_id, key, known)
        if users:
            raise Conflict(
                "audience_in_use",
                worded(
                    "%(key)s decides who is in %(experiments)s: stop those first",
                    key=repr(key),
                    experiments=", ".join(users),
                ),
            )
    put_audience(conn, storefront_id, changed, now)
    _audit(conn, storefront_id, actor, "edit", f"audience:{key}", _audience_facts(changed), now)
    bump_revision(conn)
    return changed


def _live_users(conn: Connection, storefront_id: StorefrontId, key: str, known: dict[str, Audience]) -> list[str]:
    meant = {key}
    for _ in known:  # audiences may name audiences: as many rounds as there are reach them all
        meant |= {other.key for other in known.values() if named_audiences(other.group.get("condition")) & meant}
    live = (e for e in experiments(conn, storefront_id) if e.state in HOLDING)
    return [repr(e.key) for e in live if named_audiences(e.definition.targeting) & meant]


def _audience_facts(audience: Audience) -> dict[str, Any]:
    if audience.is_list:  # not its members: they may be many, and people's ids do not belong into a trail
        return {"type": "list", "values": len(audience.group["values"])}
    return audience.group


def store_products(
    conn: Connection, storefront_id: StorefrontId, products: Sequence[Product], now: Micros
) -> tuple[int, int]:
    """How many products were new or changed, and how many were the same already."""
    changed, same = put_products(conn, storefront_id, products, now)
    if changed:
        touch_products(conn, storefront_id, now)
        bump_revision(conn)
    return changed, same


def _audit(
    conn: Connection, storefront_id: StorefrontId, actor: str, action: str, subject: str, then: object, now: Micros
) -> None:
    write_audit(conn, storefront_id, AuditEntry(now, actor, action, subject, None, then))
