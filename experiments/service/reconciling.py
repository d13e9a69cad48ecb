"""Reconciliation: every order that came in is analysed or excluded for a named reason, to the last minor unit."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, select

from experiments.errors import Invalid
from experiments.identifiers import StorefrontId
from experiments.moment import DAY, Micros, day_number
from experiments.money import to_minor
from experiments.shape import convert
from experiments.storage.identities import Identities, Resolved, has_links
from experiments.storage.quarantine import held
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Storefront
from experiments.storage.tables import conversion, exposure, visitor_customer

REASONS = (
    "analysed", "later", "cancelled", "no_unit", "no_exposure", "before_exposure", "after_window", "unknown_variant",
    "missing_revenue", "unit_missing_revenue",
)  # fmt: skip
"""What becomes of a stored order; `unit_missing_revenue`: its unit has another order of unknown amount."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Tally:
    """Orders and their revenue in minor units; `unpriced` are those among them whose amount nobody knows."""

    orders: int = 0
    amount: int = 0
    unpriced: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.orders + other.orders, self.amount + other.amount, self.unpriced + other.unpriced)


@dataclass(frozen=True, slots=True)
class Account:
    """One experiment's: what was analysed, and what was not and why."""

    experiment: str
    analysed: Tally
    excluded: Mapping[str, Tally]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Orders of some days: all that came in, those refused at the door, and each experiment's account."""

    first_day: int
    last_day: int
    received: Tally
    refused: Mapping[str, Tally]
    accounts: Sequence[Account] = field(default=())


@dataclass(frozen=True, slots=True)
class Claim:
    """An order that came at that time and was not counted for that reason; its revenue as it was told, if it was."""

    order_id: str
    reason: str
    at: Micros
    revenue: Any = None
    currency: Any = None


Claims = Callable[[Connection], Iterable[Claim]]
"""Finds the claims of an intake."""


def reconcile(
    conn: Connection,
    storefront: Storefront,
    first_day: int,
    last_day: int,
    as_of: Micros,
    claims: Claims = lambda _: (),
) -> Reconciliation:
    """The books of the orders placed on these days (both included), as the reports of `as_of` read them.

    `claims` are those of intakes that have words of their own, beside what quarantine holds in ours.
    """
    if last_day < first_day:
        raise Invalid.at("to", "is before --from")
    refused = _refused(conn, storefront, first_day, last_day, claims)
    stored, accounts = Tally(), []
    days = _on_days(storefront, first_day, last_day)
    for row in conn.execute(select(*_sums()).where(*days)):
        stored = Tally(int(row.orders), int(row.amount or 0), int(row.unpriced or 0))
    for experiment in experiments(conn, storefront.id):
        if experiment.state != "draft":
            found = _classified(conn, storefront, experiment, days, as_of)
            analysed = found.pop("analysed", Tally())
            excluded = {reason: found[reason] for reason in REASONS if reason in found}
            excluded |= {f"refused: {code}": tally for code, tally in refused.items()}
            accounts.append(Account(experiment.key, analysed, excluded))
    received = sum(refused.values(), stored)
    return Reconciliation(first_day, last_day, received, refused, tuple(accounts))


def _sums() -> tuple[ColumnElement[Any], ...]:
    revenue = conversion.c.revenue
    unpriced = func.sum(case((revenue.is_(None), 1), else_=0))
    return func.count().label("orders"), func.sum(revenue).label("amount"), unpriced.label("unpriced")


def _on_days(storefront: Storefront, first_day: int, last_day: int) -> tuple[ColumnElement[bool], ...]:
    c = conversion.c
    return (
        c.storefront_id == storefront.id,
        c.type == "order",
        c.at >= (first_day - 2) * DAY,  # the index is by time; the day is the storefront's
        c.at < (last_day + 3) * DAY,
        c.day >= first_day,
        c.day <= last_day,
    )


def _classified(
    conn: Connection, storefront: Storefront, experiment: Experiment, days: Sequence[ColumnElement[bool]], as_of: Micros
) -> dict[str, Tally]:
    unit_kind, window = experiment.definition.unit, experiment.definition.analysis.window_days * DAY
    c, e = conversion.c, exposure.alias("e")
    unit = c.visitor_id if unit_kind == "visitor" else c.customer_id
    is_met = and_(e.c.experiment_id == experiment.id, e.c.kind == "assigned", e.c.unit_id == unit)
    met = Resolved(conversion.outerjoin(e, is_met), e.c.unit_id, e.c.variant, e.c.at, e.c.day)
    nobody: ColumnElement[bool] = unit.is_(None)
    if has_links(conn, storefront.id):
        met = Identities(storefront.id, experiment.id, unit_kind, as_of).resolved(conversion)
        nobody = met.unit.is_(None)
        if unit_kind == "visitor":
            p = visitor_customer.c
            theirs = exists().where(p.storefront_id == storefront.id, p.customer_id == c.customer_id, p.at <= as_of)
            nobody = and_(c.visitor_id.is_(None), ~theirs)
    in_window = and_(met.at <= as_of, c.at <= as_of, c.at >= met.at, c.at < met.at + window)
    kept = c.cancelled_at.is_(None) | (c.cancelled_at > as_of)
    blind = (
        select(met.unit)
        .select_from(met.source)
        .where(c.storefront_id == storefront.id, c.type == "order", c.revenue.is_(None), in_window, kept)
        .distinct()
    )
    reason = case(
        (c.at > as_of, "later"),
        (~kept, "cancelled"),
        (nobody, "no_unit"),
        (met.at.is_(None) | (met.at > as_of), "no_exposure"),
        (c.at < met.at, "before_exposure"),
        (c.at >= met.at + window, "after_window"),
        (met.variant.not_in([variant.key for variant in experiment.definition.variants]), "unknown_variant"),
        (c.revenue.is_(None), "missing_revenue"),
        (met.unit.in_(blind), "unit_missing_revenue"),
        else_="analysed",
    )
    query = select(reason.label("reason"), *_sums()).select_from(met.source).where(*days).group_by(reason)
    return {r.reason: Tally(int(r.orders), int(r.amount or 0), int(r.unpriced or 0)) for r in conn.execute(query)}


class _Order(msgspec.Struct, frozen=True):
    type: str
    order_id: str
    revenue: Any = None
    currency: Any = None


def _refused(
    conn: Connection, storefront: Storefront, first_day: int, last_day: int, claims: Claims
) -> dict[str, Tally]:
    """Orders that were not counted, came on these days and are not stored since, each once, by the reason's code."""
    found: dict[str, tuple[str, Tally]] = {}
    for claim in chain(_quarantined(conn, storefront.id), claims(conn)):
        nameable = "\0" not in claim.order_id and claim.order_id.isprintable()
        if nameable and first_day <= day_number(claim.at, storefront.zone) <= last_day:
            found[claim.order_id] = (claim.reason, _priced(claim, storefront.currency))
    stored: set[str] = set()
    ids = sorted(found)
    for start in range(0, len(ids), _CHUNK):
        keys = [f"order:{order_id}" for order_id in ids[start : start + _CHUNK]]
        here = conversion.c.storefront_id == storefront.id
        stored.update(conn.scalars(select(conversion.c.order_id).where(here, conversion.c.event_key.in_(keys))))
    by_code: dict[str, Tally] = {}
    for order_id, (code, tally) in found.items():
        if order_id not in stored:
            by_code[code] = by_code.get(code, Tally()) + tally
    return dict(sorted(by_code.items()))


def _quarantined(conn: Connection, storefront_id: StorefrontId) -> Iterator[Claim]:
    """The orders that refused events were meant to be, if they can be seen to be some."""
    for event in held(conn, storefront_id):
        try:
            order = convert(msgspec.json.decode(event.body), _Order)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Invalid):
            continue
        if order.type == "order":
            yield Claim(order.order_id, event.code, event.received_at, order.revenue, order.currency)


def _priced(order: Claim, currency: str) -> Tally:
    try:
        if order.currency == currency and order.revenue is not None and not isinstance(order.revenue, bool):
            return Tally(1, to_minor(msgspec.convert(str(order.revenue), Decimal), currency, "revenue"))
    except (Invalid, msgspec.MsgspecError):
        pass
    return Tally(1, 0, 1)
