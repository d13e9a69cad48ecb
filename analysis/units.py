"""Rows of a table and the units they belong to: which variant a unit is in, what is missing, its rows summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis import balance
from analysis.analysis_plan import AnalysisPlan
from analysis.checks import Check, Status
from analysis.frames import Labels, Numbers, identities, labels, numbers, tally
from experiments.errors import Invalid
from experiments.metrics import COUNT, Metric
from experiments.wording import figure, worded

MOST_LEVELS = 50
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows kept: `unit` numbers each row's unit, `first` is each unit's first row, `variant` each unit's code.

    Without `unit` each row is a unit. `kept` masks the table's rows that are here, None where all are; `any_of` names
    columns that are 1 where any row of the unit has a 1 in another column. With `idle` the rows are in order of their
    variant, and so many more of each variant are known to have 0 in every column.
    """

    kept: Mask | None
    unit: NDArray[np.int64] | None
    first: NDArray[np.int64]
    variant: NDArray[np.signedinteger[Any]]
    names: tuple[str, ...]
    columns: Mapping[str, Numbers]
    any_of: Mapping[str, str] = field(default_factory=dict)
    idle: NDArray[np.int64] | None = None

    def count(self, units: Mask | None = None) -> dict[str, int]:
        """Units by variant, idle ones included; of the others those of a mask, or all."""
        found = tally(self.variant if units is None else self.variant[units], len(self.names))
        total = found if self.idle is None else found + self.idle
        return dict(zip(self.names, total.tolist(), strict=True))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.first) if self.unit is None else len(self.unit)


def read_rows(
    table: pa.Table, plan: AnalysisPlan, variant: str, unit: str | None
) -> tuple[Rows, AnalysisPlan, list[Check]]:
    """The rows of a table, the plan with what they taught, and the checks of what was left out.

    A blank leaves its row out of the metrics that need the column; a blank covariate becomes 0 beside an indicator
    column of its own, which the plan's metrics then name. Raises Invalid.
    """
    arms = in_order(labels(table, variant))
    refuse_no_control(plan, variant, arms.words)
    rows, found = _rows(table, plan, arms, unit)
    plan, rows, noticed = learned(plan, rows)
    return rows, plan, [*found, *noticed]


def learned(plan: AnalysisPlan, rows: Rows) -> tuple[AnalysisPlan, Rows, list[Check]]:
    """The plan and the rows with the columns that blanks and units of several rows call for, and what is missing."""
    plan, rows = _with_any(plan, rows)
    plan, rows, unknown_covariates = _with_indicators(plan, rows)
    return plan, rows, [*unknown_covariates, *_missing(plan, rows)]


def refuse_no_control(plan: AnalysisPlan, variant: str, words: Sequence[str]) -> None:
    """Raises Invalid where the plan's control is no variant."""
    if plan.control not in words:
        some = ", ".join(words[:20]) + (f" and {len(words) - 20:,} more" if len(words) > 20 else "")
        raise Invalid.at("control", f"{plan.control!r} is no variant; {variant} holds {some or 'nothing'}")


def lost_rows(count: int, unit: bool = False) -> list[Check]:
    """The check on rows that name no variant, or no unit."""
    if not count:
        return []
    what = "variant or unit" if unit else "variant"
    return [Check("missing_variant", "warn", None, float(count), f"{count:,} rows without a {what} left out")]


def _rows(table: pa.Table, plan: AnalysisPlan, arms: Labels, unit: str | None) -> tuple[Rows, list[Check]]:
    keep = arms.codes >= 0
    who = identities(table, unit) if unit else None
    if who is not None:
        keep &= who >= 0
    dropped = int((~keep).sum())
    found = lost_rows(dropped, unit is not None)
    names = {c for m in plan.metrics for c in (*m.columns, *m.covariates)} - {COUNT}
    kept = keep if dropped else None
    columns = {name: _kept(numbers(table, name), kept) for name in sorted(names)}
    variant_of_row = arms.codes if kept is None else arms.codes[kept]
    if who is None:
        return Rows(kept, None, np.arange(len(variant_of_row)), variant_of_row, arms.words, columns), found
    first, code = _first_rows(who if kept is None else who[kept])
    variant = variant_of_row[first]
    crossed = np.zeros(len(first), dtype=bool)
    crossed[code[variant_of_row != variant[code]]] = True
    found.append(_crossovers(crossed, variant, arms.words))
    return Rows(kept, code, first, variant, arms.words, columns), found


def _first_rows(code: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each unit's first row, and each row's unit, numbered without gaps."""
    first = np.full(int(code.max()) + 1 if len(code) else 0, -1, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)  # of several rows the last one written stays
    seen = first >= 0
    return (first, code) if seen.all() else (first[seen], (np.cumsum(seen) - 1)[code])


def in_order(words: Labels) -> Labels:
    """The same words in alphabetical order: no answer depends on the order of the rows."""
    order = sorted(range(len(words.words)), key=words.words.__getitem__)
    rank = np.empty(len(order) + 1, dtype=np.int16 if len(order) < 2**15 else np.int32)
    rank[order], rank[-1] = np.arange(len(order)), -1
    return Labels(rank[words.codes], tuple(words.words[i] for i in order))


def _kept(column: Numbers, keep: Mask | None) -> Numbers:
    if keep is None:
        return column
    return Numbers(column.values[keep], column.scale, None if column.known is None else column.known[keep])


def _crossovers(crossed: Mask, variant: NDArray[np.signedinteger[Any]], names: Sequence[str]) -> Check:
    found = balance.crossovers(_by_name(names, variant[crossed]), _by_name(names, variant))
    count = int(crossed.sum())
    if not count:
        return replace(found, statistic=0.0, detail=worded("no unit was seen under two variants"))
    detail = worded(
        "%(units)s units were seen under two variants, each analysed under its first row; %(detail)s",
        units=figure(f"{count:,}"),
        detail=found.detail,
    )
    return replace(found, status="fail" if found.status == "fail" else "warn", detail=detail)


def _by_name(names: Sequence[str], variant: NDArray[np.signedinteger[Any]]) -> dict[str, int]:
    return dict(zip(names, tally(variant, len(names)).tolist(), strict=True))


def _within(values: NDArray[Any], low: int, high: int) -> bool:
    return not len(values) or bool(low <= values.min() and values.max() <= high)


def _with_any(plan: AnalysisPlan, rows: Rows) -> tuple[AnalysisPlan, Rows]:
    """A proportion of units with several rows: the unit converts when any of its rows does."""
    columns, any_of = dict(rows.columns), {}
    for metric in plan.metrics:
        if metric.type != "proportion" or metric.numerator == COUNT:
            continue
        column = rows.columns[metric.numerator]
        if column.scale or column.values.dtype.kind == "f" or not _within(column.values, 0, 1):
            raise Invalid.at(metric.numerator, "a proportion's column holds 0 and 1")
        if rows.unit is not None:
            name = f"any {metric.numerator}"
            any_of[name], columns[name] = metric.numerator, column
    if not any_of:
        return plan, rows
    metrics = tuple(
        replace(m, numerator=f"any {m.numerator}") if m.type == "proportion" and f"any {m.numerator}" in any_of else m
        for m in plan.metrics
    )
    return replace(plan, metrics=metrics), replace(rows, columns=columns, any_of=any_of)


def _with_indicators(plan: AnalysisPlan, rows: Rows) -> tuple[AnalysisPlan, Rows, list[Check]]:
    """A covariate with blanks gains a column that says where it is: no history is not a history of zero."""
    columns = dict(rows.columns)
    extra = {}
    found = []
    for name in dict.fromkeys(c for m in plan.metrics for c in m.covariates):
        known = columns[name].known
        if known is None or known[rows.first].all():
            continue
        extra[name] = f"{name} is blank"
        columns[extra[name]] = Numbers((~known).astype(np.int64), 0, None)
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


def known_rows(metric: Metric, rows: Rows) -> Mask | None:
    """Which rows have every column the metric measures; None where all have."""
    masks = [known for c in metric.columns if c != COUNT and (known := rows.columns[c].known) is not None]
    return None if not masks else np.logical_and.reduce(masks)


def _missing(plan: AnalysisPlan, rows: Rows) -> list[Check]:
    """Rows left out for a blank, by metric and variant: a fault where the variants lose unlike shares."""
    blanks = {m.key: known for m in plan.metrics if (known := known_rows(m, rows)) is not None and not known.all()}
    if not blanks:
        return [Check("missing_data", "pass", None, 0.0, "no blank in a column that a metric needs")]
    variant = rows.variant if rows.unit is None else rows.variant[rows.unit]
    of = rows.count() if rows.unit is None else _by_name(rows.names, variant)
    parts, statuses, most = [], set(), 0
    for metric, known in blanks.items():
        lost = _by_name(rows.names, variant[~known])
        most = max(most, sum(lost.values()))
        statuses.add(balance.missing_data(lost, of, metric).status)
        by = ", ".join(f"{name} {count:,}" for name, count in lost.items() if count)
        parts.append(f"{metric}: {sum(lost.values()):,} rows left out for a blank ({by})")
    status: Status = "fail" if "fail" in statuses else "warn"
    return [Check("missing_data", status, None, float(most), "; ".join(parts))]


def units_with_rows(rows: Rows, known: Mask) -> Mask:
    """Which units have at least one of the rows."""
    return known if rows.unit is None else np.bincount(rows.unit, weights=known, minlength=len(rows.first)) > 0


def summed(name: str, rows: Rows, known: Mask | None) -> Numbers:
    """A column summed to the unit, over the rows that are known."""
    column = rows.columns[name] if name != COUNT else Numbers(np.ones(rows.rows, dtype=np.int64), 0, None)
    values = column.values if known is None else np.where(known, column.values, 0)
    if rows.unit is None:
        return Numbers(values, column.scale, None)
    sums: NDArray[Any] = np.bincount(rows.unit, weights=values, minlength=len(rows.first))
    if values.dtype.kind != "f":
        # sums of doubles below 2**53 are exact, so integers stay integers
        exact = np.abs(values).sum(dtype=np.float64) < 2**53
        sums = sums.astype(np.int64) if exact else _added(values, rows.unit, len(rows.first))
    return Numbers((sums > 0).astype(np.int64) if name in rows.any_of else sums, column.scale, None)


def _added(values: NDArray[Any], unit: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    out = np.zeros(units, dtype=np.int64)
    np.add.at(out, unit, values)
    return out


def of_first_row(name: str, rows: Rows) -> Numbers:
    """A covariate belongs to the unit: its first row, since summing would let the rows after exposure in."""
    column = rows.columns[name]
    values = column.values if column.known is None else np.where(column.known, column.values, 0)
    return Numbers(values if rows.unit is None else values[rows.first], column.scale, None)
