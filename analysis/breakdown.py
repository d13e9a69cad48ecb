"""The report's breakdowns: effects by segment, and where a change of the mean came from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scipy.special import ndtri

from analysis import decompose, lift, segments
from analysis.analysis_plan import AnalysisPlan
from analysis.comparison import compare, effect_of
from analysis.moments import Moments
from analysis.multiplicity import adjust
from analysis.report import Comparison, Effect
from analysis.sample import Sample
from experiments.errors import NotEstimable
from experiments.metrics import MONEY_COLUMNS, Metric

Json = dict[str, Any]
FEWEST_UNITS = 30
_PIECES = frozenset({"item_count"})
_NO_PIECES = frozenset({*MONEY_COLUMNS, "refunds"})
"""Numerators over orders that do not count pieces."""


def by_segment(sample: Sample, plan: AnalysisPlan, order: Sequence[str]) -> tuple[Json, ...]:
    """For each segment, metric and variant: one interaction test, then the levels, raw and shrunken.

    Those of the plan come first. Interactions are corrected by Benjamini-Hochberg, the plan's over themselves and the
    others over themselves, so that looking around costs the plan nothing; levels over the levels.
    """
    ranked = [
        *(s for s in plan.segments if s in sample.segments),
        *(s for s in sample.segments if s not in plan.segments),
    ]
    found = [
        _segment(segment, sample.segments[segment], metric, variant, plan)
        for segment in ranked
        for metric in plan.metrics
        if metric.type != "quantile"
        for variant in order
        if variant != plan.control
    ]
    for planned in (True, False):
        family = [f for f in found if f["planned"] is planned]
        adjusted = adjust([f["interaction"]["p_value"] for f in family], "bh")
        for one, p in zip(family, adjusted, strict=True):
            one["interaction"]["p_value_adjusted"] = p
    return tuple(found)


def _segment(
    segment: str, levels: Mapping[str, Sample], metric: Metric, variant: str, plan: AnalysisPlan
) -> Json:  # fmt: skip
    bare = replace(plan, sequential=False, margins={}, roles={}, permutations=0)
    results: dict[str, Comparison] = {}
    for level, sample in levels.items():
        population = sample.populations[metric.key]
        if variant in population.moments:
            plain = replace(metric, covariates=())
            results[level] = compare(plain, variant, replace(population, uncapped=None), bare, None)
    usable = {level: c for level, c in results.items() if _trusted(c, levels[level])}
    effects = [c.difference.estimate or 0.0 for c in usable.values()]
    errors = [c.difference.standard_error or 0.0 for c in usable.values()]
    interaction: Json = {"statistic": None, "degrees_of_freedom": None, "p_value": None}
    reason = None
    shrunken: dict[str, Effect] = {}
    try:
        test = segments.interaction(effects, errors)
        interaction = {
            "statistic": test.statistic, "degrees_of_freedom": test.degrees_of_freedom, "p_value": test.p_value
        }  # fmt: skip
        z = float(ndtri(1 - plan.alpha / 2))
        for level, (value, error) in zip(usable, segments.shrink(effects, errors), strict=True):
            shrunken[level] = Effect(value, value - z * error, value + z * error, error)
    except NotEstimable as error:
        reason = error.message
    adjusted = adjust([c.p_value for c in results.values()], "bh")
    return {
        "segment": segment, "planned": segment in plan.segments, "metric": metric.key, "variant": variant,
        "control": plan.control, "interaction": interaction, "reason": reason,
        "post_stratified": _post_stratified(levels, metric, variant, plan),
        "levels": [
            _level(level, c, p, levels[level], shrunken.get(level))
            for (level, c), p in zip(results.items(), adjusted, strict=True)
        ],
    }  # fmt: skip


def _post_stratified(levels: Mapping[str, Sample], metric: Metric, variant: str, plan: AnalysisPlan) -> Json | None:
    """The effect with the levels weighed by their share of all units: less variance where they differ in the metric."""
    cells = {}
    for level, sample in levels.items():
        moments = sample.populations[metric.key].moments
        if plan.control in moments and variant in moments:
            cells[level] = [moments[plan.control], moments[variant]]
    try:
        estimates = segments.post_stratify(metric, cells)
        reading = lift.difference(estimates, 1, alpha=plan.alpha)
        if not float(reading.standard_error) > 0:
            return None
        bounds = lift.lift(estimates, 1, alpha=plan.alpha)
        ratio = Effect(lift.relative(estimates, 1), bounds.low, bounds.high, None, bounds.reason)
    except NotEstimable:
        return None
    effect = effect_of(reading).to_dict(standard_error=True)
    return {"difference": effect, "lift": ratio.to_dict(), "p_value": float(reading.p_value)}


def _trusted(c: Comparison, sample: Sample) -> bool:
    """Whether a level's standard error may weigh in: an error made small by chance would look like an interaction."""
    fewest = min(sample.units.get(c.variant, 0), sample.units.get(c.control, 0))
    return c.estimable and c.method != "mid-p" and fewest >= FEWEST_UNITS and (c.difference.standard_error or 0) > 0


def _level(level: str, c: Comparison, p: float | None, sample: Sample, shrunken: Effect | None) -> Json:
    units = sample.units.get(c.variant, 0) + sample.units.get(c.control, 0)
    return {
        "level": level, "units": units, "difference": c.difference.to_dict(standard_error=True),
        "lift": c.lift.to_dict(), "p_value": c.p_value, "p_value_adjusted": p,
        "shrunken": shrunken.to_dict(standard_error=True) if shrunken else None,
        "estimable": c.estimable, "reason": c.reason,
    }  # fmt: skip


def by_factor(sample: Sample, plan: AnalysisPlan, order: Sequence[str]) -> tuple[Json, ...]:
    """For each mean whose units and orders are measured too: the exact parts of its change, by variant."""
    found = []
    for metric in plan.metrics:
        if metric.type != "mean" or metric.key not in sample.populations or sample.populations[metric.key].refused:
            continue
        moments = sample.populations[metric.key].moments
        chain = _chain(metric, plan, moments)
        if chain is None or plan.control not in moments:
            continue
        columns, names = chain
        for variant in order:
            if variant == plan.control or variant not in moments:
                continue
            split = _decomposed(moments, columns, names, plan, variant)
            if split is None:
                continue
            found.append(_split(metric, split))
    return tuple(found)


def _decomposed(
    moments: Mapping[str, Moments], columns: Sequence[str], names: Sequence[str], plan: AnalysisPlan, variant: str
) -> decompose.Decomposition | None:
    """The split over the whole chain, else without the pieces: not every shop says how many there were."""
    pair = moments[plan.control], moments[variant]
    short = tuple(c for c in columns if c not in _PIECES)
    tries = [(tuple(columns), tuple(names))]
    if len(short) > 1 and len(short) < len(columns):
        tries.append((short, (*names[: len(short) - 1], f"{short[-1]} per {short[-2]}")))
    for chain, named in tries:
        try:
            return decompose.decompose(*pair, chain, named, plan.alpha, (plan.control, variant))
        except NotEstimable:
            continue
    return None


def _chain(
    metric: Metric, plan: AnalysisPlan, moments: Mapping[str, Moments]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Columns from buyers to money, and names for the factors: from the other metrics of the plan."""
    first = next(iter(moments.values()))
    bought = [m for m in plan.metrics if m.type == "proportion" and m.numerator in first.names]
    start = next(
        (m for m in bought if all(_only_where(x, metric.numerator, m.numerator) for x in moments.values())), None
    )
    if start is None:
        return None
    columns, names = [start.numerator], [start.key]
    orders = next(
        (m.denominator for m in plan.metrics if m.type == "ratio" and m.numerator == metric.numerator), None
    )  # fmt: skip
    pieces = next(
        (m.numerator for m in plan.metrics
         if m.type == "ratio" and m.denominator == orders and m.numerator not in {metric.numerator, *_NO_PIECES}),
        "item_count" if "item_count" in first.names else None,
    )  # fmt: skip
    for column in (orders, pieces, metric.numerator):
        if column is None or column in columns or column not in first.names:
            continue
        names.append(f"{column} per {columns[-1]}")
        columns.append(column)
    return tuple(columns), tuple(names)


def _only_where(m: Moments, value: str, flag: str) -> bool:
    """Whether a column is 0 wherever the flag is 0: then its sum is its product's sum."""
    i, j = m.index(value), m.index(flag)
    return m.pivot[i] == 0 and math.isclose(float(m.gram[i, j]), float(m.sums[i]), rel_tol=1e-12)


def _split(metric: Metric, split: decompose.Decomposition) -> Json:
    def part(name: str, effect: Effect, minor: int) -> Json:
        return {"name": name, **effect.to_dict(standard_error=True), "total": minor / 10**split.decimals}

    return {
        "metric": metric.key, "variant": split.variant, "control": split.control,
        "change": part(metric.key, split.change, split.minor_units),
        "parts": [part(p.name, p.effect, p.minor_units) for p in split.parts],
    }  # fmt: skip
