"""The per-unit columns as they grew: sums and products until each of many days, from one pass over the events.

A unit's running total is not additive over days in its squares, but it changes only on days on which the unit did
something: each such row adds its new total's products and takes the old one's away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.ledger import Bools, Ints, Ledger, columns
from experiments.metrics import MONEY_COLUMNS, is_flag

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """Units `n` and `priced` (days, variants), `sums` (2, days, variants, k), `gram` (2, days, variants, k, k).

    Of the totals until then, in major units: first of all units, then of the `priced` ones alone, which have no order
    of unknown amount.
    """

    names: tuple[str, ...]
    n: Floats
    priced: Floats
    sums: Floats
    gram: Floats

    @classmethod
    def of(cls, ledger: Ledger, days: Ints, names: Sequence[str]) -> "Running":
        """The sums until the end of each of the `days`, which ascend."""
        u, v = ledger.units, len(ledger.variants)
        point = np.searchsorted(days, u.day)
        seen = np.minimum(days - ledger.first_day, len(ledger.entered) - 1)
        n = ledger.entered.cumsum(axis=0)[seen].astype(np.float64)
        priced = n - _until(point, u.variant, ledger.unpriced, len(days), v)
        unit, at, totals = _rows(ledger, days, names)
        both = [_cumulated(ledger, unit, at, totals, np.ones(len(unit), dtype=bool), len(days))]
        some = ~ledger.unpriced[unit]
        both.append(both[0] if some.all() else _cumulated(ledger, unit, at, totals, some, len(days)))
        sums, gram = (np.stack([one[i] for one in both]) for i in (0, 1))
        if "viewed_offer" in names:  # who saw the offer and did nothing is not listed
            j = list(names).index("viewed_offer")
            idle = ledger.viewed.cumsum(axis=0)[seen] - _until(point, u.variant, u.viewed, len(days), v)
            sums[..., j] += idle
            gram[..., j, j] += idle
        scale = np.array([10.0**ledger.places if name in MONEY_COLUMNS else 1.0 for name in names])
        return cls(tuple(names), n, priced, sums / scale, gram / scale / scale[:, None])


def _until(point: Ints, variant: Ints, which: Bools, days: int, variants: int) -> Ints:
    """How many of the listed units had entered until the end of each day, (days, variants)."""
    found = np.zeros((days + 1, variants), dtype=np.int64)
    np.add.at(found, (point[which], variant[which]), 1)
    return np.asarray(found[:-1].cumsum(axis=0))


def _rows(ledger: Ledger, days: Ints, names: Sequence[str]) -> tuple[Ints, Ints, Floats]:
    """One row for each unit and day on which it did something: unit, index of the day, and its totals until then.

    In order of unit and day. Totals are in minor units, (rows, k); a view counts on the day of entry.
    """
    e, u = ledger.events, ledger.units
    point = np.searchsorted(days, e.day)
    order = np.argsort(point, kind="stable")  # an order refunded twice counts on the first day
    order = order[ledger.inside[order] & (point[order] < len(days))]
    entered = np.searchsorted(days, u.day)
    looked = np.flatnonzero(u.viewed & (entered < len(days))) if "viewed_offer" in names else np.zeros(0, np.int64)
    key = np.concatenate([e.unit[order] * len(days) + point[order], looked * len(days) + entered[looked]])
    keys, row = np.unique(key, return_inverse=True)
    unit, at = np.divmod(keys, max(len(days), 1))
    viewed = np.zeros(len(unit), dtype=bool)
    viewed[row[len(order) :]] = True
    units = replace(u.at(unit), viewed=viewed)
    told = columns(replace(ledger, units=units, events=replace(e.at(order, np.arange(len(u))), unit=row[: len(order)])))
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    length = np.diff(first, append=len(unit))
    totals = np.empty((len(unit), len(names)))
    for j, name in enumerate(names):
        grown = _cumulated_by_unit(told["orders" if name == "repeated" else name], first, length)
        totals[:, j] = grown > 1 if name == "repeated" else grown > 0 if is_flag(name) else grown
    return unit, at, totals


def _cumulated_by_unit(values: Ints, first: Ints, length: Ints) -> Ints:
    grown = np.cumsum(values)
    return np.asarray(grown - np.repeat(grown[first] - values[first], length))


def _cumulated(
    ledger: Ledger, unit: Ints, at: Ints, totals: Floats, which: Bools, days: int
) -> tuple[Floats, Floats]:  # fmt: skip
    """Sums (days, variants, k) and products (days, variants, k, k) of the totals of some rows' units."""
    v, k = len(ledger.variants), totals.shape[1]
    again = np.diff(unit, prepend=-1) == 0
    before = np.where(again[:, None], np.roll(totals, 1, axis=0), 0.0)
    cell = ledger.units.variant[unit] * days + at
    order = np.argsort(cell, kind="stable")
    order = order[which[order]]
    new, old = totals[order], before[order]
    ends = np.searchsorted(cell[order], np.arange(v * days + 1))
    sums, gram = np.zeros((v * days, k)), np.zeros((v * days, k, k))
    for i in np.flatnonzero(np.diff(ends)):
        here, gone = new[ends[i] : ends[i + 1]], old[ends[i] : ends[i + 1]]
        sums[i] = here.sum(axis=0) - gone.sum(axis=0)
        gram[i] = here.T @ here - gone.T @ gone
    return (
        sums.reshape(v, days, k).cumsum(axis=1).swapaxes(0, 1),
        gram.reshape(v, days, k, k).cumsum(axis=1).swapaxes(0, 1),
    )
