"""Setting up: storefronts, keys, people, placements, products."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from experiments.catalogue import Product
from experiments.errors import FieldError, Invalid
from experiments.identifiers import StorefrontId, check_key
from experiments.moment import Micros
from experiments.money import exponent
from experiments.storage.keys import KeyKind, add_key, revoke_key
from experiments.storage.products import put_products
from experiments.storage.registry import AuditEntry, write_audit
from experiments.storage.storefronts import (
    TOUCHPOINTS,
    Placement,
    Storefront,
    add_placement,
    add_storefront,
    bump_revision,
    touch_products,
)


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
    errors += [
        FieldError("origin", f"{o!r} is no origin; write https://shop.example") for o in origins if not _origin(o)
    ]
    if errors:
        raise Invalid(errors)
    storefront = add_storefront(conn, key, name or key, currency, timezone, tuple(origins), now)
    bump_revision(conn)
    return storefront


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
        raise Invalid.at("key", "is not a live key of this storefront")
    _audit(conn, storefront_id, actor, "revoke", f"key:{key_id}", None, now)
    bump_revision(conn)


def create_placement(
    conn: Connection, storefront_id: StorefrontId, key: str, name: str, touchpoint: str | None, now: Micros, actor: str
) -> Placement:
    """A new slot of the storefront."""
    if touchpoint is not None and touchpoint not in TOUCHPOINTS:
        raise Invalid.at("touchpoint", f"must be one of {', '.join(TOUCHPOINTS)}, and is {touchpoint!r}")
    placement = Placement(key, name or key, touchpoint)
    add_placement(conn, storefront_id, placement, now)
    _audit(conn, storefront_id, actor, "create", f"placement:{key}", {"name": name, "touchpoint": touchpoint}, now)
    bump_revision(conn)
    return placement


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
