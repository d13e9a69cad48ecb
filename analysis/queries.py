"""Sufficient statistics where the events live: one query for all metrics, in SQL that every engine shares.

Units that did nothing add to n alone, so the sums are driven by the few that did something. Numbers are cast to DOUBLE
before they are multiplied: integer products would overflow in some engines and turn Decimal in others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    Integer,
    and_,
    case,
    cast,
    distinct,
    func,
    literal,
    or_,
    select,
)

from analysis.moments import Moments
from experiments.metrics import MONEY_COLUMNS
from experiments.moment import DAY, Micros
from experiments.storage.identities import Identities, Resolved, has_links
from experiments.storage.tables import conversion, crossover, exposure, storefront

Cell = tuple[str, bool, bool]
"""A variant, whether the revenue of its units' orders is known, and whether their cost is."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events belong to a report: the experiment, its unit, the window after exposure, and until when."""

    storefront_id: int
    experiment_id: int
    experiment: str
    unit: str
    window: int
    until: Micros
    money_places: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted rather than summed: exposed and viewing units by variant, strays, crossovers by first variant."""

    units: Mapping[str, int]
    viewed: Mapping[str, int]
    strays: int
    crossovers: Mapping[str, int]
    first_at: Micros | None
    last_at: Micros | None


def count(conn: Connection, scope: Scope, variants: Sequence[str]) -> Counts:
    """Units by variant, from the exposures alone; those under another name than `variants` are `strays`.

    A conditional sum for each variant is one pass in the table's own order; grouping by variant would sort every row.
    """
    mine = and_(exposure.c.experiment_id == scope.experiment_id, exposure.c.at <= scope.until)
    each = [
        func.sum(case((exposure.c.variant == variant, 1), else_=0)).label(f"n_{i}")
        for i, variant in enumerate(variants)
    ]
    times = (func.min(exposure.c.at).label("first_at"), func.max(exposure.c.at).label("last_at"))
    query = select(exposure.c.kind, func.count().label("units"), *times, *each).where(mine).group_by(exposure.c.kind)
    rows = {row.kind: row._mapping for row in conn.execute(query)}
    by_kind = {kind: {variant: int(row[f"n_{i}"]) for i, variant in enumerate(variants)} for kind, row in rows.items()}
    assigned = rows.get("assigned")
    units = by_kind.get("assigned", dict.fromkeys(variants, 0))
    strays = int(assigned["units"]) - sum(units.values()) if assigned else 0
    identities = _identities(conn, scope)
    for (kind, variant), followers in identities.followers(conn).items() if identities else ():
        if variant in units:  # a customer's second visitor is no unit of its own
            by_kind[kind][variant] -= followers
    return Counts(
        units=units,
        viewed=by_kind.get("viewed", {}),
        strays=strays,
        crossovers=_crossovers(conn, scope, identities),
        first_at=assigned["first_at"] if assigned else None,
        last_at=assigned["last_at"] if assigned else None,
    )


def _identities(conn: Connection, scope: Scope) -> Identities | None:
    """How links resolve; None where there are none, as then nothing needs to be resolved."""
    if not has_links(conn, scope.storefront_id):
        return None
    return Identities(scope.storefront_id, scope.experiment_id, scope.unit, scope.until)


def _crossovers(conn: Connection, scope: Scope, identities: Identities | None) -> dict[str, int]:
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
    query = (
        select(exposure.c.variant, func.count(distinct(units.c.unit_id)).label("units"))
        .select_from(units.join(exposure, mine))
        .group_by(exposure.c.variant)
    )
    return {row.variant: row.units for row in conn.execute(query)}


@dataclass(frozen=True, slots=True)
class Maturity:
    """Orders that were counted, by variant, and those among them that are past the storefront's return window."""

    return_days: int
    orders: Mapping[str, int]
    matured: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As the report has it; the share is None while there are no orders."""
        orders, matured = sum(self.orders.values()), sum(self.matured.values())
        variants = [
            {"variant": variant, "orders": each, "matured": self.matured[variant]}
            for variant, each in self.orders.items()
        ]
        share = matured / orders if orders else None
        return {"return_days": self.return_days, "orders": orders, "matured": matured, "share": share} | {
            "variants": variants
        }


def cells(conn: Connection, scope: Scope, columns: Sequence[str], counts: Counts) -> dict[Cell, Moments]:
    """The Moments of `columns` for each cell; the units that did nothing are in the cell where all is known."""
    return cells_and_maturity(conn, scope, columns, counts)[0]


def cells_and_maturity(
    conn: Connection, scope: Scope, columns: Sequence[str], counts: Counts
) -> tuple[dict[Cell, Moments], Maturity]:
    """The cells, and how many of their orders can no longer come back; from one pass over the events."""
    return_days = conn.scalar(select(storefront.c.return_days).where(storefront.c.id == scope.storefront_id)) or 0
    orders, matured = dict.fromkeys(counts.units, 0), dict.fromkeys(counts.units, 0)
    names = tuple(sorted(columns))
    scales = {name: scope.money_places for name in names if name in MONEY_COLUMNS}
    found: dict[Cell, Moments] = {}
    active: dict[str, int] = {}
    watched: dict[str, int] = {}
    settled = scope.until - return_days * DAY
    for row in conn.execute(_sums(_units(scope, _identities(conn, scope), settled), names)):
        values = dict(row._mapping)
        if row.variant in orders:
            orders[row.variant] += _whole(row.ordered)
            matured[row.variant] += _whole(row.matured)
        sums = {name: _whole(values[f"s_{name}"]) for name in names}
        products = {(a, b): _whole(values[f"p_{a}__{b}"]) for a, b in pairs(names)}
        cell = (row.variant, not row.no_revenue, not row.no_cost)
        found[cell] = Moments.from_aggregates(int(row.units), sums, products, scales)
        active[row.variant] = active.get(row.variant, 0) + int(row.units)
        watched[row.variant] = watched.get(row.variant, 0) + int(row.viewing)
    for variant, units in counts.units.items():
        idle = units - active.get(variant, 0)
        viewing = counts.viewed.get(variant, 0) - watched.get(variant, 0)
        known = (variant, True, True)
        rest = _idle(names, idle, viewing, scales)
        found[known] = found[known] + rest if known in found else rest
    return found, Maturity(return_days, orders, matured)


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each column with itself and with each later one."""
    return list(combinations_with_replacement(names, 2))


def _idle(names: Sequence[str], units: int, viewing: int, scales: Mapping[str, int]) -> Moments:
    """Units that saw something at most: every column is 0 but `viewed_offer`."""
    sums = {name: viewing if name == "viewed_offer" else 0 for name in names}
    products = {(a, b): viewing if a == b == "viewed_offer" else 0 for a, b in pairs(names)}
    return Moments.from_aggregates(units, sums, products, scales)


def _units(scope: Scope, identities: Identities | None, settled: int) -> CTE:
    """One row for each unit that did something in its window: the raw columns that metrics are made of."""
    e, c, v = exposure.alias("e"), conversion.alias("c"), exposure.alias("v")
    if identities is None:
        unit = c.c.visitor_id if scope.unit == "visitor" else c.c.customer_id
        joined = and_(e.c.experiment_id == scope.experiment_id, e.c.kind == "assigned", e.c.unit_id == unit)
        met = Resolved(c.join(e, joined), e.c.unit_id, e.c.variant, e.c.at)
    else:
        met = identities.resolved(c)
    counted_at = case((c.c.type == "refund", c.c.order_at), else_=c.c.at)
    is_order, is_refund = c.c.type == "order", c.c.type == "refund"
    ours = or_(c.c.experiment.is_(None), c.c.experiment == scope.experiment)
    seen = and_(v.c.experiment_id == scope.experiment_id, v.c.kind == "viewed", v.c.unit_id == met.unit)
    return (
        select(
            met.variant.label("variant"),
            met.unit.label("unit_id"),
            _total(is_order, literal(1)).label("orders"),
            _total(and_(is_order, c.c.at < settled), literal(1)).label("matured"),
            _total(is_order, c.c.revenue).label("revenue"),
            _total(is_order, c.c.item_count).label("item_count"),
            _total(is_order, c.c.cost).label("cost"),
            _total(is_refund, c.c.refunded).label("refunded"),
            func.count(distinct(case((is_refund, c.c.order_id)))).label("refunds"),
            _any(and_(c.c.type == "offer_accepted", ours)).label("accepted"),
            _any(and_(c.c.type == "offer_dismissed", ours)).label("dismissed"),
            _any(and_(is_order, c.c.revenue.is_(None))).label("no_revenue"),
            _any(and_(is_order, c.c.cost.is_(None))).label("no_cost"),
            func.max(case((v.c.at <= scope.until, 1), else_=0)).label("viewed_offer"),
        )
        .select_from(met.source.outerjoin(v, seen))
        .where(
            c.c.storefront_id == scope.storefront_id,
            c.c.at <= scope.until,
            met.at <= scope.until,
            counted_at >= met.at,
            counted_at < met.at + scope.window,
            or_(c.c.cancelled_at.is_(None), c.c.cancelled_at > scope.until),
        )
        .group_by(met.variant, met.unit)
        .cte("units")
    )


def _sums(units: CTE, names: Sequence[str]) -> Any:
    """The second floor: by cell the number of units, the sum of each column and of each product of two."""
    column = _columns(units)
    numbers = [func.count().label("units"), func.sum(units.c.viewed_offer).label("viewing")]
    numbers += [func.sum(units.c.orders).label("ordered"), func.sum(units.c.matured).label("matured")]
    numbers += [func.sum(column[name]).label(f"s_{name}") for name in names]
    numbers += [func.sum(column[a] * column[b]).label(f"p_{a}__{b}") for a, b in pairs(names)]
    cell = (units.c.variant, units.c.no_revenue, units.c.no_cost)
    return select(*cell, *numbers).group_by(*cell)


def _columns(units: CTE) -> dict[str, ColumnElement[float]]:
    """The per-unit vector of experiments.metrics, by name, as DOUBLE."""
    raw: dict[str, ColumnElement[Any]] = {
        "converted": case((units.c.orders > 0, 1), else_=0),
        "repeated": case((units.c.orders > 1, 1), else_=0),
        "orders": units.c.orders,
        "revenue": units.c.revenue,
        "item_count": units.c.item_count,
        "contribution": units.c.revenue - units.c.cost - units.c.refunded,
        "refunds": units.c.refunds,
        "refunded": units.c.refunded,
        "net_revenue": units.c.revenue - units.c.refunded,
        "viewed_offer": units.c.viewed_offer,
        "accepted": units.c.accepted,
        "dismissed": units.c.dismissed,
    }
    return {name: cast(column, Double) for name, column in raw.items()}


def _total(when: ColumnElement[bool], column: Any) -> ColumnElement[Any]:
    return func.sum(case((when, func.coalesce(column, 0)), else_=0))


def _any(when: ColumnElement[bool]) -> ColumnElement[int]:
    return func.max(cast(case((when, 1), else_=0), Integer))


def _whole(value: float | None) -> int:
    """A sum of whole numbers, exact as long as it stays below 2^53."""
    return round(float(value or 0))
