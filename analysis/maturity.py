"""How many of the counted orders can no longer come back."""

import numpy as np

from analysis.ledger import ORDER, Ledger
from analysis.parts import Maturity, VariantMaturity


def maturity(ledger: Ledger, return_days: int) -> Maturity:
    """Orders by variant, and those of them past the storefront's return window."""
    e, k = ledger.events, len(ledger.variants)
    placed = ledger.inside & (e.kind == ORDER)
    variant = ledger.units.variant[e.unit]
    orders = np.bincount(variant[placed], minlength=k)
    matured = np.bincount(variant[placed & e.settled], minlength=k)
    rows = tuple(
        VariantMaturity(v, int(n), int(m)) for v, n, m in zip(ledger.variants, orders, matured, strict=True)
    )  # fmt: skip
    total, settled = int(orders.sum()), int(matured.sum())
    return Maturity(return_days, total, settled, settled / total if total else None, rows)
