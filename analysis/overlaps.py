"""Other experiments that met the same units: does the effect depend on what those showed?"""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis import segments
from analysis.contrast import contrast
from analysis.effect import NOTHING
from analysis.ledger import Ints, Ledger
from analysis.ledger_sample import NEEDS_COST, NEEDS_REVENUE
from analysis.moments import Moments
from analysis.multiplicity import adjust
from analysis.parts import Overlap
from experiments.errors import NotEstimable
from experiments.metrics import MONEY_COLUMNS, Metric
from experiments.wording import worded

FEWEST_UNITS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """Another experiment: units of ours that it met, by our variant and its own.

    `listed` are the places, among the ledger's units, of those that it met, and `variant` is what each of them met.
    """

    experiment: str
    variants: tuple[str, ...]
    units: Ints
    listed: Ints
    variant: Ints


def overlaps(ledger: Ledger, metric: Metric, others: tuple[Neighbour, ...], alpha: float) -> tuple[Overlap, ...]:
    """For each neighbour with units in common: by variant the interaction's p-value, corrected over all of them (Holm).

    Cochran's Q over the other experiment's variants, that our effect is the same in each. The least p-value is first,
    what could not be estimated last; where that is equal, the most units in common.
    """
    raw: dict[tuple[str, str], float | None] = {}
    reasons: dict[str, str] = {}
    for other in others:
        for i, variant in enumerate(ledger.variants[1:], start=1):
            try:
                raw[other.experiment, variant] = _interaction(ledger, metric, other, i, alpha)
            except NotEstimable as error:
                raw[other.experiment, variant], reasons[other.experiment] = None, error.message
    corrected = dict(zip(raw, adjust(list(raw.values()), "holm"), strict=True))
    total = int(ledger.entered.sum())
    found = []
    for other in others:
        ours: Mapping[str, float | None] = {v: corrected[other.experiment, v] for v in ledger.variants[1:]}
        shared = int(other.units.sum())
        least = min((p for p in ours.values() if p is not None), default=None)
        found.append(
            Overlap(other.experiment, shared, shared / total if total else 0.0, ours, least,
                    reasons.get(other.experiment) if least is None else None)
        )  # fmt: skip
    return tuple(sorted(found, key=lambda o: (o.p_value is None, o.p_value, -o.units)))


def _interaction(ledger: Ledger, metric: Metric, other: Neighbour, variant: int, alpha: float) -> float:
    if NEEDS_COST & set(metric.columns) and ledger.uncosted.any():
        raise NotEstimable(worded("costs are not all known"))
    effects, errors = [], []
    for j in range(len(other.variants)):
        units = [int(other.units[i, j]) for i in (0, variant)]
        if min(units) < FEWEST_UNITS:
            continue
        pair = [
            _moments(ledger, metric, i, other.listed[other.variant == j], n)
            for i, n in zip((0, variant), units, strict=True)
        ]
        c = contrast(metric, pair, alpha)
        if c.difference != NOTHING and c.difference.standard_error and c.difference.estimate is not None:
            effects.append(c.difference.estimate)
            errors.append(c.difference.standard_error)
    return segments.interaction(effects, errors).p_value


def _moments(ledger: Ledger, metric: Metric, variant: int, which: Ints, units: int) -> Moments:
    mine = which[ledger.units.variant[which] == variant]
    kept = mine[~ledger.unpriced[mine]] if NEEDS_REVENUE & set(metric.columns) else mine
    columns = {name: ledger.columns[name][kept] for name in metric.columns}
    scales = {name: ledger.places for name in metric.columns if name in MONEY_COLUMNS}
    return Moments.from_rows(columns, scales, idle=units - len(mine))
