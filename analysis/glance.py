"""A glance at all that measures in a storefront: a few queries for all of it, whether anybody comes and what is new.

What a report would say changes only with what its experiment's mark is made of; who has the same mark as at the last
close look needs none. Silence grows by itself, and is read from the same rows.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from analysis.queries import HISTORY_DAYS
from experiments.alerts import QUIET, Arrivals, open_from, silent, unheard
from experiments.moment import DAY, Micros, day_number
from experiments.service.alerting import Seen
from experiments.storage.registry import Experiment
from experiments.storage.storefronts import Storefront, placements
from experiments.storage.tables import audit, conversion, crossover, exposure, ineligible, storefront, visitor_customer

ROWS_A_SECOND = 100_000
"""Of the events that a glance reads, so many buy a second until the next one: it takes some twentieth of the time."""
OPENS = ("start", "resume", "reopen")


@dataclass(frozen=True, slots=True)
class Glance:
    """What holds of one experiment without a report, and the mark of all that its report would be made of."""

    mark: str
    seen: Seen
    units: int


@dataclass(frozen=True, slots=True)
class _Trail:
    """The newest change of one subject, and when somebody last let units in again by it."""

    newest: int
    at: Micros
    opened_at: Micros | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a storefront's conversions since a moment come to: whatever changes of them changes `sums`."""

    sums: tuple[Any, ...] = ()
    rows: int = 0
    newest_at: Micros | None = None


def glance(
    conn: Connection, here: Storefront, measuring: Sequence[Experiment], now: Micros
) -> tuple[dict[int, Glance], int]:
    """Each of these experiments at a glance, and how many rows of events that took."""
    ids = [e.id for e in measuring]
    came, entered, rows = _exposures(conn, ids)
    counts = [_counts(conn, table, ids) for table in (crossover, ineligible)]
    told = _conversions(conn, here, min(e.started_at or e.created_at for e in measuring))
    trail, shop = _trail(conn, here), _of_storefront(conn, here)
    closed = {placement.key for placement in placements(conn, here.id) if placement.paused}
    general = max((t.newest for subject, t in trail.items() if not subject.startswith("experiment:")), default=0)
    found: dict[int, Glance] = {}
    for e in measuring:
        own = trail.get(f"experiment:{e.key}")
        data = (entered.get(e.id), [each.get(e.id) for each in counts], told.sums, shop, general, own and own.newest)
        of = (e.version, e.state, day_number(now, here.zone), data)
        mark = hashlib.sha256(repr(of).encode()).hexdigest()[:32]
        arrived = came.get(e.id, Arrivals())
        found[e.id] = Glance(mark, _silence(arrived, told, _open_since(e, trail, closed, now), now), arrived.units)
    return found, rows + told.rows


def rest_after(rows: int) -> Micros:
    """How long after a glance that read so many rows the next one waits."""
    return Micros(rows * 1_000_000 // ROWS_A_SECOND)


def _exposures(
    conn: Connection, ids: Collection[int]
) -> tuple[dict[int, Arrivals], dict[int, list[tuple[Any, ...]]], int]:
    e, count = exposure.c, func.count()
    query = select(e.experiment_id, e.kind, count, func.min(e.at), func.max(e.received_at))
    came: dict[int, Arrivals] = {}
    entered: dict[int, list[tuple[Any, ...]]] = {}
    rows = 0
    grouped = query.where(e.experiment_id.in_(ids)).group_by(e.experiment_id, e.kind)
    for number, kind, units, first, last in conn.execute(grouped.order_by(e.experiment_id, e.kind)):
        rows += units
        entered.setdefault(number, []).append((kind, units, last))
        if kind == "assigned":
            came[number] = Arrivals(units, first, last)
    return came, entered, rows


def _counts(conn: Connection, table: Any, ids: Collection[int]) -> Mapping[int, int]:
    of = table.c.experiment_id
    query = select(of, func.count()).where(of.in_(ids)).group_by(of)
    return {row[0]: row[1] for row in conn.execute(query)}


def _conversions(conn: Connection, here: Storefront, since: Micros) -> _Told:
    """Counts and sums of what is only ever added to or marked, as `queries.data_mark` has them."""
    c = conversion.c
    query = select(
        func.count(), func.max(c.at), func.max(c.id), func.sum(c.version), func.count(c.cancelled_at),
        func.count(c.order_at), func.count(c.visitor_id), func.count(c.customer_id),
    ).where(c.storefront_id == here.id, c.at >= since - HISTORY_DAYS * DAY)  # fmt: skip
    row = tuple(conn.execute(query).one())
    return _Told(tuple(None if part is None else int(part) for part in row), row[0], row[1])


def _trail(conn: Connection, here: Storefront) -> Mapping[str, _Trail]:
    """By subject; who signs in changes nothing that is watched."""
    a = audit.c
    opened = func.max(case((a.action.in_(OPENS), a.at)))
    query = select(a.subject, func.max(a.id), func.max(a.at), opened)
    mine = query.where(a.storefront_id == here.id, a.subject.not_like("person:%")).group_by(a.subject)
    return {row[0]: _Trail(row[1], row[2], row[3]) for row in conn.execute(mine)}


def _of_storefront(conn: Connection, here: Storefront) -> tuple[Any, ...]:
    links = select(func.count()).where(visitor_customer.c.storefront_id == here.id).scalar_subquery()
    query = select(storefront.c.products_at, storefront.c.return_days, links).where(storefront.c.id == here.id)
    return tuple(conn.execute(query).one())


def _open_since(e: Experiment, trail: Mapping[str, _Trail], closed: Collection[str], now: Micros) -> Micros | None:
    """Since when new units could come; None where they cannot: it lets nobody in, or its placement is switched off."""
    slot = e.definition.placement
    begun = None if e.started_at is None else open_from(e.definition, e.started_at)
    if e.state != "running" or begun is None or begun > now or slot in closed:
        return None
    own, of_slot = trail.get(f"experiment:{e.key}"), trail.get(f"placement:{slot}")
    return Micros(max(begun, (own and own.opened_at) or begun, of_slot.at if of_slot else begun))


def _silence(came: Arrivals, told: _Told, since: Micros | None, now: Micros) -> Seen:
    """Whether units come at all, where they can, and whether anything is heard of what they do."""
    heard_of = came.first_at is None or (told.newest_at is not None and told.newest_at >= came.first_at)
    found = [unheard(came, heard_of, now)]
    if since is not None:
        found.append(silent(came, since, now))
    heard = came.last_at is not None and now - came.last_at < QUIET
    return Seen([condition for condition in found if condition is not None], ["no_exposures"] if heard else [])
