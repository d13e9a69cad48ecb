"""Storefronts and their placements, as rows."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, insert, select, update

from experiments.errors import Conflict, NotFound
from experiments.identifiers import StorefrontId
from experiments.moment import Micros
from experiments.reviews import ReviewRule
from experiments.signals import Policy
from experiments.storage.tables import placement, revision, storefront
from experiments.touchpoints import TOUCHPOINTS
from experiments.wording import worded


@dataclass(frozen=True, slots=True)
class Storefront:
    """A tenant: its currency, its time zone, the origins its pages are served from, who is served."""

    id: StorefrontId
    key: str
    name: str
    currency: str
    zone: ZoneInfo
    origins: tuple[str, ...]
    products_at: Micros
    policy: Policy = field(default_factory=Policy)
    review: ReviewRule = field(default_factory=ReviewRule)


@dataclass(frozen=True, slots=True)
class Placement:
    """A named slot of a storefront; `touchpoint` None where nobody has said yet where it is."""

    key: str
    name: str
    touchpoint: str | None
    paused: bool = False
    """The kill switch: everyone sees no offer here."""


def add_storefront(
    conn: Connection, key: str, name: str, currency: str, timezone: str, origins: tuple[str, ...], now: Micros
) -> Storefront:
    """A new storefront with a placement for each touchpoint; Conflict where the key is taken."""
    if conn.execute(select(storefront.c.id).where(storefront.c.key == key)).first():
        raise Conflict("key_taken", f"There is a storefront {key!r} already")
    values = {"key": key, "name": name, "currency": currency, "timezone": timezone, "origins": list(origins)}
    seed = f"holdout/{key}"
    conn.execute(insert(storefront).values(**values, products_at=now, created_at=now, holdout_seed=seed))
    added = get_storefront(conn, key)
    for touchpoint in TOUCHPOINTS:
        add_placement(conn, added.id, Placement(touchpoint, touchpoint.replace("_", " ").capitalize(), touchpoint), now)
    return added


def get_storefront(conn: Connection, key: str) -> Storefront:
    """The storefront of that key; NotFound where there is none."""
    row = conn.execute(select(storefront).where(storefront.c.key == key)).first()
    if row is None:
        raise NotFound(f"There is no storefront {key!r}")
    return _storefront(row)


def all_storefronts(conn: Connection) -> list[Storefront]:
    """Every storefront, by key."""
    return [_storefront(row) for row in conn.execute(select(storefront).order_by(storefront.c.key))]


def _storefront(row: Row[tuple[object, ...]]) -> Storefront:
    return Storefront(
        id=StorefrontId(row.id),
        key=row.key,
        name=row.name,
        currency=row.currency,
        zone=ZoneInfo(row.timezone),
        origins=tuple(row.origins),
        products_at=row.products_at,
        policy=Policy(row.bots, row.consent, bool(row.honours_gpc), row.holdout, row.holdout_seed),
        review=ReviewRule(bool(row.review_required), tuple(row.reviewers)),
    )


def change_storefront(conn: Connection, storefront_id: StorefrontId, **values: object) -> None:
    """Other settings for a storefront, by the names of the columns."""
    conn.execute(update(storefront).where(storefront.c.id == storefront_id).values(**values))


def touch_products(conn: Connection, storefront_id: StorefrontId, now: Micros) -> None:
    """Note that the catalogue has changed."""
    conn.execute(update(storefront).where(storefront.c.id == storefront_id).values(products_at=now))


def add_placement(conn: Connection, storefront_id: StorefrontId, new: Placement, now: Micros) -> None:
    """A new placement; Conflict where its key is taken."""
    if any(existing.key == new.key for existing in placements(conn, storefront_id)):
        raise Conflict("key_taken", worded("There is a placement %(key)s already", key=repr(new.key)))
    values = {"key": new.key, "name": new.name, "touchpoint": new.touchpoint}
    conn.execute(insert(placement).values(storefront_id=storefront_id, **values, created_at=now))


def placements(conn: Connection, storefront_id: StorefrontId) -> list[Placement]:
    """The placements of a storefront, in the order they were made."""
    query = select(placement).where(placement.c.storefront_id == storefront_id).order_by(placement.c.id)
    return [Placement(row.key, row.name, row.touchpoint, bool(row.paused)) for row in conn.execute(query)]


def get_placement(conn: Connection, storefront_id: StorefrontId, key: str) -> Placement:
    """The placement of that key; NotFound where the storefront has none."""
    found = next((p for p in placements(conn, storefront_id) if p.key == key), None)
    if found is None:
        raise NotFound(f"There is no placement {key!r}")
    return found


def change_placement(conn: Connection, storefront_id: StorefrontId, changed: Placement) -> None:
    """Another name or touchpoint for a placement, or its kill switch."""
    which = (placement.c.storefront_id == storefront_id, placement.c.key == changed.key)
    values = {"name": changed.name, "touchpoint": changed.touchpoint, "paused": changed.paused}
    conn.execute(update(placement).where(*which).values(**values))


def current_revision(conn: Connection) -> int:
    """The number of the last change that an assignment could notice."""
    number: int = conn.execute(select(revision.c.number)).scalar_one()
    return number


def bump_revision(conn: Connection) -> None:
    """Tell every process that something which assignments depend on has changed."""
    conn.execute(update(revision).values(number=revision.c.number + 1))
