"""Does the offer tire? The effect by how often a visitor met offers, against control's who would have as often."""

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.contrast import Contrast, contrast
from analysis.effect import NOTHING, Effect
from analysis.ledger import DISMISSED, Bools, Ints, Ledger
from analysis.moments import Moments
from analysis.parts import Dose, Fatigue
from experiments.metrics import BUILT_IN, MONEY_COLUMNS, Metric
from experiments.wording import worded

MOST_DOSES = 5
FEWEST = 30
"""Units that a number of views needs on both sides to be compared."""


def fatigue(ledger: Ledger, primary: Metric, alpha: float) -> tuple[Fatigue, ...]:
    """By variant; empty where views are not counted (they are while some experiment caps how often offers are met).

    Views are counted for control too, as those it would have had, so that like is compared with like.
    """
    if ledger.doses is None:
        return ()
    metric = primary if primary.type != "ratio" else BUILT_IN["revenue_per_visitor"]
    if "contribution" in metric.columns and ledger.uncosted.any():
        metric = BUILT_IN["revenue_per_visitor"]
    dose = np.minimum(ledger.units.views, MOST_DOSES)
    counted = np.concatenate(
        [ledger.doses[:, :MOST_DOSES], ledger.doses[:, MOST_DOSES:].sum(axis=1, keepdims=True)], axis=1
    )
    return tuple(_variant(ledger, i, metric, dose, counted, alpha) for i in range(1, len(ledger.variants)))


def _variant(ledger: Ledger, variant: int, metric: Metric, dose: Ints, counted: Ints, alpha: float) -> Fatigue:
    found: list[tuple[int, Contrast, float | None]] = []
    for k in range(1, MOST_DOSES + 1):
        if min(counted[0, k], counted[variant, k]) < FEWEST:
            continue
        pair = [_moments(ledger, i, metric, dose == k, int(counted[i, k])) for i in (0, variant)]
        found.append(
            (k, contrast(metric, pair, alpha), _dismissals(ledger, variant, dose == k, int(counted[variant, k])))
        )
    usable = [(k, c) for k, c, _ in found if c.difference.standard_error]
    slope, p_value = _slope(usable, alpha)
    doses = tuple(Dose(k, c.units, c.control_units, c.difference, shut) for k, c, shut in found)
    name = ledger.variants[variant]
    if len(usable) < 2:
        return Fatigue(
            name, metric.key, doses, NOTHING, None, None, worded("too few visitors met offers more than once")
        )
    tired = None
    if p_value is not None and p_value < alpha and (slope.estimate or 0.0) < 0:
        tired = _tired_from(usable, alpha)
    return Fatigue(name, metric.key, doses, slope, p_value, tired)


def _moments(ledger: Ledger, variant: int, metric: Metric, which: Bools, units: int) -> Moments:
    mine = which & (ledger.units.variant == variant) & ~ledger.unpriced
    left = units - int((which & (ledger.units.variant == variant) & ledger.unpriced).sum())
    columns = {name: ledger.columns[name][mine] for name in metric.columns}
    scales = {name: ledger.places for name in metric.columns if name in MONEY_COLUMNS}
    return Moments.from_rows(columns, scales, idle=max(left - int(mine.sum()), 0))


def _dismissals(ledger: Ledger, variant: int, which: Bools, units: int) -> float | None:
    e = ledger.events
    shut = ledger.inside & (e.kind == DISMISSED)
    here = which & (ledger.units.variant == variant)
    return len(np.unique(e.unit[shut][here[e.unit[shut]]])) / units if units else None


def _slope(usable: list[tuple[int, Contrast]], alpha: float) -> tuple[Effect, float | None]:
    """The weighted straight line through the effects: its slope by view, and the test that it is 0."""
    if len(usable) < 2:
        return NOTHING, None
    x = np.array([k for k, _ in usable], dtype=float)
    y = np.array([c.difference.estimate or 0.0 for _, c in usable])
    w = np.array([1 / (c.difference.standard_error or 1.0) ** 2 for _, c in usable])
    centre = (w @ x) / w.sum()
    spread = float(w @ (x - centre) ** 2)
    slope, error = float(w @ ((x - centre) * y) / spread), float(1 / np.sqrt(spread))
    z = slope / error
    reach = _critical(alpha) * error
    return Effect(slope, slope - reach, slope + reach, error), float(2 * ndtr(-abs(z)))


def _critical(alpha: float) -> float:
    return float(ndtri(1 - alpha / 2))


def _tired_from(usable: list[tuple[int, Contrast]], alpha: float) -> int | None:
    """The view from which on the pooled effect is below that of the views before it; the clearest such place."""
    best: tuple[float, int] | None = None
    for cut in range(1, len(usable)):
        (a, va), (b, vb) = (_pooled(part) for part in (usable[:cut], usable[cut:]))
        z = (b - a) / np.sqrt(va + vb)
        if z < -_critical(alpha) and (best is None or z < best[0]):
            best = (float(z), usable[cut][0])
    return None if best is None else best[1]


def _pooled(some: list[tuple[int, Contrast]]) -> tuple[float, float]:
    w = np.array([1 / (c.difference.standard_error or 1.0) ** 2 for _, c in some])
    y = np.array([c.difference.estimate or 0.0 for _, c in some])
    return float(w @ y / w.sum()), float(1 / w.sum())
