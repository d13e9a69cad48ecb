"""From rows to a Sample: for each metric the Moments of its units by variant, caps, tails, quantiles and segments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.analysis_plan import AnalysisPlan
from analysis.files import Piece, read_pieces, read_table, table_pieces
from analysis.frames import Labels, Numbers, as_table, labels
from analysis.gathering import gather
from analysis.moments import Moments
from analysis.quantiles import summarise
from analysis.sample import Cap, Population, QuantileSummary, Sample
from analysis.tails import Arm
from analysis.units import (
    Mask,
    Rows,
    in_order,
    known_rows,
    learned,
    lost_rows,
    of_first_row,
    read_rows,
    refuse_no_control,
    summed,
    units_with_rows,
)
from experiments.errors import Invalid
from experiments.metrics import COUNT, Metric

MOST_LEVELS = 50
Array = NDArray[Any]
Caps = Mapping[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Units in order of their variant: `order` lists them, variant i holds those from bounds[i] to bounds[i + 1].

    Only units that did something are listed; `units` counts the idle ones too, whose columns are all 0. An `order` of
    None is that of the rows themselves.
    """

    names: tuple[str, ...]
    order: NDArray[np.int64] | None
    bounds: tuple[int, ...]
    units: Mapping[str, int]

    @classmethod
    def of(cls, rows: Rows, units: Mask | None, counts: Mapping[str, int], columns: Iterable[Array]) -> "Cut":
        """The units of a mask, or all; `counts` are theirs by variant."""
        if rows.idle is not None and units is None:
            ends = np.searchsorted(rows.variant, np.arange(len(rows.names) + 1))
            return cls(rows.names, None, tuple(map(int, ends)), counts)
        busy = np.zeros(len(rows.variant), dtype=bool)
        for values in columns:
            busy |= values != 0
        listed = np.flatnonzero(busy if units is None else busy & units)
        variant = rows.variant[listed]
        # a short integer sorts by radix, in one pass
        short = variant.astype(np.int16, copy=False) if len(rows.names) < 2**15 else variant
        order = np.argsort(short, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(variant, minlength=len(rows.names)))])
        return cls(rows.names, listed[order], tuple(map(int, bounds)), counts)

    def split(self, ordered: Array) -> dict[str, Array]:
        """Each variant's part of an array that is in this order."""
        return {name: ordered[a:b] for name, a, b in zip(self.names, self.bounds, self.bounds[1:], strict=False)}


def sample_file(
    path: str | Path, plan: AnalysisPlan, variant: str, unit: str | None = None, segments: Sequence[str] = ()
) -> tuple[Sample, AnalysisPlan]:
    """The Sample of a file; the plan comes back with what was learned. Raises NotFound, Malformed or Invalid."""
    text = {variant, *segments} | ({unit} if unit else set())
    if _row_by_row(plan, unit, segments):
        return _sample_pieces(read_pieces(path, text, _needed(plan) | text), plan, variant)
    return _sample_whole(read_table(path, text, _needed(plan) | text), plan, variant, unit, segments)


def sample_frame(
    frame: Any, plan: AnalysisPlan, variant: str, unit: str | None = None, segments: Sequence[str] = ()
) -> tuple[Sample, AnalysisPlan]:
    """The Sample of a DataFrame or table with one row a unit, or several with `unit`. Raises Invalid."""
    table = as_table(frame, _needed(plan) | {variant, *segments} | ({unit} if unit else set()))
    if _row_by_row(plan, unit, segments):
        return _sample_pieces(table_pieces(table), plan, variant)
    return _sample_whole(table, plan, variant, unit, segments)


def _needed(plan: AnalysisPlan) -> set[str]:
    return {c for m in plan.metrics for c in (*m.columns, *m.covariates)} - {COUNT}


def _row_by_row(plan: AnalysisPlan, unit: str | None, segments: Sequence[str]) -> bool:
    """Whether a row of zeros adds to the number of units and to nothing else, so that it need not be kept."""
    counted = any(m.type == "quantile" or COUNT in m.columns for m in plan.metrics)
    return unit is None and not segments and not counted


def _sample_pieces(pieces: Iterable[Piece], plan: AnalysisPlan, variant: str) -> tuple[Sample, AnalysisPlan]:
    rows, lost = gather(pieces, variant, sorted(_needed(plan)))
    refuse_no_control(plan, variant, rows.names)
    plan, rows, found = learned(plan, rows)
    caps = {m.key: _cap(m, rows) for m in plan.metrics if m.cap is not None}
    return replace(_sample(plan, rows, caps, None), checks=(*lost_rows(lost), *found)), plan


def _sample_whole(
    table: pa.Table, plan: AnalysisPlan, variant: str, unit: str | None, segments: Sequence[str]
) -> tuple[Sample, AnalysisPlan]:
    rows, plan, found = read_rows(table, plan, variant, unit)
    caps = {m.key: _cap(m, rows) for m in plan.metrics if m.cap is not None}
    levels = {s: _levels(s, in_order(labels(table, s)), rows) for s in segments}
    cells = {
        segment: {word: _sample(plan, rows, caps, at) for word, at in cut.items()} for segment, cut in levels.items()
    }
    return replace(_sample(plan, rows, caps, None), checks=tuple(found), segments=cells), plan


def _levels(segment: str, words: Labels, rows: Rows) -> dict[str, Mask]:
    if len(words.words) > MOST_LEVELS:
        raise Invalid.at(segment, f"{len(words.words)} levels are too many to compare, the most are {MOST_LEVELS}")
    code = (words.codes if rows.kept is None else words.codes[rows.kept])[rows.first]
    levels = {word: code == i for i, word in enumerate(words.words)}
    return levels | ({"(blank)": code < 0} if (code < 0).any() else {})


def _sample(plan: AnalysisPlan, rows: Rows, caps: Caps, units: Mask | None) -> Sample:
    """The Sample of some units: metrics that lack the same rows share one set of Moments."""
    counts = rows.count(units)
    shared: dict[tuple[str, ...], list[Metric]] = {}
    for metric in plan.metrics:
        if metric.type != "quantile":
            holes = tuple(sorted(c for c in metric.columns if c != COUNT and rows.columns[c].known is not None))
            shared.setdefault(holes, []).append(metric)
    populations: dict[str, Population] = {}
    for metrics in shared.values():
        populations |= _populations(metrics, rows, caps, units, counts)
    quantiles = {m.key: _quantiles(m, rows, units) for m in plan.metrics if m.type == "quantile"}
    return Sample(counts, populations, quantiles)


def _populations(
    metrics: Sequence[Metric], rows: Rows, caps: Caps, units: Mask | None, counts: Mapping[str, int]
) -> dict[str, Population]:
    known = known_rows(metrics[0], rows)
    if known is not None:
        there = units_with_rows(rows, known)
        units = there if units is None else units & there
        counts = rows.count(units)
    columns = {c: summed(c, rows, known) for m in metrics for c in m.columns}
    columns |= {c: of_first_row(c, rows) for m in metrics for c in m.covariates}
    cut = Cut.of(rows, units, counts, (c.values for c in columns.values()))
    ordered = {
        name: Numbers(c.values if cut.order is None else c.values[cut.order], c.scale, None)
        for name, c in columns.items()
    }
    return populations(metrics, ordered, cut, caps)


def populations(
    metrics: Sequence[Metric], ordered: Mapping[str, Numbers], cut: Cut, caps: Caps
) -> dict[str, Population]:
    """The population of each metric, from columns that are in the order of the cut."""
    plain = _moments(ordered, cut)
    out = {}
    for m in metrics:
        cap = caps.get(m.key)
        if cap is None:
            out[m.key] = Population(plain, arms=_arms(m, ordered, cut), buyers=_buyers(m, ordered, cut))
            continue
        values = ordered[m.numerator].floats
        touched = {name: int((part > cap).sum()) for name, part in cut.split(values).items()}
        own = {c: ordered[c] for c in (*m.columns, *m.covariates)}
        own[m.numerator] = Numbers(np.minimum(values, cap), 0, None)
        found = Cap(m.cap or 0.0, cap, touched)
        out[m.key] = Population(_moments(own, cut), found, plain, _arms(m, own, cut), _buyers(m, own, cut))
    return out


def _moments(columns: Mapping[str, Numbers], cut: Cut) -> dict[str, Moments]:
    scales = {name: c.scale for name, c in columns.items()}
    parts = {name: cut.split(c.values) for name, c in columns.items()}
    return {
        v: Moments.from_rows(
            {name: part[v] for name, part in parts.items()},
            scales,
            idle=cut.units[v] - (cut.bounds[i + 1] - cut.bounds[i]),
        )
        for i, v in enumerate(cut.names)
    }


def _arms(metric: Metric, columns: Mapping[str, Numbers], cut: Cut) -> dict[str, Arm]:
    """Third moments and extremes by variant, of the mean, or of the ratio linearised about its pooled value.

    Most units did nothing: only the others are touched, and the zeros are counted in.
    """
    if metric.type == "proportion":
        return {}
    raw = [columns[c].values for c in metric.columns]
    did = np.flatnonzero(raw[0] != 0 if len(raw) == 1 else (raw[0] != 0) | (raw[1] != 0))
    values, *over = kept = [Numbers(columns[c].values[did], columns[c].scale, None).floats for c in metric.columns]
    if over:
        if over[0].sum() == 0:
            return {}
        values = (values - values.sum() / over[0].sum() * over[0]) / (over[0].sum() / sum(cut.units.values()))
    ends = np.searchsorted(did, cut.bounds)
    out = {}
    for i, (name, units) in enumerate(cut.units.items()):
        if not units:
            continue
        part = values[ends[i] : ends[i + 1]]
        idle, mean = units - len(part), float(part.sum()) / units
        with np.errstate(over="ignore", invalid="ignore"):
            centred = part - mean
            third = (float((centred * centred * centred).sum()) - idle * mean**3) / units
        if not np.isfinite(third):
            return {}
        zero = [0.0] if idle else []
        extremes = [*zero, *((float(part.min()), float(part.max())) if len(part) else ())]
        own = tuple(c[ends[i] : ends[i + 1]] for c in kept)
        out[name] = Arm(units, mean, third, min(extremes), max(extremes), own)
    return out


def _buyers(metric: Metric, columns: Mapping[str, Numbers], cut: Cut) -> dict[str, NDArray[np.float64]]:
    """The numerators of the units that have a denominator, by variant."""
    if metric.denominator is None:
        return {}
    bought = np.flatnonzero(columns[metric.denominator].values > 0)
    values = Numbers(columns[metric.numerator].values[bought], columns[metric.numerator].scale, None).floats
    ends = np.searchsorted(bought, cut.bounds)
    return {name: values[ends[i] : ends[i + 1]] for i, name in enumerate(cut.names)}


def _cap(metric: Metric, rows: Rows) -> float | None:
    """The cap: a quantile of the pooled buyers' values, the same for every variant (Wang & Burke 2019)."""
    known = known_rows(metric, rows)
    values = summed(metric.numerator, rows, known).floats
    bought = values[values > 0]
    return None if metric.cap is None or not len(bought) else float(np.quantile(bought, metric.cap))


def _quantiles(metric: Metric, rows: Rows, units: Mask | None) -> dict[str, QuantileSummary]:
    """Of the rows themselves, with units as clusters where a unit has several."""
    known = known_rows(metric, rows)
    values = rows.columns[metric.numerator].floats
    unit = np.arange(len(values)) if rows.unit is None else rows.unit
    keep = np.ones(len(values), dtype=bool) if units is None else units[unit]
    keep = keep if known is None else keep & known
    variant = rows.variant[unit]
    out = {}
    for code, name in enumerate(rows.names):
        at = keep & (variant == code)
        out[name] = summarise(values[at], metric.quantile or 0.5, None if rows.unit is None else unit[at])
    return out
