"""From the store to a Ledger: the columns that were read, as numbers and codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from analysis import queries
from analysis.ledger import KINDS, ORDER, REFUND, Bools, Events, Ints, Ledger, Lines, Units
from analysis.margins import Margins, OrderCosts, usual_costs
from experiments.moment import DAY, Micros
from experiments.storage.ineligibles import count_ineligible
from experiments.storage.tables import product, storefront

Columns = Mapping[str, list[Any]]


def read_ledger(conn: Connection, scope: queries.Scope, counts: queries.Counts, until_day: int) -> Ledger:
    """Everything that counts until then; `until_day` is the storefront's calendar day of that moment."""
    since = Micros(counts.first_at or 0)
    told, crossed = queries.events(conn, scope, since), queries.crossed(conn, scope)
    doses = queries.doses(conn, scope)
    place = {variant: i for i, variant in enumerate(counts.variants)}
    units, unit_of = _units(told, crossed, {unit: views for unit, _, views in doses}, place)
    orders = {order: i for i, order in enumerate(dict.fromkeys(o for o in told["order_id"] if o is not None))}
    bought = dict.fromkeys(
        order
        for order, kind, at, entered in zip(told["order_id"], told["type"], told["at"], told["entered_at"], strict=True)
        if kind == "order" and order is not None and at >= entered
    )
    sold, lines = queries.lines(conn, scope, sorted(bought)), Lines.none()
    settled = scope.until - _return_days(conn, scope) * DAY
    kinds = kinds_of(scope)
    events = _events(told, unit_of, orders, settled, kinds)
    if sold["order_id"]:
        lines = _lines(conn, scope, sold, orders, {o for o in told["offer_id"] if o is not None})
    if (~events.costed[events.kind == ORDER]).any():
        events = _with_usual_costs(conn, scope, events, sold, orders)
    return Ledger(
        variants=counts.variants, first_day=counts.first_day, entered=counts.entered, viewed=counts.viewed,
        crossed=_by_day(crossed, place, counts), units=units, events=events, window=scope.window, until_day=until_day,
        places=scope.money_places, lines=lines, doses=_doses(doses, place, counts),
        refused=count_ineligible(conn, scope.experiment_id, scope.until), kinds=kinds,
    )  # fmt: skip


def read_recent(conn: Connection, scope: queries.Scope, counts: queries.Counts, until_day: int) -> Ledger:
    """What metrics are summed from, and no more: without lines, doses, refusals, crossovers and usual costs."""
    told = queries.events(conn, scope, Micros(scope.entered_since))
    units, unit_of = _units(told, (), {}, {variant: i for i, variant in enumerate(counts.variants)})
    orders = {order: i for i, order in enumerate(dict.fromkeys(o for o in told["order_id"] if o is not None))}
    settled = scope.until - _return_days(conn, scope) * DAY
    kinds = kinds_of(scope)
    return Ledger(
        variants=counts.variants, first_day=counts.first_day, entered=counts.entered, viewed=counts.viewed,
        crossed=np.zeros_like(counts.entered), units=units, events=_events(told, unit_of, orders, settled, kinds),
        window=scope.window, until_day=until_day, places=scope.money_places, kinds=kinds,
    )  # fmt: skip


def kinds_of(scope: queries.Scope) -> tuple[str, ...]:
    """The types of conversions that a report reads, by their code."""
    return tuple(dict.fromkeys((*KINDS, *scope.names)))


def return_days(conn: Connection, scope: queries.Scope) -> int:
    """After how many days an order of this storefront counts as kept."""
    return _return_days(conn, scope)


def _return_days(conn: Connection, scope: queries.Scope) -> int:
    return int(conn.scalar(select(storefront.c.return_days).where(storefront.c.id == scope.storefront_id)) or 0)


def _units(
    told: Columns, crossed: Sequence[tuple[str, str, int]], views: Mapping[str, int], place: Mapping[str, int]
) -> tuple[Units, Ints]:
    """The units that are listed, sorted by variant, and each event's unit (-1 under a variant nobody defined)."""
    code: dict[str, int] = {}
    of_event = np.array([code.setdefault(unit, len(code)) for unit in told["unit_id"]], dtype=np.int64)
    both = [code.setdefault(unit, len(code)) for unit, _, _ in crossed]
    variant = np.full(len(code), -1, dtype=np.int64)
    day, viewed = np.zeros((2, len(code)), dtype=np.int64)
    variant[both] = [place.get(met, -1) for _, met, _ in crossed]
    day[both] = [entered for _, _, entered in crossed]
    variant[of_event] = [place.get(met, -1) for met in told["variant"]]
    day[of_event], viewed[of_event] = told["entered_day"], told["viewed"]
    doses = np.array([views.get(unit, 0) for unit in code], dtype=np.int64)
    known = np.flatnonzero(variant >= 0)
    order = known[np.argsort(variant[known], kind="stable")]
    rank = np.full(len(code), -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    ids = np.array([*code, None], dtype=object)[:-1]
    crossing = np.isin(order, both)
    return Units(ids[order], variant[order], day[order], viewed[order] > 0, crossing, doses[order]), rank[of_event]


def _events(
    told: Columns, unit: Ints, orders: Mapping[str, int], settled: int, kinds: tuple[str, ...] = KINDS
) -> Events:
    code = {name: i for i, name in enumerate(kinds)}
    kind = np.array([code[one] for one in told["type"]], dtype=np.int64)
    refund = kind == REFUND
    of_order, known = _filled(told["order_at"])
    at = _filled(told["at"])[0]
    when = np.where(refund, of_order, at)
    since = when - _filled(told["entered_at"])[0]
    (revenue, priced), (cost, costed) = _filled(told["revenue"]), _filled(told["cost"])
    found = Events(
        unit=unit, kind=kind, day=_filled(told["day"])[0], since=since,
        order=np.array([-1 if one is None else orders[one] for one in told["order_id"]], dtype=np.int64),
        revenue=revenue, cost=cost, usual_cost=cost, discount=_filled(told["discount"])[0],
        refunded=_filled(told["refunded"])[0], items=_filled(told["item_count"])[0], priced=priced, costed=costed,
        settled=at < settled,
    )  # fmt: skip
    keep = (unit >= 0) & (known | ~refund)
    return found.at(keep, np.arange(int(unit.max(initial=0)) + 1))


def _filled(values: Sequence[int | None]) -> tuple[Ints, Bools]:
    """Numbers with 0 for what is not known, and which are."""
    known = np.array([value is not None for value in values], dtype=bool)
    if known.all():
        return np.array(values, dtype=np.int64), known
    return np.array([value or 0 for value in values], dtype=np.int64), known


def _lines(conn: Connection, scope: queries.Scope, sold: Columns, orders: Mapping[str, int], ours: set[str]) -> Lines:
    """The lines, each with whether it came by an offer: by one of this experiment's, as far as the shop names them."""
    titles = select(product.c.product_id, product.c.title).where(product.c.storefront_id == scope.storefront_id)
    named = {row.product_id: row.title for row in conn.execute(titles)}
    products = {one: i for i, one in enumerate(sorted(set(sold["product_id"])))}
    quantity = np.array(sold["quantity"], dtype=np.int64)
    return Lines(
        np.array([orders.get(order, -1) for order in sold["order_id"]], dtype=np.int64),
        np.array([products[one] for one in sold["product_id"]], dtype=np.int64),
        quantity,
        quantity * np.array(sold["price"], dtype=np.int64),
        np.array([offer is not None and (not ours or offer in ours) for offer in sold["offer"]], dtype=bool),
        tuple((one, named.get(one, one)) for one in products),
    )


def _with_usual_costs(
    conn: Connection, scope: queries.Scope, events: Events, sold: Columns, orders: Mapping[str, int]
) -> Events:
    p = product.c
    query = select(p.product_id, p.category, p.price, p.cost).where(p.storefront_id == scope.storefront_id)
    margins = Margins.of({row.product_id: (row.category, row.price, row.cost) for row in conn.execute(query)})
    placed = np.flatnonzero(events.kind == ORDER)
    code = np.full(len(orders), -1, dtype=np.int64)
    code[events.order[placed]] = np.arange(len(placed))
    line_order = np.array([orders.get(order, -1) for order in sold["order_id"]], dtype=np.int64)
    here = np.flatnonzero((line_order >= 0) & (code[line_order] >= 0)) if len(line_order) else line_order
    quantity = np.array(sold["quantity"], dtype=np.int64)[here]
    cost, known = _filled(sold["cost"])
    found = usual_costs(
        OrderCosts(
            events.revenue[placed], events.cost[placed], (events.priced & events.costed)[placed],
            code[line_order[here]], tuple(sold["product_id"][i] for i in here),
            quantity * np.array(sold["price"], dtype=np.int64)[here], np.where(known[here], quantity * cost[here], -1),
        ),
        margins,
    )  # fmt: skip
    usual = events.usual_cost.copy()
    usual[placed] = found
    columns = {name: getattr(events, name) for name in events.__slots__}
    return Events(**(columns | {"usual_cost": usual}))


def _by_day(crossed: Sequence[tuple[str, str, int]], place: Mapping[str, int], counts: queries.Counts) -> Ints:
    found = np.zeros_like(counts.entered)
    for _, variant, day in crossed:
        if variant in place:
            found[day - counts.first_day, place[variant]] += 1
    return found


def _doses(doses: Sequence[tuple[str, str, int]], place: Mapping[str, int], counts: queries.Counts) -> Ints | None:
    if not doses:
        return None
    found = np.zeros((len(counts.variants), queries.MOST_VIEWS + 1), dtype=np.int64)
    for _, variant, views in doses:
        if variant in place:
            found[place[variant], views] += 1
    return found
