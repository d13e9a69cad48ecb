"""Corrected p-values, and intervals that agree with them: over variants, over secondary metrics, or none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scipy.special import ndtri

from analysis import dunnett, multiplicity, threshold
from analysis.analysis_plan import AnalysisPlan, Correction
from analysis.fieller import Interval
from analysis.inversion import agreeing, one_side
from analysis.report import Comparison, Effect, MetricResult

Place = tuple[int, int]
"""A comparison by its metric's and its own place in the results."""
Corrected = Mapping[Place, tuple[float | None, Effect | None]]
"""Adjusted p-values, and the intervals that agree with them."""

SIGN_ONLY = "shown to be on this side of 0, and no more: Holm's error is spent on the questions still open"


def correct(results: Sequence[MetricResult], plan: AnalysisPlan) -> list[MetricResult]:
    """Adjusted p-values: over the variants of a metric; secondaries by BH over all of them; guardrails as they are.

    Several primary metrics are one family with their variants, by Holm: any of them may decide. Where a permutation
    test arbitrates, its p-values are corrected in the same way, to decide by.
    """
    found = _corrected(results, plan)
    deciding: Corrected = {}
    if any(c.permutation for r in results for c in r.comparisons):
        deciding = _corrected([replace(r, comparisons=tuple(map(_permuted, r.comparisons))) for r in results], plan)
    out = []
    for i, r in enumerate(results):
        comparisons = []
        for j, c in enumerate(r.comparisons):
            p, interval = found[i, j]
            decides = deciding[i, j][0] if c.permutation else None
            comparisons.append(
                replace(c, p_value_adjusted=p, difference_adjusted=interval, p_value_permuted_adjusted=decides)
            )
        out.append(replace(r, comparisons=_guarded(comparisons, plan)))
    return out


def _guarded(comparisons: Sequence[Comparison], plan: AnalysisPlan) -> tuple[Comparison, ...]:
    """Guardrails that alone carry the proof are corrected over the variants, as the metric that decides would be."""
    if plan.rule.lift is not None:
        return tuple(comparisons)
    p_values = threshold.corrected(
        [c.non_inferiority.p_value if c.non_inferiority else None for c in comparisons], plan
    )
    return tuple(
        replace(c, non_inferiority=replace(c.non_inferiority, p_value=p, holds=p is not None and p < plan.alpha))
        if c.non_inferiority else c
        for c, p in zip(comparisons, p_values, strict=True)
    )  # fmt: skip


def _permuted(c: Comparison) -> Comparison:
    return c if c.permutation is None else replace(c, p_value=c.permutation.p_value, method="permutation", test=None)


def _corrected(results: Sequence[MetricResult], plan: AnalysisPlan) -> dict[Place, tuple[float | None, Effect | None]]:
    out: dict[Place, tuple[float | None, Effect | None]] = {}
    for family, method in _families(results, plan):
        comparisons = [results[i].comparisons[j] for i, j in family]
        if method == "dunnett":
            answers = _dunnett(results[family[0][0]], plan)
        else:
            adjusted = multiplicity.adjust([c.p_value for c in comparisons], method)
            answers = list(zip(adjusted, _intervals(comparisons, adjusted, method, plan.alpha), strict=True))
        out |= dict(zip(family, answers, strict=True))
    return out


def _families(results: Sequence[MetricResult], plan: AnalysisPlan) -> list[tuple[list[Place], Correction]]:
    """The comparisons that are corrected together, and how."""
    places = [[(i, j) for j in range(len(r.comparisons))] for i, r in enumerate(results)]
    several = sum(r.role == "primary" for r in results) > 1 and plan.rule.metric is None
    pooled: dict[str, list[Place]] = {"secondary": [], "primary": []}
    families: list[tuple[list[Place], Correction]] = []
    for r, mine in zip(results, places, strict=True):
        if plan.rule.metric == r.metric:
            families.append((mine, plan.correction))  # it decides, whatever else it is
        elif plan.correction == "none" or r.role == "guardrail":
            families.append((mine, "none"))
        elif r.role == "secondary" or (r.role == "primary" and several):
            pooled[r.role] += mine
        else:
            families.append((mine, plan.correction))
    primary: Correction = "bonferroni" if plan.correction == "bonferroni" else "holm"
    return [(f, m) for f, m in (*families, (pooled["secondary"], "bh"), (pooled["primary"], primary)) if f]


def _intervals(
    comparisons: Sequence[Comparison], adjusted: Sequence[float | None], method: Correction, alpha: float
) -> list[Effect | None]:
    """The interval of each comparison that leaves out 0 exactly when its adjusted p-value is below alpha.

    Bonferroni's hold together, and so do Holm's (Guilbaud 2008, Biometrical Journal 50): what is still open shares
    alpha, what is rejected keeps its sign, and its size once nothing is open. Those of Benjamini and Hochberg hold the
    rate of wrong ones among the rejected (Benjamini & Yekutieli 2005, JASA 100).
    """
    tested = sum(p is not None for p in adjusted)
    rejected = sum(p is not None and p < alpha for p in adjusted)
    if method == "none" or tested < 2:
        return [None] * len(comparisons)
    open_ones = tested - rejected
    level = {
        "bonferroni": alpha / tested,
        "holm": alpha / (open_ones or tested),
        "bh": alpha * max(rejected, 1) / tested,
    }[method]
    out: list[Effect | None] = []
    for c, p in zip(comparisons, adjusted, strict=True):
        if p is None or c.test is None:
            out.append(None)
        elif method == "holm" and p < alpha and open_ones:
            out.append(_effect(c, one_side(c.test.estimate, SIGN_ONLY)))
        else:
            out.append(_effect(c, agreeing(c.test.interval(level), c.test.estimate, p < alpha)))
    return out


def _effect(c: Comparison, found: Interval) -> Effect:
    return Effect(c.difference.estimate, found.low, found.high, c.difference.standard_error, found.reason)


def _dunnett(result: MetricResult, plan: AnalysisPlan) -> list[tuple[float | None, Effect | None]]:
    """Dunnett over the variants with the correlations their variances give; never below the plain p-value."""
    tested = [c for c in result.comparisons if c.p_value is not None and c.difference.standard_error]
    if len(tested) < 2:
        return [(c.p_value, None) for c in result.comparisons]
    control = (result.variant(plan.control).standard_error or 0.0) ** 2
    treatments = [(result.variant(c.variant).standard_error or 0.0) ** 2 for c in tested]
    adjusted = dunnett.dunnett([_statistic(c) for c in tested], control, treatments)
    critical = dunnett.dunnett_critical(control, treatments, plan.alpha)
    found = dict(zip((c.variant for c in tested), adjusted, strict=True))
    out: list[tuple[float | None, Effect | None]] = []
    for c in result.comparisons:
        p = found.get(c.variant)
        if p is None or c.p_value is None:
            out.append((c.p_value, None))
            continue
        p = max(float(p), c.p_value)
        assert c.difference.estimate is not None
        assert c.difference.standard_error is not None
        reach = critical * c.difference.standard_error
        wide = Interval(c.difference.estimate - reach, c.difference.estimate + reach)
        out.append((p, _effect(c, agreeing(wide, c.difference.estimate, p < plan.alpha))))
    return out


def _statistic(c: Comparison) -> float:
    """The z of a comparison: effect over standard error, or the one its exact p-value stands for."""
    assert c.difference.estimate is not None
    assert c.difference.standard_error is not None
    assert c.p_value is not None
    if c.method in {"mid-p", "permutation"}:
        return math.copysign(float(-ndtri(max(c.p_value, 1e-300) / 2)), c.difference.estimate)
    return c.difference.estimate / c.difference.standard_error
