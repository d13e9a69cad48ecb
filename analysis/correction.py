"""Corrected p-values: over the variants of a metric, over the secondary metrics, or none."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scipy.special import ndtri

from analysis import dunnett, multiplicity
from analysis.analysis_plan import AnalysisPlan
from analysis.report import Comparison, Effect, MetricResult


def correct(results: Sequence[MetricResult], plan: AnalysisPlan) -> list[MetricResult]:
    """Adjusted p-values: over the variants of a metric; secondaries by BH over all of them; guardrails as they are.

    Several primary metrics are one family with their variants, by Holm: any of them may decide.
    """
    out = []
    corrected = plan.correction != "none"
    several = sum(r.role == "primary" for r in results) > 1
    pooled = {"secondary": _pooled(results, "secondary", "bh" if corrected else "none")}
    if several and corrected:
        pooled["primary"] = _pooled(results, "primary", "holm")
    for r in results:
        if r.role in pooled:
            comparisons = tuple(replace(c, p_value_adjusted=next(pooled[r.role])) for c in r.comparisons)
        elif r.role == "guardrail" or plan.correction == "none":
            comparisons = tuple(replace(c, p_value_adjusted=c.p_value) for c in r.comparisons)
        elif plan.correction == "dunnett":
            comparisons = _dunnett(r, plan)
        else:
            adjusted = multiplicity.adjust([c.p_value for c in r.comparisons], plan.correction)
            comparisons = tuple(replace(c, p_value_adjusted=p) for c, p in zip(r.comparisons, adjusted, strict=True))
        out.append(replace(r, comparisons=comparisons))
    return out


def _pooled(results: Sequence[MetricResult], role: str, method: multiplicity.Method) -> Iterator[float | None]:
    return iter(multiplicity.adjust([c.p_value for r in results if r.role == role for c in r.comparisons], method))


def _dunnett(result: MetricResult, plan: AnalysisPlan) -> tuple[Comparison, ...]:
    """Dunnett over the variants with the correlations their variances give; never below the plain p-value."""
    tested = [c for c in result.comparisons if c.p_value is not None and c.difference.standard_error]
    if len(tested) < 2:
        return tuple(replace(c, p_value_adjusted=c.p_value) for c in result.comparisons)
    control = (result.variant(plan.control).standard_error or 0.0) ** 2
    treatments = [(result.variant(c.variant).standard_error or 0.0) ** 2 for c in tested]
    adjusted = dunnett.dunnett([_statistic(c) for c in tested], control, treatments)
    critical = dunnett.dunnett_critical(control, treatments, plan.alpha)
    found = dict(zip((c.variant for c in tested), adjusted, strict=True))
    out = []
    for c in result.comparisons:
        p = found.get(c.variant)
        if p is None or c.p_value is None:
            out.append(replace(c, p_value_adjusted=c.p_value))
            continue
        effect = c.difference
        assert effect.estimate is not None
        assert effect.standard_error is not None
        reach = critical * effect.standard_error
        wide = Effect(effect.estimate, effect.estimate - reach, effect.estimate + reach, effect.standard_error)
        out.append(replace(c, p_value_adjusted=max(float(p), c.p_value), difference_adjusted=wide))
    return tuple(out)


def _statistic(c: Comparison) -> float:
    """The z of a comparison: effect over standard error, or the one its exact p-value stands for."""
    assert c.difference.estimate is not None
    assert c.difference.standard_error is not None
    assert c.p_value is not None
    if c.method == "mid-p":
        return math.copysign(float(-ndtri(max(c.p_value, 1e-300) / 2)), c.difference.estimate)
    return c.difference.estimate / c.difference.standard_error
