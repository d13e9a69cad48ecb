"""Storefronts' keys, kept only as digests."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sqlalchemy import Connection, insert, select, update

from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import api_key

KeyKind = Literal["public", "secret", "admin"]
PREFIX: dict[KeyKind, str] = {"public": "pk_", "secret": "sk_", "admin": "ak_"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the store knows it: never the key itself, only its digest and its last letters."""

    id: int
    storefront_id: StorefrontId
    kind: KeyKind
    digest: str
    hint: str
    created_at: Micros


@lru_cache(maxsize=1024)  # the same few keys come with every request
def digest(key: str) -> str:
    """What is stored of a key; a plain SHA-256 is enough for 192 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def add_key(conn: Connection, storefront_id: StorefrontId, kind: KeyKind, random: str, now: Micros) -> str:
    """The new key itself, to be shown once; `random` is at least 32 URL-safe random characters."""
    key = PREFIX[kind] + random
    values = {"kind": kind, "digest": digest(key), "hint": key[-4:]}
    conn.execute(insert(api_key).values(storefront_id=storefront_id, **values, created_at=now))
    return key


def live_keys(conn: Connection) -> list[ApiKey]:
    """Every key that is not revoked, of all storefronts."""
    rows = conn.execute(select(api_key).where(api_key.c.revoked_at.is_(None)).order_by(api_key.c.id))
    return [ApiKey(r.id, StorefrontId(r.storefront_id), r.kind, r.digest, r.hint, Micros(r.created_at)) for r in rows]


def revoke_key(conn: Connection, storefront_id: StorefrontId, key_id: int, now: Micros) -> bool:
    """Whether there was such a live key; it opens nothing from now on."""
    which = (api_key.c.id == key_id, api_key.c.storefront_id == storefront_id, api_key.c.revoked_at.is_(None))
    return conn.execute(update(api_key).where(*which).values(revoked_at=now)).rowcount == 1
