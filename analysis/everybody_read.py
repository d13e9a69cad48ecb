"""Reading all who asked from the store: what the eligible and the refused did in the window after they first asked.

An event is its unit's own: of links only the customer of a visitor is followed, where the unit is the customer.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Double, and_, case, cast, distinct, exists, func, or_, select

from analysis.analysis_plan import AnalysisPlan
from analysis.asked import AllVisitors, Asked
from analysis.everybody import all_visitors
from analysis.moments import Moments
from analysis.queries import Scope
from experiments.metrics import MONEY_COLUMNS, Metric
from experiments.storage.ineligibles import count_ineligible
from experiments.storage.tables import conversion, exposure, ineligible, visitor_customer

READ = (
    "converted", "repeated", "orders", "revenue", "item_count", "contribution", "refunds", "refunded", "net_revenue",
)  # fmt: skip
"""Columns that who was refused has too; who was shown nothing accepts nothing."""
_NEEDS_COST = frozenset({"contribution"})
_NEEDS_REVENUE = frozenset({"revenue", "contribution", "net_revenue"})
Cells = Mapping[tuple[str, bool, bool], Moments]


def read_all_visitors(
    conn: Connection, scope: Scope, variants: Sequence[str], plan: AnalysisPlan
) -> AllVisitors | None:
    """The reading of all who asked until `scope.until`; None where nobody was refused."""
    refusals = count_ineligible(conn, scope.experiment_id, scope.until)
    refusals = {key: n for key, n in refusals.items() if key[0] in variants}
    if not refusals:
        return None
    let_in = _entered(conn, scope, variants)
    turned_away = dict.fromkeys(variants, 0)
    for (variant, _), n in refusals.items():
        turned_away[variant] += n
    asked = [
        Asked(v, let_in[v] + turned_away[v], let_in[v], {reason: n for (w, reason), n in refusals.items() if w == v})
        for v in variants
    ]
    inside = _cells(conn, scope, exposure, exposure.c.kind == "assigned", let_in)
    outside = _cells(conn, scope, ineligible, ~_let_in(scope), turned_away)
    unread: dict[str, str] = {}
    found: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for metric in plan.metrics:
        why = _unreadable(metric, (inside, outside))
        if why is not None:
            unread[metric.key] = why
            continue
        for part, cells in zip(found, (inside, outside), strict=True):
            part[metric.key] = _population(metric, cells, variants)
    return all_visitors(found[0], found[1], asked, plan, unread)


def _unreadable(metric: Metric, parts: Sequence[Cells]) -> str | None:
    if not set(metric.columns) <= set(READ):
        return "who was refused was shown nothing that could be answered"
    known = all(cost for cells in parts for (_, _, cost), moments in cells.items() if moments.n)
    if _NEEDS_COST & set(metric.columns) and not known:
        return "the cost of an order is not known; a missing cost is not zero"
    return None


def _population(metric: Metric, cells: Cells, variants: Sequence[str]) -> dict[str, Moments]:
    """The units whose orders are known well enough, by variant."""
    nothing = Moments.from_aggregates(0, dict.fromkeys(READ, 0), dict.fromkeys(_pairs(), 0))
    found = dict.fromkeys(variants, nothing)
    for (variant, revenue_known, _), moments in cells.items():
        if variant in found and (revenue_known or not _NEEDS_REVENUE & set(metric.columns)):
            found[variant] = found[variant] + moments
    return found


def _entered(conn: Connection, scope: Scope, variants: Sequence[str]) -> dict[str, int]:
    e = exposure.c
    mine = (e.experiment_id == scope.experiment_id, e.kind == "assigned", e.at <= scope.until)
    rows = conn.execute(select(e.variant, func.count()).where(*mine).group_by(e.variant))
    return dict.fromkeys(variants, 0) | {variant: n for variant, n in rows if variant in variants}


def _let_in(scope: Scope) -> ColumnElement[bool]:
    e = exposure.alias("entered")
    return exists().where(
        e.c.experiment_id == scope.experiment_id,
        e.c.kind == "assigned",
        e.c.unit_id == ineligible.c.unit_id,
        e.c.at <= scope.until,
    )


def _cells(
    conn: Connection, scope: Scope, table: Any, which: ColumnElement[bool], units: Mapping[str, int]
) -> dict[tuple[str, bool, bool], Moments]:
    """The Moments by variant, whether revenue is known, and cost; units that did nothing add to n alone."""
    scales = {name: scope.money_places for name in READ if name in MONEY_COLUMNS}
    found: dict[tuple[str, bool, bool], Moments] = {}
    active = dict.fromkeys(units, 0)
    for row in conn.execute(_sums(_units(scope, table, which))):
        values = row._mapping
        if row.variant not in units:
            continue
        sums = {name: round(float(values[f"s_{name}"] or 0)) for name in READ}
        products = {(a, b): round(float(values[f"p_{a}__{b}"] or 0)) for a, b in _pairs()}
        cell = (row.variant, not row.no_revenue, not row.no_cost)
        found[cell] = Moments.from_aggregates(int(row.units), sums, products, scales)
        active[row.variant] += int(row.units)
    for variant, n in units.items():
        idle = Moments.from_aggregates(n - active[variant], dict.fromkeys(READ, 0), dict.fromkeys(_pairs(), 0), scales)
        known = (variant, True, True)
        found[known] = found[known] + idle if known in found else idle
    return found


def _pairs() -> list[tuple[str, str]]:
    return list(combinations_with_replacement(READ, 2))


def _units(scope: Scope, table: Any, which: ColumnElement[bool]) -> CTE:
    """One row for each unit that did something in its window."""
    c, p, t = conversion.c, visitor_customer, table.c
    owned = conversion
    unit: ColumnElement[Any] = c.visitor_id
    if scope.unit == "customer":
        linked = and_(p.c.storefront_id == c.storefront_id, p.c.visitor_id == c.visitor_id, p.c.at <= scope.until)
        owned = conversion.outerjoin(p, linked)  # type: ignore[assignment]  # a join is a FromClause too
        unit = func.coalesce(c.customer_id, p.c.customer_id)
    joined = owned.join(table, and_(t.experiment_id == scope.experiment_id, t.unit_id == unit))
    counted_at = case((c.type == "refund", c.order_at), else_=c.at)
    is_order, is_refund = c.type == "order", c.type == "refund"
    return (
        select(
            t.variant.label("variant"),
            _total(is_order, 1).label("orders"),
            _total(is_order, c.revenue).label("revenue"),
            _total(is_order, c.item_count).label("item_count"),
            _total(is_order, c.cost).label("cost"),
            _total(is_refund, c.refunded).label("refunded"),
            func.count(distinct(case((is_refund, c.order_id)))).label("refunds"),
            _any(and_(is_order, c.revenue.is_(None))).label("no_revenue"),
            _any(and_(is_order, c.cost.is_(None))).label("no_cost"),
        )
        .select_from(joined)
        .where(
            which,
            c.storefront_id == scope.storefront_id,
            c.type.in_(("order", "refund")),
            c.at <= scope.until,
            t.at <= scope.until,
            counted_at >= t.at,
            counted_at < t.at + scope.window,
            or_(c.cancelled_at.is_(None), c.cancelled_at > scope.until),
        )
        .group_by(t.variant, t.unit_id)
        .cte("units")
    )


def _sums(units: CTE) -> Any:
    u = units.c
    raw: dict[str, ColumnElement[Any]] = {
        "converted": case((u.orders > 0, 1), else_=0),
        "repeated": case((u.orders > 1, 1), else_=0),
        "orders": u.orders,
        "revenue": u.revenue,
        "item_count": u.item_count,
        "contribution": u.revenue - u.cost - u.refunded,
        "refunds": u.refunds,
        "refunded": u.refunded,
        "net_revenue": u.revenue - u.refunded,
    }
    column = {name: cast(value, Double) for name, value in raw.items()}
    numbers = [func.count().label("units")]
    numbers += [func.sum(column[name]).label(f"s_{name}") for name in READ]
    numbers += [func.sum(column[a] * column[b]).label(f"p_{a}__{b}") for a, b in _pairs()]
    cell = (u.variant, u.no_revenue, u.no_cost)
    return select(*cell, *numbers).group_by(*cell)


def _total(when: ColumnElement[bool], column: Any) -> ColumnElement[Any]:
    return func.sum(case((when, func.coalesce(column, 0)), else_=0))


def _any(when: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.max(case((when, 1), else_=0))
