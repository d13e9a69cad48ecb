"""What happened in an experiment, as columns: who entered when, and what those who did something did.

Units that did nothing are only counted, by day and variant. All parts of a report are sums over this one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from experiments.metrics import EVENT, WITH_EVENT

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ORDER, REFUND, ACCEPTED, DISMISSED, CLICKED = range(5)
KINDS = ("order", "refund", "offer_accepted", "offer_dismissed", "offer_clicked")
"""Types of conversions in the order of their codes."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The units that did something, or met two variants; sorted by variant, an index into the Ledger's.

    `day` is that of entry; `views` how often offers were met since then, 0 where that was not counted.
    """

    ids: NDArray[np.object_]
    variant: Ints
    day: Ints
    viewed: Bools
    crossed: Bools
    views: Ints

    def __len__(self) -> int:
        return len(self.variant)

    def at(self, mask: Bools | Ints) -> "Units":
        """Some of them, by a mask or by their places."""
        return Units(
            self.ids[mask], self.variant[mask], self.day[mask], self.viewed[mask], self.crossed[mask], self.views[mask]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What units did, money in minor units. `since` is microseconds after entry; a refund has its order's time.

    `order` is a code of the order, -1 without one; `priced` and `costed` say whether an order's amounts are known;
    `usual_cost` is the cost that its products' categories usually have, where the order's own is not known.
    """

    unit: Ints
    kind: Ints
    day: Ints
    since: Ints
    order: Ints
    revenue: Ints
    cost: Ints
    usual_cost: Ints
    discount: Ints
    refunded: Ints
    items: Ints
    priced: Bools
    costed: Bools
    settled: Bools

    def __len__(self) -> int:
        return len(self.unit)

    def at(self, mask: Bools | Ints, units: Ints) -> "Events":
        """Some of them, by a mask or by their places; `units` holds each unit's new place."""
        columns = {name: getattr(self, name)[mask] for name in self.__slots__}
        return Events(**(columns | {"unit": units[columns["unit"]]}))


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines of orders: `order` is the order's code, `product` an index into `products`, `amount` minor units."""

    order: Ints
    product: Ints
    quantity: Ints
    amount: Ints
    offered: Bools
    products: tuple[tuple[str, str], ...] = ()

    @classmethod
    def none(cls) -> "Lines":
        """No line at all."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, nothing, nothing.astype(bool))


@dataclass(frozen=True)
class Ledger:
    """Everything that counts. `entered`, `viewed`, `crossed`: units by day of entry and variant, (days, variants).

    Control is the first variant. `doses` are units by variant and number of views, (variants, views), None where views
    are not counted; `refused` counts units that were not eligible, by variant and reason; `kinds` are the types of
    conversions by their code, after KINDS those that metrics of the storefront's own count by name.
    """

    variants: tuple[str, ...]
    first_day: int
    entered: Ints
    viewed: Ints
    crossed: Ints
    units: Units
    events: Events
    window: int
    until_day: int
    places: int
    lines: Lines = field(default_factory=Lines.none)
    doses: Ints | None = None
    refused: Mapping[tuple[str, str], int] = field(default_factory=dict)
    kinds: tuple[str, ...] = KINDS

    @cached_property
    def inside(self) -> Bools:
        """The events that fall into their unit's window."""
        return np.asarray((self.events.since >= 0) & (self.events.since < self.window))

    @cached_property
    def totals(self) -> Ints:
        """Units by variant."""
        return np.asarray(self.entered.sum(axis=0))

    @cached_property
    def columns(self) -> dict[str, Ints]:
        """The per-unit columns over the whole window."""
        return columns(self)

    @cached_property
    def unpriced(self) -> Bools:
        """Units with an order of unknown amount."""
        return self._any((self.events.kind == ORDER) & ~self.events.priced)

    @cached_property
    def uncosted(self) -> Bools:
        """Units with an order of unknown cost."""
        return self._any((self.events.kind == ORDER) & ~self.events.costed)

    def _any(self, mask: Bools) -> Bools:
        there = np.zeros(len(self.units), dtype=bool)
        there[self.events.unit[mask & self.inside]] = True
        return there

    def only(self, mask: Bools, entered: Ints, viewed: Ints) -> "Ledger":
        """The listed units of a mask, and so many units in all, by day and variant."""
        place = np.cumsum(mask) - 1
        units = self.units.at(mask)
        crossed = np.zeros_like(self.crossed)
        np.add.at(crossed, (units.day[units.crossed] - self.first_day, units.variant[units.crossed]), 1)
        kept = self.events.at(mask[self.events.unit], place)
        return replace(self, units=units, events=kept, entered=entered, viewed=viewed, crossed=crossed, refused={})

    def without_crossovers(self) -> "Ledger":
        """The same without the units that met two variants."""
        crossed = self.units.crossed
        viewed = self.viewed.copy()
        seen = crossed & self.units.viewed
        np.subtract.at(viewed, (self.units.day[seen] - self.first_day, self.units.variant[seen]), 1)
        return self.only(~crossed, self.entered - self.crossed, viewed)


def columns(ledger: Ledger, inside: Bools | None = None) -> dict[str, Ints]:
    """The columns of the per-unit vector for the listed units, over their window or over the events of a mask."""
    e, n = ledger.events, len(ledger.units)
    mask = ledger.inside if inside is None else inside
    orders, refunds = mask & (e.kind == ORDER), mask & (e.kind == REFUND)

    def total(of: Bools, values: Ints | None = None) -> Ints:
        weights = None if values is None else values[of]
        return np.bincount(e.unit[of], weights=weights, minlength=n).astype(np.int64)

    revenue, refunded, cost = total(orders, e.revenue), total(refunds, e.refunded), total(orders, e.cost)
    ordered = total(orders)
    flags = {kind: (total(mask & (e.kind == kind)) > 0).astype(np.int64) for kind in (ACCEPTED, DISMISSED)}
    once = np.unique(e.order[refunds], return_index=True)[1]  # an order refunded twice is one order refunded
    returned = np.bincount(e.unit[refunds][once], minlength=n).astype(np.int64)
    told = {EVENT + name: total(mask & (e.kind == code)) for code, name in enumerate(ledger.kinds) if code > REFUND}
    return (
        told
        | {WITH_EVENT + name.removeprefix(EVENT): (n > 0).astype(np.int64) for name, n in told.items()}
        | {
            "converted": (ordered > 0).astype(np.int64),
            "repeated": (ordered > 1).astype(np.int64),
            "orders": ordered,
            "revenue": revenue,
            "item_count": total(orders, e.items),
            "contribution": revenue - cost - refunded,
            "refunds": returned,
            "refunded": refunded,
            "net_revenue": revenue - refunded,
            "viewed_offer": ledger.units.viewed.astype(np.int64),
            "accepted": flags[ACCEPTED],
            "dismissed": flags[DISMISSED],
        }
    )


def banded(ledger: Ledger) -> tuple[Ints, Ints]:
    """Contribution by unit with no margin where a cost is not known, and with the usual margin there."""
    e, n = ledger.events, len(ledger.units)
    unknown = ledger.inside & (e.kind == ORDER) & ~e.costed

    def less(cost: Ints) -> Ints:
        extra = np.bincount(e.unit[unknown], weights=cost[unknown], minlength=n).astype(np.int64)
        return np.asarray(ledger.columns["contribution"] - extra)

    return less(e.revenue), less(e.usual_cost)
