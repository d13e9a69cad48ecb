"""From rows to a Sample: which variant a unit is in, its rows summed to it, and the population of each metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis import balance
from analysis.analysis_plan import AnalysisPlan
from analysis.checks import Check, Status
from analysis.frames import Labels, Numbers, labels, numbers
from analysis.moments import Moments
from analysis.quantiles import summarise
from analysis.sample import Cap, Population, QuantileSummary, Sample
from analysis.tails import Arm
from experiments.errors import Invalid
from experiments.metrics import COUNT, Metric

MOST_LEVELS = 50
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows kept: `unit` numbers each row's unit, `first` is each unit's first row, `variant` each unit's code."""

    unit: NDArray[np.int64] | None
    first: NDArray[np.int64]
    variant: NDArray[np.int64]
    names: tuple[str, ...]
    columns: Mapping[str, Numbers]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.first) if self.unit is None else len(self.unit)


def sample_table(
    table: pa.Table, plan: AnalysisPlan, variant: str, unit: str | None = None, segments: Sequence[str] = ()
) -> tuple[Sample, AnalysisPlan]:
    """The Sample of a table with one row a unit, or several with `unit`; the plan comes back with what was learned.

    A blank leaves its row out of the metrics that need the column; a blank covariate becomes 0 beside an indicator
    column of its own, which the plan's metrics then name. Raises Invalid.
    """
    arms = _sorted(labels(table, variant))
    if plan.control not in arms.words:
        raise Invalid.at(
            "control", f"{plan.control!r} is no variant; {variant} holds {', '.join(arms.words) or 'nothing'}"
        )
    rows, found = _rows(table, plan, arms, unit)
    plan, rows, unknown_covariates = _with_indicators(plan, rows)
    found += unknown_covariates
    found += _missing(plan, rows)
    caps = {m.key: _cap(m, rows) for m in plan.metrics if m.cap is not None}
    whole = np.ones(len(rows.first), dtype=bool)
    levels = {s: _levels(s, _sorted(labels(table, s)), rows) for s in segments}
    sample = _sample(plan, rows, caps, whole)
    cells = {
        segment: {word: _sample(plan, rows, caps, at) for word, at in cut.items()} for segment, cut in levels.items()
    }
    return replace(sample, checks=tuple(found), segments=cells), plan


def _rows(table: pa.Table, plan: AnalysisPlan, arms: Labels, unit: str | None) -> tuple[Rows, list[Check]]:
    found = []
    keep = arms.codes >= 0
    who = labels(table, unit) if unit else None
    if who is not None:
        keep &= who.codes >= 0
    dropped = int((~keep).sum())
    if dropped:
        what = f"{plan.control and 'variant'}{' or unit' if unit else ''}"
        found.append(
            Check("missing_variant", "warn", None, float(dropped), f"{dropped:,} rows without a {what} left out")
        )
    names = {c for m in plan.metrics for c in (*m.columns, *m.covariates)} - {COUNT}
    columns = {name: _kept(numbers(table, name), keep) for name in sorted(names)}
    variant_of_row = arms.codes[keep]
    if who is None:
        here = np.arange(len(variant_of_row))
        return Rows(None, here, variant_of_row, arms.words, columns), found
    _, first, code = np.unique(who.codes[keep], return_index=True, return_inverse=True)
    variant = variant_of_row[first]
    crossed = np.zeros(len(first), dtype=bool)
    crossed[code[variant_of_row != variant[code]]] = True
    found.append(_crossovers(crossed, variant, arms.words))
    return Rows(code, first, variant, arms.words, columns), found


def _sorted(words: Labels) -> Labels:
    """The same words in alphabetical order: no answer depends on the order of the rows."""
    order = sorted(range(len(words.words)), key=words.words.__getitem__)
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(len(order)), -1
    return Labels(rank[words.codes], tuple(words.words[i] for i in order))


def _kept(column: Numbers, keep: Mask) -> Numbers:
    if keep.all():
        return column
    return Numbers(column.values[keep], column.scale, None if column.known is None else column.known[keep])


def _crossovers(crossed: Mask, variant: NDArray[np.int64], names: Sequence[str]) -> Check:
    by = dict(zip(names, map(int, np.bincount(variant[crossed], minlength=len(names))), strict=True))
    of = dict(zip(names, map(int, np.bincount(variant, minlength=len(names))), strict=True))
    found = balance.crossovers(by, of)
    count = int(crossed.sum())
    if not count:
        return replace(found, statistic=0.0, detail="no unit was seen under two variants")
    detail = f"{count:,} units were seen under two variants, each analysed under its first row; {found.detail}"
    return replace(found, status="fail" if found.status == "fail" else "warn", detail=detail)


def _with_indicators(plan: AnalysisPlan, rows: Rows) -> tuple[AnalysisPlan, Rows, list[Check]]:
    """A covariate with blanks gains a column that says where it is known: no history is not a history of zero."""
    columns = dict(rows.columns)
    extra = {}
    found = []
    for name in dict.fromkeys(c for m in plan.metrics for c in m.covariates):
        known = columns[name].known
        if known is None or known[rows.first].all():
            continue
        extra[name] = f"{name} is known"
        columns[extra[name]] = Numbers(known.astype(np.int64), 0, None)
        blank = int((~known[rows.first]).sum())
        found.append(
            Check(
                "missing_covariate",
                "pass",
                None,
                float(blank),
                f"{name}: blank for {blank:,} units, taken as no history",
            )
        )
    if not extra:
        return plan, rows, found
    metrics = tuple(
        replace(m, covariates=(*m.covariates, *(extra[c] for c in m.covariates if c in extra))) for m in plan.metrics
    )
    return replace(plan, metrics=metrics), replace(rows, columns=columns), found


def _known(metric: Metric, rows: Rows) -> Mask | None:
    """Which rows have every column the metric measures; None where all have."""
    masks = [known for c in metric.columns if c != COUNT and (known := rows.columns[c].known) is not None]
    return None if not masks else np.logical_and.reduce(masks)


def _missing(plan: AnalysisPlan, rows: Rows) -> list[Check]:
    """Rows left out for a blank, by metric and variant: a fault where the variants lose unlike shares."""
    variant = rows.variant if rows.unit is None else rows.variant[rows.unit]
    of = dict(zip(rows.names, map(int, np.bincount(variant, minlength=len(rows.names))), strict=True))
    parts, statuses, most = [], {"pass"}, 0
    for metric in plan.metrics:
        known = _known(metric, rows)
        if known is None or known.all():
            continue
        lost = dict(zip(rows.names, map(int, np.bincount(variant[~known], minlength=len(rows.names))), strict=True))
        most = max(most, sum(lost.values()))
        statuses.add("warn")
        statuses.add(balance.missing_data(lost, of, metric.key).status)
        by = ", ".join(f"{name} {count:,}" for name, count in lost.items() if count)
        parts.append(f"{metric.key}: {sum(lost.values()):,} rows left out for a blank ({by})")
    status: Status = "fail" if "fail" in statuses else "warn" if parts else "pass"
    detail = "; ".join(parts) or "no blank in a column that a metric needs"
    return [Check("missing_data", status, None, float(most), detail)]


def _levels(segment: str, words: Labels, rows: Rows) -> dict[str, Mask]:
    if len(words.words) > MOST_LEVELS:
        raise Invalid.at(segment, f"{len(words.words)} levels are too many to compare, the most are {MOST_LEVELS}")
    code = words.codes[: rows.rows][rows.first] if len(words.codes) == rows.rows else words.codes[rows.first]
    levels = {word: code == i for i, word in enumerate(words.words)}
    if (code < 0).any():
        levels["(blank)"] = code < 0
    return levels


def _sample(plan: AnalysisPlan, rows: Rows, caps: Mapping[str, float | None], units: Mask) -> Sample:
    """The Sample of some units: metrics whose columns are whole share one set of Moments."""
    counts = np.bincount(rows.variant[units], minlength=len(rows.names))
    shared: dict[tuple[str, ...], list[Metric]] = {}
    for metric in plan.metrics:
        if metric.type != "quantile":
            holes = tuple(sorted(c for c in metric.columns if c != COUNT and rows.columns[c].known is not None))
            shared.setdefault(holes, []).append(metric)
    populations: dict[str, Population] = {}
    for metrics in shared.values():
        populations |= _populations(metrics, rows, caps, units)
    quantiles = {m.key: _quantiles(m, rows, units) for m in plan.metrics if m.type == "quantile"}
    return Sample(dict(zip(rows.names, map(int, counts), strict=True)), populations, quantiles)


def _populations(
    metrics: Sequence[Metric], rows: Rows, caps: Mapping[str, float | None], units: Mask
) -> dict[str, Population]:
    known = _known(metrics[0], rows)
    here = units if known is None else units & _has_row(rows, known)
    columns = {c: _summed(c, rows, known) for m in metrics for c in m.columns}
    for m in metrics:
        if m.type == "proportion":
            columns[m.numerator] = _zero_or_one(m, columns[m.numerator])
    columns |= {c: _of_first_row(c, rows) for m in metrics for c in m.covariates}
    plain = _moments(columns, rows, here)
    out = {}
    for m in metrics:
        cap = caps.get(m.key)
        if cap is None:
            out[m.key] = Population(plain, arms=_arms(m, columns, rows, here), buyers=_buyers(m, columns, rows, here))
            continue
        values = columns[m.numerator]
        over = here & (values.floats > cap)
        touched = np.bincount(rows.variant[over], minlength=len(rows.names))
        own = {c: columns[c] for c in (*m.columns, *m.covariates)}
        own[m.numerator] = Numbers(np.minimum(values.floats, cap), 0, None)
        found = Cap(m.cap or 0.0, cap, dict(zip(rows.names, map(int, touched), strict=True)))
        out[m.key] = Population(
            _moments(own, rows, here), found, plain, _arms(m, own, rows, here), _buyers(m, own, rows, here)
        )
    return out


def _has_row(rows: Rows, known: Mask) -> Mask:
    return known if rows.unit is None else np.bincount(rows.unit, weights=known, minlength=len(rows.first)) > 0


def _summed(name: str, rows: Rows, known: Mask | None) -> Numbers:
    """A column summed to the unit, over the rows that are known."""
    column = rows.columns[name] if name != COUNT else Numbers(np.ones(rows.rows, dtype=np.int64), 0, None)
    values = column.values if known is None else np.where(known, column.values, 0)
    if rows.unit is None:
        return Numbers(values, column.scale, None)
    # sums of doubles below 2**53 are exact, so integers stay integers
    summed = np.bincount(rows.unit, weights=values, minlength=len(rows.first))
    if values.dtype.kind != "f":
        summed = (
            summed.astype(np.int64)
            if np.abs(values).sum(dtype=np.float64) < 2**53
            else _added(values, rows.unit, len(rows.first))
        )
    return Numbers(summed, column.scale, None)


def _added(values: NDArray[Any], unit: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    out = np.zeros(units, dtype=np.int64)
    np.add.at(out, unit, values)
    return out


def _of_first_row(name: str, rows: Rows) -> Numbers:
    """A covariate belongs to the unit: its first row, since summing would let the rows after exposure in."""
    column = rows.columns[name]
    values = column.values if column.known is None else np.where(column.known, column.values, 0)
    return Numbers(values if rows.unit is None else values[rows.first], column.scale, None)


def _zero_or_one(metric: Metric, column: Numbers) -> Numbers:
    values = column.values
    if column.scale == 0 and bool(((values == 0) | (values == 1)).all()):
        return column
    if (values < 0).any() or column.scale or values.dtype.kind == "f":
        raise Invalid.at(metric.numerator, "a proportion's column holds 0 and 1")
    return Numbers((values > 0).astype(np.int64), 0, None)


def _moments(columns: Mapping[str, Numbers], rows: Rows, units: Mask) -> dict[str, Moments]:
    scales = {name: c.scale for name, c in columns.items()}
    whole = bool(units.all())
    out = {}
    for code, name in enumerate(rows.names):
        at = np.flatnonzero(rows.variant == code if whole else (rows.variant == code) & units)
        out[name] = Moments.from_rows({n: c.values[at] for n, c in columns.items()}, scales=scales)
    return out


def _arms(metric: Metric, columns: Mapping[str, Numbers], rows: Rows, units: Mask) -> dict[str, Arm]:
    """Third moments and extremes by variant, of the mean, or of the ratio linearised about its pooled value."""
    if metric.type == "proportion":
        return {}
    values = columns[metric.numerator].floats
    if metric.denominator:
        over = columns[metric.denominator].floats
        total = over[units].sum()
        if total == 0:
            return {}
        values = (values - values[units].sum() / total * over) / (total / units.sum())
    out = {}
    for code, name in enumerate(rows.names):
        here = values[units & (rows.variant == code)]
        if len(here):
            centred = here - here.mean()
            with np.errstate(over="ignore", invalid="ignore"):
                third = float(np.mean(centred * centred * centred))
            if not np.isfinite(third):
                return {}
            out[name] = Arm(len(here), float(here.mean()), third, float(here.min()), float(here.max()))
    return out


def _buyers(metric: Metric, columns: Mapping[str, Numbers], rows: Rows, units: Mask) -> dict[str, NDArray[np.float64]]:
    """The numerators of the units that have a denominator, by variant."""
    if metric.denominator is None:
        return {}
    bought = units & (columns[metric.denominator].values > 0)
    values = columns[metric.numerator].floats
    return {name: values[bought & (rows.variant == code)] for code, name in enumerate(rows.names)}


def _cap(metric: Metric, rows: Rows) -> float | None:
    """The cap: a quantile of the pooled buyers' values, the same for every variant (Wang & Burke 2019)."""
    known = _known(metric, rows)
    values = _summed(metric.numerator, rows, known).floats
    bought = values[values > 0]
    return None if metric.cap is None or not len(bought) else float(np.quantile(bought, metric.cap))


def _quantiles(metric: Metric, rows: Rows, units: Mask) -> dict[str, QuantileSummary]:
    known = _known(metric, rows)
    level = metric.quantile or 0.5
    values = _summed(metric.numerator, replace(rows, unit=None, first=np.arange(rows.rows)), None).floats
    unit = np.arange(rows.rows) if rows.unit is None else rows.unit
    keep = units[unit] if known is None else units[unit] & known
    out = {}
    for code, name in enumerate(rows.names):
        at = keep & (rows.variant[unit] == code)
        out[name] = summarise(values[at], level, unit[at] if rows.unit is not None else None)
    return out
