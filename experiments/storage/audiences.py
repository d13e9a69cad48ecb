"""Saved audiences, as rows."""

from sqlalchemy import Connection, insert, select, update

from experiments.audiences import Audience
from experiments.errors import Conflict
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.storage.tables import audience
from experiments.wording import worded


def audiences(conn: Connection, storefront_id: StorefrontId) -> dict[str, Audience]:
    """The saved audiences of a storefront by key, in the order they were made."""
    query = select(audience).where(audience.c.storefront_id == storefront_id).order_by(audience.c.id)
    return {row.key: Audience(row.key, row.name, row.definition) for row in conn.execute(query)}


def add_audience(conn: Connection, storefront_id: StorefrontId, new: Audience, now: Micros) -> None:
    """A new audience; Conflict where its key is taken."""
    if new.key in audiences(conn, storefront_id):
        raise Conflict("key_taken", worded("There is an audience %(key)s already", key=repr(new.key)))
    values = {"key": new.key, "name": new.name, "definition": new.group, "updated_at": now}
    conn.execute(insert(audience).values(storefront_id=storefront_id, **values))


def replace_audience(conn: Connection, storefront_id: StorefrontId, changed: Audience, now: Micros) -> None:
    """The same audience, meaning others."""
    which = (audience.c.storefront_id == storefront_id, audience.c.key == changed.key)
    values = {"name": changed.name, "definition": changed.group, "updated_at": now}
    conn.execute(update(audience).where(*which).values(**values))
