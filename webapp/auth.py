"""Who calls: a storefront's key, in any of the places that real clients put it."""

import base64
import binascii
from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from experiments.errors import Forbidden
from experiments.moment import Micros
from experiments.service.snapshot import Snapshot, Snapshots, StorefrontView
from experiments.storage.keys import KeyKind, digest
from webapp.errors import Unauthorized


class Headers(Protocol):
    """A request's headers, whatever server read them: names in any case."""

    def get(self, key: str, /) -> str | None:
        """The header's value, or None."""
        ...


class Access(msgspec.Struct, frozen=True):
    """What a key opens: one storefront, as public, secret or admin."""

    view: StorefrontView
    kind: KeyKind
    actor: str


def access(snapshots: Snapshots, headers: Headers, now: Micros, query: str = "") -> Access:
    """What the caller's key opens; Unauthorized without a known key, Forbidden from an origin not the shop's.

    A beacon can carry no header, so a public key, which is no secret, may also be the query's `key`.
    """
    key, in_address = _key(headers), False
    if not key and query:
        key, in_address = _query_key(query), True
    if not key:
        raise Unauthorized("A key is needed: Authorization: Bearer KEY, or X-API-Key: KEY")
    caller = open_with(snapshots, key, headers, now)
    if in_address and caller.kind != "public":
        raise Forbidden("A secret or admin key must not stand in an address: send it as a header")
    return caller


def open_with(snapshots: Snapshots, key: str, headers: Headers, now: Micros) -> Access:
    """What this key opens, wherever it stood; the errors are those of `access`.

    A key that is not known may be new: the store is asked once more before it is refused.
    """
    caller = _opened(snapshots.current(now), key) or _opened(snapshots.refresh(now), key)
    if caller is None:
        raise Unauthorized("This key is not known here")
    check_origin(caller.view, caller.kind, headers.get("Origin"))
    return caller


def _opened(snapshot: Snapshot, key: str) -> Access | None:
    opened = snapshot.keys.get(digest(key))
    if opened is None:
        return None
    storefront_id, kind = opened
    return Access(snapshot.storefronts[storefront_id], kind, f"key …{key[-4:]}")


def require_admin(caller: Access) -> None:
    """Forbidden for keys that only assign and record."""
    if caller.kind != "admin":
        raise Forbidden("Managing takes an admin key (ak_…)")


def check_origin(view: StorefrontView, kind: KeyKind, origin: str | None) -> None:
    """Forbidden where a browser calls from a page that is not the storefront's, or with a key that must stay secret."""
    if origin is None:
        return
    if kind != "public":
        raise Forbidden("A secret or admin key must not be used in a browser: take the public key (pk_…)")
    allowed = view.storefront.origins
    if allowed and origin not in allowed:
        raise Forbidden(f"{origin} is not an origin of this storefront")


def _query_key(query: str) -> str:
    given = parse_qs(query)
    return next((given[name][0].strip() for name in ("key", "client_key") if name in given), "")


def _key(headers: Headers) -> str:
    if api_key := headers.get("X-API-Key"):
        return api_key.strip()
    scheme, _, credentials = (headers.get("Authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
