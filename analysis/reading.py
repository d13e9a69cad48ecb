"""From a Sample to a Report: a pure function."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from analysis import balance, checks, lift, tails
from analysis.adjustment import adjust
from analysis.analysis_plan import AnalysisPlan
from analysis.breakdown import by_factor, by_segment
from analysis.comparison import compare, compare_quantiles
from analysis.correction import correct
from analysis.decision import Rule, decide
from analysis.findings import findings
from analysis.moments import Moments
from analysis.report import Comparison, MetricResult, Report, VariantResult
from analysis.sample import Population, QuantileSummary, Sample
from experiments.errors import NotEstimable
from experiments.metrics import Metric
from experiments.wording import worded

MOST_PERMUTATIONS = 60_000
"""Of one metric, over all its variants: with dozens of variants nobody waits for more."""


def analyze_sample(sample: Sample, plan: AnalysisPlan) -> Report:
    """Every metric of the plan in every variant of the sample, the checks, and the verdict."""
    order = [plan.control, *(v for v in sample.units if v != plan.control)]
    before = _covariates(sample, plan, order)
    unlike = {name for name, check in before.items() if check.status == "fail"}
    results = correct([_read(metric, sample, plan, order, unlike) for metric in plan.metrics], plan)
    found = [*_srm(sample, plan, order), *sample.checks, *before.values(), *_tails(sample, results)]
    said = [f for r in results for f in findings(r, plan)]
    rule = Rule(
        plan.alpha, plan.monitoring.method, plan.complete or _over(results, plan), plan.minimum_units, plan.rule,
        _primary(plan), plan.minimum_days,
    )  # fmt: skip
    units = {v: sample.units.get(v, 0) for v in order}
    return Report(
        plan.experiment, plan.as_of, plan.confidence, plan.control,
        tuple((v, units[v], _share(plan.weights, v)) for v in order),
        tuple(found), tuple(results), decide(rule, said, found, units),
        by_segment(sample, plan, order), by_factor(sample, plan, order),
    )  # fmt: skip


def _primary(plan: AnalysisPlan) -> str:
    """The primary metric's name; of several, that they are."""
    named = [m.key for m in plan.metrics if plan.deciding_role(m.key) == "primary"]
    return named[0] if len(named) == 1 else worded("a primary metric")


def _over(results: Sequence[MetricResult], plan: AnalysisPlan) -> bool:
    """Whether every deciding comparison has had its last planned look."""
    deciding = [c for r in results if plan.decides(r.metric) for c in r.comparisons]
    return bool(deciding) and all(c.sequential is not None and c.sequential.over for c in deciding)


def _share(weights: Mapping[str, float] | None, variant: str) -> float | None:
    if weights is None or not sum(weights.values()):
        return None
    return weights.get(variant, 0.0) / sum(weights.values())


def _srm(sample: Sample, plan: AnalysisPlan, order: Sequence[str]) -> list[checks.Check]:
    if len(order) < 2:
        return []
    weights = plan.weights if plan.weights is not None else dict.fromkeys(order, 1.0)
    found = checks.srm({v: sample.units.get(v, 0) for v in order}, dict(weights))
    if plan.weights is None:
        # nobody said how the units were to divide, so an uneven split is no proof of a fault
        status: checks.Status = "pass" if found.status == "pass" else "unknown"
        detail = worded("no weights given; against an even split: %(detail)s", detail=found.detail)
        found = replace(found, status=status, detail=detail)
    return [found]


def _covariates(sample: Sample, plan: AnalysisPlan, order: Sequence[str]) -> dict[str, checks.Check]:
    """Each covariate held against the variants: one that differs was moved by the offer, or the draw was not even."""
    found: dict[str, checks.Check] = {}
    for metric in plan.metrics:
        for name in metric.covariates:
            moments = sample.populations[metric.key].moments
            here = [v for v in order if v in moments and moments[v].n > 1]
            if name in found or len(here) < 2:
                continue
            estimates = lift.estimate(Metric(name, "mean", name), [moments[v] for v in here])
            found[name] = balance.pre_exposure(
                name,
                dict(zip(here, map(float, estimates.values), strict=True)),
                dict(zip(here, map(float, estimates.own), strict=True)),
            )
    return found


def _tails(sample: Sample, results: Sequence[MetricResult]) -> list[checks.Check]:
    """The worst skew and the worst single unit of each metric, over its comparisons."""
    found = []
    for result in results:
        arms = sample.populations[result.metric].arms if result.metric in sample.populations else {}
        tested = [
            (c.variant, c.control, error)
            for c in result.comparisons
            if c.variant in arms and c.control in arms and (error := c.difference.standard_error)
        ]
        skews = [tails.skew(result.metric, arms[control], arms[v], error) for v, control, error in tested]
        ones = [
            tails.outliers(result.metric, {name: arms[name] for name in (v, control)}, error)
            for v, control, error in tested
        ]
        found += [max(some, key=lambda c: abs(c.statistic or 0.0)) for some in (skews, ones) if some]
    return found


def _read(
    metric: Metric, sample: Sample, plan: AnalysisPlan, order: Sequence[str], unlike: Collection[str]
) -> MetricResult:
    if metric.type == "quantile":
        return _read_quantile(metric, sample.quantiles.get(metric.key, {}), plan, order)
    population = sample.populations[metric.key]
    moments = population.moments
    here = [v for v in order if v in moments]
    if population.refused is not None:
        return _refused(metric, plan, {v: int(moments[v].n) for v in here}, population)
    variants = tuple(_variant(metric, v, moments[v], population) for v in here)
    adjusted = adjust(metric, moments, plan, here, unlike)
    each = replace(plan, permutations=min(plan.permutations, MOST_PERMUTATIONS // max(len(here) - 1, 1)))
    comparisons = tuple(compare(metric, v, population, each, adjusted.get(v)) for v in here if v != plan.control)
    return MetricResult(
        metric.key, metric.type, plan.role(metric.key), sum(r.units for r in variants), metric.direction,
        variants, comparisons,
        None if population.cap is None else
        {"percentile": population.cap.percentile, "value": population.cap.value}, metric.unit,
    )  # fmt: skip


def _refused(metric: Metric, plan: AnalysisPlan, units: Mapping[str, int], population: Population) -> MetricResult:
    """A metric without one number, why, and between which numbers it lies where that can be said."""
    reason, bands = population.refused, population.bands
    return MetricResult(
        metric.key, metric.type, plan.role(metric.key), sum(units.values()), metric.direction,
        tuple(VariantResult(v, n, None, None, None, None) for v, n in units.items()),
        tuple(
            Comparison(v, plan.control, estimable=False, reason=reason, band=bands.get(v))
            for v in units if v != plan.control
        ),
        unit=metric.unit,
    )  # fmt: skip


def _variant(metric: Metric, variant: str, moments: Moments, population: Population) -> VariantResult:
    m = moments.restrict(metric.columns)
    totals = m.total
    numerator = float(totals[0])
    denominator = float(totals[1]) if metric.denominator else float(m.n)
    value = error = None
    try:
        value = float(m.mean[0]) if not metric.denominator else _ratio(m)
        found = lift.estimate(metric, [m])
        error = math.sqrt(float(found.own[0]))
    except NotEstimable:
        pass
    capped = population.cap.capped_units.get(variant, 0) if population.cap else None
    return VariantResult(variant, int(m.n), value, error, numerator, denominator, capped)


def _ratio(m: Moments) -> float:
    numerator, denominator = m.total
    if denominator == 0:
        raise NotEstimable(worded("nothing to divide by"))
    return float(numerator / denominator)


def _read_quantile(
    metric: Metric, summaries: Mapping[str, QuantileSummary], plan: AnalysisPlan, order: Sequence[str]
) -> MetricResult:
    here = [v for v in order if v in summaries]
    variants = tuple(
        VariantResult(v, s.units, s.value, s.standard_error, None, None) for v in here for s in [summaries[v]]
    )
    comparisons = tuple(compare_quantiles(metric, v, summaries, plan) for v in here if v != plan.control)
    units = sum(v.units for v in variants)
    return MetricResult(
        metric.key, metric.type, plan.role(metric.key), units, metric.direction, variants, comparisons
    )  # fmt: skip
