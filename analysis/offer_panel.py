"""What each offer did on its way, from being eligible for it to keeping what it sold."""

from collections.abc import Mapping

import numpy as np

from analysis.ledger import ACCEPTED, CLICKED, DISMISSED, ORDER, REFUND, Bools, Ints, Ledger
from analysis.parts import OfferPanel, Step, TopLine
from experiments.offers import NoOffer, Offer

TOP = 5


def offer_panels(ledger: Ledger, offers: Mapping[str, Offer]) -> tuple[OfferPanel, ...]:
    """One panel for each variant, control too: its funnel says who would have been asked anyway."""
    return tuple(_panel(ledger, i, offers.get(v)) for i, v in enumerate(ledger.variants))


def offered_orders(ledger: Ledger) -> Bools:
    """By order code, whether the order has a line that came by the offer."""
    size = int(max(ledger.events.order.max(initial=-1), ledger.lines.order.max(initial=-1))) + 1
    found = np.zeros(size, dtype=bool)
    found[ledger.lines.order[ledger.lines.offered & (ledger.lines.order >= 0)]] = True
    return found


def _panel(ledger: Ledger, variant: int, offer: Offer | None) -> OfferPanel:
    e, name = ledger.events, ledger.variants[variant]
    mine = ledger.inside & (ledger.units.variant[e.unit] == variant)
    shows = not isinstance(offer, NoOffer)
    sold = offered_orders(ledger)
    came = mine & (e.kind == ORDER) & (e.order >= 0)
    came[came] = sold[e.order[came]]
    back = np.zeros(len(sold), dtype=bool)
    back[e.order[mine & (e.kind == REFUND) & (e.order >= 0)]] = True
    kept = came.copy()
    kept[kept] = ~back[e.order[kept]]
    acts = {kind: _units(ledger, mine & (e.kind == kind)) for kind in (CLICKED, ACCEPTED, DISMISSED)}
    entered, viewed = int(ledger.totals[variant]), int(ledger.viewed[:, variant].sum())
    refusals = {why: n for (of, why), n in ledger.refused.items() if of == name}
    steps = [
        ("asked", entered + sum(refusals.values())), ("eligible", entered),
        ("viewed", viewed if shows or viewed else None),
        ("clicked", (acts[CLICKED] or None) if shows else None), ("accepted", acts[ACCEPTED] if shows else None),
        ("paid", _units(ledger, came) if shows else None), ("kept", _units(ledger, kept) if shows else None),
    ]  # fmt: skip
    discount = int(e.discount[came].sum()) / 10**ledger.places
    orders = int(came.sum())
    return OfferPanel(
        name, type(offer).__struct_config__.tag if offer is not None else "none",  # type: ignore[arg-type]  # every offer has its tag
        _funnel(steps), _share(acts[ACCEPTED], viewed) if shows else None,
        _share(acts[DISMISSED], viewed) if shows else None, discount, discount / orders if orders else None,
        dict(sorted(refusals.items(), key=lambda r: (-r[1], r[0]))), _top(ledger, came, sold),
    )  # fmt: skip


def _units(ledger: Ledger, mask: Bools) -> int:
    return len(np.unique(ledger.events.unit[mask]))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _funnel(steps: list[tuple[str, int | None]]) -> tuple[Step, ...]:
    """Each step's share of the last one before it that was counted."""
    found, before = [], None
    for step, units in steps:
        found.append(Step(step, units, None if units is None or before is None else _share(units, before)))
        before = units if units is not None else before
    return tuple(found)


def _top(ledger: Ledger, came: Bools, sold: Bools) -> tuple[TopLine, ...]:
    """The products that the offer sold most of, by revenue before discounts."""
    x = ledger.lines
    ours = np.zeros(len(sold), dtype=bool)
    ours[ledger.events.order[came]] = True
    mine = x.offered & (x.order >= 0)
    mine[mine] = ours[x.order[mine]]
    if not mine.any():
        return ()
    amount: Ints = np.bincount(x.product[mine], weights=x.amount[mine], minlength=len(x.products)).astype(np.int64)
    pieces = np.bincount(x.product[mine], weights=x.quantity[mine], minlength=len(x.products)).astype(np.int64)
    best = [int(i) for i in np.argsort(-amount, kind="stable")[:TOP] if amount[i] > 0 or pieces[i] > 0]
    return tuple(
        TopLine(*x.products[i], len(np.unique(x.order[mine & (x.product == i)])), int(pieces[i]),
                int(amount[i]) / 10**ledger.places)
        for i in best
    )  # fmt: skip
