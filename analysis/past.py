"""A shop's own visitors, drawn anew: simulations then have its real heavy tails and repeat buyers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sqlalchemy import Connection

from analysis import queries
from analysis.experiment import scope_of
from analysis.files import read_table
from analysis.frames import labels, numbers
from analysis.journal import read_ledger
from analysis.shoppers import Influence
from experiments.errors import Invalid
from experiments.moment import Micros, day_number
from experiments.storage.registry import Experiment
from experiments.storage.storefronts import Storefront

Array = NDArray[np.float64]
FEWEST_BUYERS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Orders and revenue of the visitors who did anything, (buyers,), and how many visitors there were in all."""

    orders: Array
    revenue: Array
    visitors: int

    def __post_init__(self) -> None:
        if len(self.orders) < FEWEST_BUYERS or len(self.orders) > self.visitors:
            raise Invalid.at(
                "history", f"{len(self.orders):,} buyers of {self.visitors:,} visitors: at least {FEWEST_BUYERS} needed"
            )

    @classmethod
    def of(cls, orders: Array, revenue: Array, visitors: int) -> "Past":
        """From columns over visitors, some of whom bought nothing."""
        busy = (orders != 0) | (revenue != 0)
        return cls(orders[busy], revenue[busy], visitors)

    @property
    def conversion(self) -> float:
        """The share of visitors who did anything."""
        return len(self.orders) / self.visitors

    def draw(self, rng: Generator, visitors: int, influence: Influence | None = None) -> dict[str, Array]:
        """So many visitors with replacement: converted, orders, revenue; the influence's lifts hold exactly."""
        offer = influence or Influence()
        chance = self.conversion * (1 + offer.conversion)
        if chance > 1:
            raise Invalid.at("influence.conversion", f"a conversion of {chance:g} is above 1")
        buys = rng.random(visitors) < chance
        who = rng.integers(0, len(self.orders), int(buys.sum()))
        orders, revenue = np.zeros(visitors), np.zeros(visitors)
        orders[buys], revenue[buys] = self.orders[who], self.revenue[who] * (1 + offer.order_value)
        return {"converted": (orders > 0).astype(float), "orders": orders, "revenue": revenue}


def past_of_file(path: str | Path, orders: str = "orders", revenue: str = "revenue", unit: str | None = None) -> Past:
    """The visitors of a file with one row a visitor, or several with `unit`; a blank is zero. Raises Invalid."""
    text = [unit] if unit else []
    table = read_table(path, text=text, only=[orders, revenue, *text])
    columns = [numbers(table, name).floats for name in (orders, revenue)]
    if unit is None:
        return Past.of(columns[0], columns[1], table.num_rows)
    who = labels(table, unit)
    named = who.codes >= 0
    summed = [np.bincount(who.codes[named], weights=c[named], minlength=len(who.words)) for c in columns]
    return Past.of(summed[0].astype(np.float64), summed[1].astype(np.float64), len(who.words))


def past_of_control(conn: Connection, storefront: Storefront, experiment: Experiment, as_of: Micros) -> Past:
    """The visitors whom an experiment showed its control, with what they did in its window; money in major units."""
    scope, control = scope_of(storefront, experiment, as_of), experiment.definition.control.key
    others = [v.key for v in experiment.definition.variants if v.key != control]
    counts = queries.count(conn, scope, [control, *others])
    ledger = read_ledger(conn, scope, counts, day_number(as_of, storefront.zone))
    mine = ledger.units.variant == 0
    orders, revenue = (ledger.columns[name][mine].astype(np.float64) for name in ("orders", "revenue"))
    return Past.of(orders, revenue / 10**ledger.places, int(ledger.totals[0]))
