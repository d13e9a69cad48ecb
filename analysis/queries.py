"""What the report reads from the store: counts of who entered, and the events of those who did something.

Units that did nothing add to n alone, so the sums are driven by the few that did something. Each event is read once;
every metric, day, segment and other reading is then summed from the same columns.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    and_,
    any_,
    case,
    cast,
    distinct,
    func,
    or_,
    select,
)

from analysis.entries import by_day
from analysis.ledger import KINDS, Ints
from experiments.moment import DAY, Micros
from experiments.storage.identities import Identities, Resolved, has_links
from experiments.storage.tables import (
    alert,
    audit,
    conversion,
    crossover,
    exposure,
    ineligible,
    offer_view,
    order_line,
    storefront,
    visitor_customer,
)

HISTORY_DAYS = 365
"""How long before its entry what a unit did says whether it is a returning one."""
MOST_VIEWS = 20
_CHUNK = 50_000
_FETCHED = 500
"""Rows held as rows at once: many more set off the garbage collector, which then goes through all that lives."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events belong to a report: the experiment, its unit, the window after exposure, and until when.

    `names` are the conversions counted by a name of the shop's own; `entered_since` leaves out who came before, and
    `history` says how long before the first entry events are read.
    """

    storefront_id: int
    experiment_id: int
    experiment: str
    unit: str
    window: int
    until: Micros
    money_places: int
    names: tuple[str, ...] = ()
    entered_since: int = 0
    history: int = HISTORY_DAYS * DAY


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Who entered, by day of entry and variant (days, variants), and who of them saw the offer.

    `strays` were exposed to variants that the definition does not have.
    """

    variants: tuple[str, ...]
    first_day: int
    entered: Ints
    viewed: Ints
    strays: int
    crossovers: Mapping[str, int]
    first_at: Micros | None
    last_at: Micros | None

    @property
    def units(self) -> dict[str, int]:
        """Units by variant."""
        return dict(zip(self.variants, map(int, self.entered.sum(axis=0)), strict=True))


def count(conn: Connection, scope: Scope, variants: Sequence[str]) -> Counts:
    """Units by day and variant, from the exposures alone."""
    e, v = exposure, exposure.alias("v")
    mine = and_(e.c.experiment_id == scope.experiment_id, e.c.kind == "assigned", e.c.at <= scope.until)
    place = {variant: i for i, variant in enumerate(variants)}
    rows, first_at, last_at = by_day(conn, mine, place, scope.until)
    entry = and_(e.c.experiment_id == v.c.experiment_id, e.c.kind == "assigned", e.c.unit_id == v.c.unit_id)
    watched = and_(v.c.experiment_id == scope.experiment_id, v.c.kind == "viewed", v.c.at <= scope.until)
    query = select(e.c.day, e.c.variant, func.count()).select_from(v.join(e, entry))
    seen = conn.execute(query.where(watched, e.c.at <= scope.until).group_by(e.c.day, e.c.variant)).all()
    first_day = min((day for day, _, _ in rows), default=0)
    days = max((day for day, _, _ in rows), default=0) - first_day + 1
    entered, viewed = np.zeros((2, days, len(variants)), dtype=np.int64)
    for day, at, units in rows:
        if at < len(variants):
            entered[day - first_day, at] += units
    for day, variant, units in seen:
        if variant in place:
            viewed[int(day) - first_day, place[variant]] += int(units)
    identities = identities_of(conn, scope)
    for (kind, variant, day), followers in identities.followers(conn).items() if identities else ():
        if variant in place:  # a customer's second visitor is no unit of its own
            (entered if kind == "assigned" else viewed)[day - first_day, place[variant]] -= followers
    return Counts(
        variants=tuple(variants),
        first_day=first_day,
        entered=entered,
        viewed=viewed,
        strays=sum(units for _, at, units in rows if at == len(variants)),
        crossovers={row.variant: row.units for row in conn.execute(_crossovers(scope, identities))},
        first_at=first_at,
        last_at=last_at,
    )


def identities_of(conn: Connection, scope: Scope) -> Identities | None:
    """How links resolve; None where there are none, as then nothing needs to be resolved."""
    if not has_links(conn, scope.storefront_id):
        return None
    return Identities(scope.storefront_id, scope.experiment_id, scope.unit, scope.until)


def _crossed(scope: Scope, identities: Identities | None) -> tuple[Any, ColumnElement[bool]]:
    """Units that met two variants, and the condition that ties them to their entry."""
    met = select(crossover.c.unit_id).where(
        crossover.c.experiment_id == scope.experiment_id, crossover.c.at <= scope.until
    )
    linked = identities is not None and scope.unit == "visitor"
    units = (identities.crossed(met) if identities and linked else met).cte("crossed")
    mine = and_(
        exposure.c.experiment_id == scope.experiment_id,
        exposure.c.kind == "assigned",
        exposure.c.unit_id == units.c.unit_id,
    )
    return units, mine


def _crossovers(scope: Scope, identities: Identities | None) -> Select[Any]:
    units, mine = _crossed(scope, identities)
    number = func.count(distinct(units.c.unit_id)).label("units")
    return select(exposure.c.variant, number).select_from(units.join(exposure, mine)).group_by(exposure.c.variant)


def crossed(conn: Connection, scope: Scope) -> list[tuple[str, str, int]]:
    """The units that met two variants: id, variant met first, day of entry."""
    identities = identities_of(conn, scope)
    any_crossover = select(crossover.c.unit_id).where(crossover.c.experiment_id == scope.experiment_id).limit(1)
    if identities is None and conn.execute(any_crossover).first() is None:
        return []
    units, mine = _crossed(scope, identities)
    query = select(exposure.c.unit_id, exposure.c.variant, exposure.c.day).select_from(units.join(exposure, mine))
    return [(unit, variant, int(day)) for unit, variant, day in conn.execute(query.distinct())]


def _met(conn: Connection, scope: Scope, c: Any) -> Resolved:
    """The conversions with the unit each belongs to."""
    identities = identities_of(conn, scope)
    if identities is not None:
        return identities.resolved(c)
    e = exposure.alias("e")
    unit = c.c.visitor_id if scope.unit == "visitor" else c.c.customer_id
    joined = and_(e.c.experiment_id == scope.experiment_id, e.c.kind == "assigned", e.c.unit_id == unit)
    return Resolved(c.join(e, joined), e.c.unit_id, e.c.variant, e.c.at, e.c.day)


def _counts(scope: Scope, c: Any, met: Resolved, since: Micros) -> list[ColumnElement[bool]]:
    """Which conversions are read: of units that entered, from a year before the first entry until now."""
    return [
        c.c.storefront_id == scope.storefront_id,
        c.c.at <= scope.until,
        c.c.at >= since - scope.history,
        met.at <= scope.until,
        met.at >= scope.entered_since,
        or_(c.c.cancelled_at.is_(None), c.c.cancelled_at > scope.until),
    ]


EVENT = (
    "unit_id", "variant", "entered_at", "entered_day", "viewed", "type", "at", "day", "order_at", "order_id", "revenue",
    "cost", "discount", "refunded", "item_count", "offer_id",
)  # fmt: skip
"""The columns of `events`, in this order."""


def events(conn: Connection, scope: Scope, since: Micros) -> dict[str, list[Any]]:
    """What the units did, as columns; a refund without its order is none of theirs yet."""
    c, v = conversion.alias("c"), exposure.alias("v")
    met = _met(conn, scope, c)
    seen = and_(v.c.experiment_id == scope.experiment_id, v.c.kind == "viewed", v.c.unit_id == met.unit)
    ours = or_(c.c.experiment.is_(None), c.c.experiment == scope.experiment)
    query = (
        select(
            met.unit, met.variant, met.at, met.day, case((v.c.at <= scope.until, 1), else_=0), c.c.type, c.c.at,
            c.c.day, c.c.order_at, c.c.order_id, c.c.revenue, c.c.cost, c.c.discount, c.c.refunded, c.c.item_count,
            c.c.offer_id,
        )
        .select_from(met.source.outerjoin(v, seen))
        .where(
            *_counts(scope, c, met, since),
            c.c.type.in_((*KINDS, *scope.names)),
            or_(c.c.type.in_(("order", "refund")), ours),
        )
    )  # fmt: skip
    return _columns(conn, query, EVENT)


LINE = ("order_id", "product_id", "quantity", "price", "cost", "offer")
"""The columns of `lines`, in this order."""


def lines(conn: Connection, scope: Scope, orders: Sequence[str]) -> dict[str, list[Any]]:
    """The lines of these orders, as columns; none where the storefront sends none."""
    found: dict[str, list[Any]] = {name: [] for name in LINE}
    line = order_line.c
    any_line = select(line.order_id).where(line.storefront_id == scope.storefront_id).limit(1)
    if conn.execute(any_line).first() is None:
        return found
    query = select(line.order_id, line.product_id, line.quantity, line.price, line.cost, line.offer)
    for start in range(0, len(orders), _CHUNK):
        some = _among(conn, line.order_id, orders[start : start + _CHUNK])
        for name, column in _columns(conn, query.where(line.storefront_id == scope.storefront_id, some), LINE).items():
            found[name] += column
    return found


def texts(conn: Connection, values: Sequence[str]) -> Select[str]:
    """Texts as rows, given as one parameter: a driver spends long on an array, and on thousands of them longer."""
    if conn.dialect.name == "postgresql":
        return select(func.json_array_elements_text(cast(list(values), JSON)))
    return select(func.json_each(json.dumps(list(values))).table_valued("value").c.value)


def _among(conn: Connection, column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column with an index is one of many values."""
    if conn.dialect.name == "postgresql":  # as an array: it counts rows of JSON as a hundred, and reads the whole table
        return column == any_(func.array(texts(conn, values).scalar_subquery()))
    return column.in_(texts(conn, values))


def _columns(conn: Connection, query: Select[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """The rows of a query turned into columns, chunk by chunk; as the driver gives them, who needs no Row of each."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    with conn.execute(query) as result:
        while rows := result.cursor.fetchmany(_FETCHED):
            for name, column in zip(names, zip(*rows, strict=True), strict=True):
                found[name] += column
    return found


def doses(conn: Connection, scope: Scope) -> list[tuple[str, str, int]]:
    """Units with how often they met offers since they entered: id, variant, views; empty where nobody counts views."""
    counted = select(offer_view.c.visitor_id).where(offer_view.c.storefront_id == scope.storefront_id).limit(1)
    if scope.unit != "visitor" or conn.execute(counted).first() is None:
        return []
    e, v = exposure, offer_view
    mine = and_(e.c.experiment_id == scope.experiment_id, e.c.kind == "assigned", e.c.unit_id == v.c.visitor_id)
    query = (
        select(e.c.unit_id, e.c.variant, func.sum(v.c.views))
        .select_from(v.join(e, mine))
        .where(v.c.storefront_id == scope.storefront_id, v.c.day >= e.c.day, e.c.at <= scope.until)
        .group_by(e.c.unit_id, e.c.variant)
    )
    return [(unit, variant, min(int(views), MOST_VIEWS)) for unit, variant, views in conn.execute(query)]


def data_mark(conn: Connection, storefront_id: int, experiment_id: int, since: Micros) -> tuple[Any, ...]:
    """A value that changes with everything that a report could read: far cheaper than the report.

    Counts and sums of what is only ever added to or marked: rows, versions of orders, cancellations, units found later.
    """
    e, c = exposure.c, conversion.c
    entered = select(func.count(), func.max(e.received_at)).where(e.experiment_id == experiment_id)
    told = select(
        func.count(), func.max(c.id), func.sum(c.version), func.count(c.cancelled_at), func.count(c.order_at),
        func.count(c.visitor_id), func.count(c.customer_id),
    ).where(c.storefront_id == storefront_id, c.at >= since - HISTORY_DAYS * DAY)  # fmt: skip
    others = [
        select(func.count()).where(crossover.c.experiment_id == experiment_id),
        select(func.count()).where(ineligible.c.experiment_id == experiment_id),
        select(func.count()).where(visitor_customer.c.storefront_id == storefront_id),
        select(func.max(audit.c.id)).where(audit.c.storefront_id == storefront_id),
        select(func.max(alert.c.id)).where(alert.c.experiment_id == experiment_id),
        select(storefront.c.products_at, storefront.c.return_days).where(storefront.c.id == storefront_id),
    ]
    return tuple(tuple(conn.execute(query).one()) for query in (entered, told, *others))
