"""What was bought with the offer against what was bought on top of what would have been bought anyway."""

import numpy as np

from analysis.contrast import Contrast, of_column
from analysis.effect import NOTHING, Effect
from analysis.ledger import ORDER, Bools, Ints, Ledger
from analysis.parts import Cannibalisation, SkuLine
from experiments.metrics import BUILT_IN

MOST_SKUS = 10


def cannibalisation(ledger: Ledger, alpha: float) -> tuple[Cannibalisation, ...]:
    """Each variant whose offer sold something: revenue attributed to it, and the difference to control in money.

    Attributed are the offer's lines less the discounts of their orders. Incremental is the whole difference in revenue
    over the variant's units; by product, that in the product's own lines before discounts.
    """
    x = ledger.lines
    unit = _unit_of_order(ledger)
    inside = (x.order >= 0) & (unit[x.order] >= 0) if len(x.order) else np.zeros(0, dtype=bool)
    if not (inside & x.offered).any():
        return ()
    metric = BUILT_IN["revenue_per_visitor"]
    keep = ~ledger.unpriced
    whole = of_column(ledger, ledger.columns["revenue"], metric, alpha, keep)
    found = []
    for i, variant in enumerate(ledger.variants[1:], start=1):
        mine = inside & x.offered & (ledger.units.variant[unit[x.order]] == i)
        if not mine.any():
            continue
        by_sku = np.bincount(x.product[mine], weights=x.amount[mine], minlength=len(x.products))
        sold = np.flatnonzero(np.bincount(x.product[mine], minlength=len(x.products)))
        best = sorted((int(s) for s in sold), key=lambda s: (-by_sku[s], s))[:MOST_SKUS]
        units = int(ledger.totals[i])
        of_offer = inside & np.isin(x.product, sold)
        rest = _change(ledger, unit, inside & ~of_offer, variant, alpha, keep)
        found.append(
            Cannibalisation(
                variant, (float(by_sku.sum()) - _discounts(ledger, x.order[mine])) / 10**ledger.places,
                whole[variant].difference.times(units), whole[variant].p_value,
                NOTHING if rest is None else rest.difference.times(units),
                tuple(
                    SkuLine(*x.products[s], float(by_sku[s]) / 10**ledger.places, _of_sku(ledger, unit, inside, s,
                            variant, alpha, keep).times(units))
                    for s in best
                ),
            )
        )  # fmt: skip
    return tuple(found)


def _unit_of_order(ledger: Ledger) -> Ints:
    """By order code, the unit whose window it fell into, -1 where into none."""
    e = ledger.events
    orders = ledger.inside & (e.kind == ORDER) & (e.order >= 0)
    size = int(max(e.order.max(initial=-1), ledger.lines.order.max(initial=-1))) + 1
    found = np.full(size, -1, dtype=np.int64)
    found[e.order[orders]] = e.unit[orders]
    return found


def _discounts(ledger: Ledger, orders: Ints) -> float:
    e = ledger.events
    placed = ledger.inside & (e.kind == ORDER) & np.isin(e.order, np.unique(orders))
    return float(e.discount[placed].sum())


def _of_sku(
    ledger: Ledger, unit: Ints, inside: Bools, sku: int, variant: str, alpha: float, keep: Bools
) -> Effect:  # fmt: skip
    found = _change(ledger, unit, inside & (ledger.lines.product == sku), variant, alpha, keep)
    return NOTHING if found is None else found.difference


def _change(ledger: Ledger, unit: Ints, lines: Bools, variant: str, alpha: float, keep: Bools) -> Contrast | None:
    """The difference to control in what these lines come to, per unit."""
    x = ledger.lines
    if not lines.any():
        return None
    totals = np.bincount(unit[x.order[lines]], weights=x.amount[lines], minlength=len(ledger.units)).astype(np.int64)
    return of_column(ledger, totals, BUILT_IN["revenue_per_visitor"], alpha, keep, [variant])[variant]
