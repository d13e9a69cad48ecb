"""Saved offers, as rows."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from experiments.errors import Conflict, NotFound
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.offers import Bundle, CrossSell, Upsell
from experiments.storage.tables import saved_offer
from experiments.wording import worded

SavedKind = Upsell | CrossSell | Bundle


@dataclass(frozen=True, slots=True)
class SavedOffer:
    """An offer of the storefront's library, which variants take by its key."""

    key: str
    name: str
    offer: SavedKind
    version: int
    created_at: Micros
    updated_at: Micros


def add_saved_offer(
    conn: Connection, storefront_id: StorefrontId, key: str, name: str, offer: SavedKind, now: Micros
) -> SavedOffer:
    """A new one; Conflict where its key is taken."""
    taken = (saved_offer.c.storefront_id == storefront_id, saved_offer.c.key == key)
    if conn.execute(select(saved_offer.c.id).where(*taken)).first():
        raise Conflict("key_taken", worded("There is a saved offer %(key)s already", key=repr(key)))
    values = {"key": key, "name": name or key, "definition": msgspec.to_builtins(offer), "version": 1}
    conn.execute(insert(saved_offer).values(storefront_id=storefront_id, **values, created_at=now, updated_at=now))
    return get_saved_offer(conn, storefront_id, key)


def get_saved_offer(conn: Connection, storefront_id: StorefrontId, key: str) -> SavedOffer:
    """The saved offer of that key; NotFound where the storefront has none."""
    mine = (saved_offer.c.storefront_id == storefront_id, saved_offer.c.key == key)
    row = conn.execute(select(saved_offer).where(*mine)).first()
    if row is None:
        raise NotFound(f"There is no saved offer {key!r}")
    return _saved(row)


def saved_offers(conn: Connection, storefront_id: StorefrontId) -> list[SavedOffer]:
    """Every saved offer of a storefront, by key."""
    query = select(saved_offer).where(saved_offer.c.storefront_id == storefront_id)
    return [_saved(row) for row in conn.execute(query.order_by(saved_offer.c.key))]


def put_saved_offer(
    conn: Connection, storefront_id: StorefrontId, before: SavedOffer, name: str, offer: SavedKind, now: Micros
) -> SavedOffer:
    """Its next version; Conflict where somebody else saved one since `before` was read."""
    mine = (
        saved_offer.c.storefront_id == storefront_id,
        saved_offer.c.key == before.key,
        saved_offer.c.version == before.version,
    )
    values = {"name": name, "definition": msgspec.to_builtins(offer), "version": before.version + 1, "updated_at": now}
    if conn.execute(update(saved_offer).where(*mine).values(**values)).rowcount != 1:
        raise Conflict(
            "edited_meanwhile", worded("Somebody else saved this offer meanwhile; look at their version first")
        )
    return get_saved_offer(conn, storefront_id, before.key)


def delete_saved_offer(conn: Connection, storefront_id: StorefrontId, key: str) -> None:
    """Not in the library any more; what took it holds it still."""
    conn.execute(delete(saved_offer).where(saved_offer.c.storefront_id == storefront_id, saved_offer.c.key == key))


def _saved(row: Row[tuple[object, ...]]) -> SavedOffer:
    offer = msgspec.convert(row.definition, SavedKind)
    return SavedOffer(row.key, row.name, offer, row.version, row.created_at, row.updated_at)
