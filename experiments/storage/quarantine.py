"""Quarantine: events that were refused, as they came, until somebody has seen to them. Bounded by number and by age."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from experiments.identifiers import StorefrontId
from experiments.moment import DAY, Micros
from experiments.storage.tables import quarantine

LARGEST_BODY = 65_536
"""Bytes that are kept of one event; a longer one is cut off, and cannot be replayed."""
MOST_ROWS = 10_000
"""Different events kept for one storefront; the oldest go first."""
LONGEST_STAY = 30 * DAY
"""After which an event that has not come again is dropped."""
_LONGEST_MESSAGE = 1000
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """An event as it came, the intake that refused it, and why."""

    source: str
    body: bytes
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Held:
    """A refused event in quarantine; `count` is how often it came, `whole` whether all of it is kept."""

    id: int
    source: str
    code: str
    message: str
    body: bytes
    whole: bool
    count: int
    received_at: Micros
    last_at: Micros


def append_refused(
    conn: Connection, storefront_id: StorefrontId, rows: Sequence[Refused], received_at: Micros
) -> Sequence[None]:
    """Keep refused events; one that is there already is counted, with its latest reason."""
    by_digest: dict[str, tuple[Refused, int]] = {}
    for row in rows:
        digest = hashlib.blake2b(row.source.encode() + b"\0" + row.body, digest_size=16).hexdigest()
        by_digest[digest] = (row, by_digest.get(digest, (row, 0))[1] + 1)
    values = [
        {
            "storefront_id": storefront_id, "digest": digest, "source": row.source, "code": row.code,
            "message": _text(row.message), "body": row.body[:LARGEST_BODY], "size": len(row.body), "count": count,
            "received_at": received_at, "last_at": received_at,
        }
        for digest, (row, count) in sorted(by_digest.items())[-MOST_ROWS:]
    ]  # fmt: skip
    statement = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(quarantine)
    news = {name: statement.excluded[name] for name in ("code", "message", "last_at")}
    again = {"count": quarantine.c.count + statement.excluded["count"], **news}
    keys = [quarantine.c.storefront_id, quarantine.c.digest]
    conn.execute(statement.on_conflict_do_update(index_elements=keys, set_=again), values)
    _trim(conn, storefront_id, received_at)
    return [None] * len(rows)


def _text(message: str) -> str:
    """What a database can keep of a message that may quote anything."""
    return message[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _trim(conn: Connection, storefront_id: StorefrontId, now: Micros) -> None:
    mine = quarantine.c.storefront_id == storefront_id
    oldest_kept = select(quarantine.c.id).where(mine).order_by(quarantine.c.id.desc()).offset(MOST_ROWS).limit(1)
    conn.execute(delete(quarantine).where(mine, quarantine.c.id <= oldest_kept.scalar_subquery()))
    conn.execute(delete(quarantine).where(mine, quarantine.c.last_at < now - LONGEST_STAY))


def held(conn: Connection, storefront_id: StorefrontId, ids: Sequence[int] | None = None) -> Iterator[Held]:
    """What is in quarantine, the oldest first: all of it, or these."""
    after = 0
    while True:
        query = select(quarantine).where(quarantine.c.storefront_id == storefront_id, quarantine.c.id > after)
        if ids is not None:
            query = query.where(quarantine.c.id.in_(ids))
        rows = conn.execute(query.order_by(quarantine.c.id).limit(_BATCH)).all()
        yield from map(_held, rows)
        if len(rows) < _BATCH:
            return
        after = rows[-1].id


def _held(r: Row[Any]) -> Held:
    times = r._mapping["count"]  # the row's own `count` is a tuple's
    whole = r.size == len(r.body)
    return Held(r.id, r.source, r.code, r.message, bytes(r.body), whole, times, r.received_at, r.last_at)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an intake refused: how many different events, how often they came, when last."""

    source: str
    code: str
    events: int
    times: int
    last_at: Micros


def reasons(conn: Connection, storefront_id: StorefrontId) -> list[Reason]:
    """What is in quarantine by intake and code, the commonest first."""
    c = quarantine.c
    times = func.sum(c.count)
    query = (
        select(c.source, c.code, func.count(), times, func.max(c.last_at))
        .where(c.storefront_id == storefront_id)
        .group_by(c.source, c.code)
        .order_by(times.desc(), c.source, c.code)
    )
    return [
        Reason(source, code, int(events), int(total), Micros(int(last_at)))
        for source, code, events, total, last_at in conn.execute(query)
    ]


def latest(
    conn: Connection, storefront_id: StorefrontId, only: tuple[str, str] | None, offset: int, limit: int
) -> list[Held]:
    """What came last, the newest first: of all, or of one intake and code."""
    c = quarantine.c
    query = select(quarantine).where(c.storefront_id == storefront_id)
    if only is not None:
        query = query.where(c.source == only[0], c.code == only[1])
    query = query.order_by(c.last_at.desc(), c.id.desc()).offset(offset).limit(limit)
    return [_held(row) for row in conn.execute(query)]


def ids_of(conn: Connection, storefront_id: StorefrontId, source: str, code: str, limit: int) -> list[int]:
    """The events of one intake and code, the oldest first."""
    c = quarantine.c
    which = (c.storefront_id == storefront_id, c.source == source, c.code == code)
    return list(conn.scalars(select(c.id).where(*which).order_by(c.id).limit(limit)))


def drop(conn: Connection, storefront_id: StorefrontId, ids: Sequence[int] | None = None) -> int:
    """Let events go, all or these; how many there were."""
    gone = 0
    if ids is None:
        return conn.execute(delete(quarantine).where(quarantine.c.storefront_id == storefront_id)).rowcount
    for start in range(0, len(ids), _BATCH):
        some = quarantine.c.id.in_(ids[start : start + _BATCH])
        gone += conn.execute(delete(quarantine).where(quarantine.c.storefront_id == storefront_id, some)).rowcount
    return gone
