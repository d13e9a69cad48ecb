"""What foreign money is worth to a storefront, by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from experiments.currencies import Rates
from experiments.identifiers import StorefrontId
from experiments.storage.tables import currency_rate


@dataclass(frozen=True, slots=True)
class Rate:
    """From `day` on, one unit of `currency` is worth `rate` units of the storefront's."""

    currency: str
    day: int
    rate: Decimal


def put_rates(conn: Connection, storefront_id: StorefrontId, rows: Sequence[Rate]) -> tuple[int, int]:
    """Set rates; how many are new or changed, and how many were the same already."""
    wanted = {(row.currency, row.day): row for row in rows}
    known = _known(conn, storefront_id)
    changed = [row for key, row in sorted(wanted.items()) if known.get(key) != row.rate]
    values = [
        {"storefront_id": storefront_id, "currency": row.currency, "day": row.day, "rate": str(row.rate)}
        for row in changed
    ]
    if values:
        statement = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(currency_rate)
        keys = [currency_rate.c.storefront_id, currency_rate.c.currency, currency_rate.c.day]
        again = {"rate": statement.excluded["rate"]}
        conn.execute(statement.on_conflict_do_update(index_elements=keys, set_=again), values)
    return len(changed), len(rows) - len(changed)


def read_rates(conn: Connection, storefront_id: StorefrontId) -> Rates:
    """All rates of a storefront."""
    by_currency: dict[str, list[tuple[int, Decimal]]] = {}
    for (currency, day), rate in sorted(_known(conn, storefront_id).items()):
        by_currency.setdefault(currency, []).append((day, rate))
    return Rates({currency: tuple(dated) for currency, dated in by_currency.items()})


def _known(conn: Connection, storefront_id: StorefrontId) -> Mapping[tuple[str, int], Decimal]:
    query = select(currency_rate).where(currency_rate.c.storefront_id == storefront_id)
    return {(r.currency, r.day): Decimal(r.rate) for r in conn.execute(query)}
