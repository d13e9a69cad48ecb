"""From Moments to a Report: `analyze`, a pure function."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scipy.special import ndtri

from analysis import bayes, checks, dunnett, lift, multiplicity, proportions, sequential
from analysis.analysis_plan import AnalysisPlan
from analysis.decision import Finding, Movement, Rule, decide
from analysis.moments import Moments
from analysis.report import (
    NOTHING,
    Adjusted,
    AnyTime,
    Comparison,
    Effect,
    MetricResult,
    NonInferiority,
    Report,
    VariantResult,
)
from analysis.sample import Population, QuantileSummary, Sample
from experiments.errors import NotEstimable
from experiments.metrics import Metric

FEWEST_IN_A_DENOMINATOR = 30


def analyze_sample(sample: Sample, plan: AnalysisPlan) -> Report:
    """Every metric of the plan in every variant of the sample, the checks, and the verdict."""
    order = [plan.control, *(v for v in sample.units if v != plan.control)]
    results = [_read(metric, sample, plan, order) for metric in plan.metrics]
    results = _correct(results, plan)
    found = [*_srm(sample, plan, order), *sample.checks]
    findings = [f for r in results for f in _findings(r, plan)]
    rule = Rule(plan.alpha, plan.sequential, plan.complete, plan.minimum_units)
    units = {v: sample.units.get(v, 0) for v in order}
    return Report(
        plan.experiment, plan.as_of, plan.confidence, plan.control,
        tuple((v, units[v], _share(plan.weights, v)) for v in order),
        tuple(found), tuple(results), decide(rule, findings, found, units),
    )  # fmt: skip


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
        detail = f"no weights given; against an even split: {found.detail}"
        found = replace(found, status=status, detail=detail)
    return [found]


def _read(metric: Metric, sample: Sample, plan: AnalysisPlan, order: Sequence[str]) -> MetricResult:
    if metric.type == "quantile":
        return _read_quantile(metric, sample.quantiles.get(metric.key, {}), plan, order)
    population = sample.populations[metric.key]
    moments = population.moments
    here = [v for v in order if v in moments]
    variants = tuple(_variant(metric, v, moments[v], population) for v in here)
    adjusted = _adjust(metric, moments, plan, here)
    comparisons = tuple(_compare(metric, v, population, plan, adjusted.get(v)) for v in here if v != plan.control)
    return MetricResult(
        metric.key, metric.type, plan.role(metric.key), sum(r.units for r in variants), metric.direction,
        variants, comparisons,
        None if population.cap is None else
        {"percentile": population.cap.percentile, "value": population.cap.value},
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
        raise NotEstimable("nothing to divide by")
    return float(numerator / denominator)


def _compare(
    metric: Metric, variant: str, population: Population, plan: AnalysisPlan, adjusted: Adjusted | None
) -> Comparison:
    blank = Comparison(variant, plan.control, cuped=adjusted, estimable=False)
    moments = population.moments
    if plan.control not in moments:
        return replace(blank, reason=f"control {plan.control!r} has no units")
    pair = [moments[plan.control], moments[variant]]
    try:
        estimates = lift.estimate(metric, pair)
    except NotEstimable as error:
        return replace(blank, reason=error.message)
    if metric.type == "proportion":
        out = _compare_proportions(pair, metric, blank, plan, estimates)
    else:
        out = _compare_means(metric, blank, plan, estimates, pair)
    if not out.estimable:
        return out
    out = replace(out, sequential=_any_time(out, plan, pair) if plan.sequential else None)
    if plan.role(metric.key) == "guardrail" and metric.key in plan.margins:
        out = replace(out, non_inferiority=_guard(metric, estimates, plan))
    if population.uncapped is not None:
        before = lift.estimate(metric, [population.uncapped[plan.control], population.uncapped[variant]])
        out = replace(out, uncapped=_effect(lift.difference(before, 1, alpha=plan.alpha)))
    return out


def _compare_means(
    metric: Metric, blank: Comparison, plan: AnalysisPlan, estimates: lift.Estimates, pair: Sequence[Moments]
) -> Comparison:
    reading = lift.difference(estimates, 1, alpha=plan.alpha)
    effect = _effect(reading)
    if not float(reading.standard_error) > 0:
        exact = Effect(effect.estimate, None, None, 0.0)
        return replace(
            blank, difference=exact, lift=_point_lift(estimates),
            reason="zero variance: all units of a variant are alike, so the difference is exact and there is nothing to test",
        )  # fmt: skip
    posterior = bayes.normal_reading(
        float(reading.estimate), float(reading.standard_error), _prior(plan, estimates), metric.direction
    )
    notes = []
    if metric.denominator is not None:
        fewest = min(float(m.restrict(metric.columns).total[1]) for m in pair)
        notes.append("conditional on the denominator, which a variant may move: read it beside the mean per unit")
        if fewest < FEWEST_IN_A_DENOMINATOR:
            notes.append(f"only {fewest:g} {metric.denominator} in a variant: the normal approximation is rough")
    return replace(
        blank, difference=effect, lift=_lift(estimates, plan), p_value=float(reading.p_value),
        chance_to_win=posterior.chance_to_win, expected_loss=posterior.expected_loss,
        method="delta" if metric.denominator else "welch", estimable=True, notes=tuple(notes),
    )  # fmt: skip


def _compare_proportions(
    pair: Sequence[Moments], metric: Metric, blank: Comparison, plan: AnalysisPlan, estimates: lift.Estimates
) -> Comparison:
    x_c, x_t = (round(float(m.restrict(metric.columns).total[0])) for m in pair)
    counts = proportions.Counts(x_c, int(pair[0].n), x_t, int(pair[1].n))
    interval = proportions.difference_interval(counts, plan.alpha)
    error = math.sqrt(float(estimates.own.sum()))
    effect = Effect(counts.difference, interval.low, interval.high, error)
    low = counts.low
    if low:
        bounds = proportions.lift_interval(counts, plan.alpha)
        p_value, method = proportions.mid_p_value(counts), "mid-p"
        notes: tuple[str, ...] = ("low counts: exact mid-p test and score intervals",)
        relative = _lift_with(estimates, bounds)
    else:
        p_value, method, notes = proportions.score_p_value(counts), "score", ()
        relative = _lift(estimates, plan)
    out = replace(blank, difference=effect, lift=relative, p_value=p_value, method=method, estimable=True, notes=notes)
    if error == 0:
        return out
    posterior = bayes.normal_reading(counts.difference, error, _prior(plan, estimates), metric.direction)
    return replace(out, chance_to_win=posterior.chance_to_win, expected_loss=posterior.expected_loss)


def _effect(reading: lift.Difference) -> Effect:
    return Effect(
        float(reading.estimate), float(reading.low), float(reading.high), float(reading.standard_error)
    )  # fmt: skip


def _lift(estimates: lift.Estimates, plan: AnalysisPlan) -> Effect:
    return _lift_with(estimates, lift.lift(estimates, 1, alpha=plan.alpha))


def _lift_with(estimates: lift.Estimates, bounds: lift.Interval) -> Effect:
    point = _point_lift(estimates)
    return Effect(point.estimate, bounds.low, bounds.high, None, bounds.reason or point.reason)


def _point_lift(estimates: lift.Estimates) -> Effect:
    try:
        return Effect(lift.relative(estimates, 1), None, None)
    except NotEstimable as error:
        return Effect(None, None, None, None, error.message)


def _prior(plan: AnalysisPlan, estimates: lift.Estimates) -> bayes.NormalPrior | None:
    control = float(estimates.values[0])
    return None if plan.prior is None or control == 0 else plan.prior.on_difference(control)


def _any_time(found: Comparison, plan: AnalysisPlan, pair: Sequence[Moments]) -> AnyTime:
    n = float(pair[0].n + pair[1].n)
    planned = n if plan.planned_units is None else float(plan.planned_units)
    try:
        reading = sequential.confidence_sequence(
            found.difference.estimate or 0.0, found.difference.standard_error or 0.0, n, planned, plan.alpha
        )
    except NotEstimable:
        return AnyTime(None, None, None)
    return AnyTime(reading.low, reading.high, reading.p_value)


def _guard(metric: Metric, estimates: lift.Estimates, plan: AnalysisPlan) -> NonInferiority:
    margin = plan.margins[metric.key]
    reading = lift.non_inferiority(estimates, 1, margin, direction=metric.direction, alpha=plan.alpha)
    p = float(reading.p_value)
    if math.isnan(p):
        return NonInferiority(margin, True, None, False)
    return NonInferiority(margin, True, p, p < plan.alpha)


def _adjust(
    metric: Metric, moments: Mapping[str, Moments], plan: AnalysisPlan, order: Sequence[str]
) -> dict[str, Adjusted]:
    """CUPED over all variants that can be estimated, so that a variant's number is one number."""
    treatments = [v for v in order if v != plan.control]
    if not metric.covariates or plan.control not in moments:
        return {}
    fit = []
    for variant in order:
        try:
            lift.estimate(metric, [moments[variant]])
            if moments[variant].n > len(metric.covariates) + 1:
                fit.append(variant)
        except NotEstimable:
            continue
    if plan.control not in fit or len(fit) < 2:
        return {v: _refused("too few units to adjust") for v in treatments}
    samples = [moments[v] for v in fit]
    plain = lift.estimate(replace(metric, type="mean") if metric.type == "proportion" else metric, samples)
    adjusted = lift.estimate(metric, samples, adjust=True)
    if adjusted.slope is None or not any(float(s) for s in adjusted.slope):
        return {v: _refused("the covariates do not vary, or say nothing of the metric") for v in treatments}
    return {
        v: _adjusted(fit, i, plain, adjusted, metric, plan) if (i := fit.index(v) if v in fit else 0)
        else _refused("too few units to adjust")
        for v in treatments
    }  # fmt: skip


def _adjusted(
    fit: Sequence[str], treatment: int, plain: lift.Estimates, adjusted: lift.Estimates, metric: Metric,
    plan: AnalysisPlan,
) -> Adjusted:  # fmt: skip
    before = lift.difference(plain, treatment, alpha=plan.alpha)
    after = lift.difference(adjusted, treatment, alpha=plan.alpha)
    if not (float(before.standard_error) > 0 and float(after.standard_error) > 0):
        return _refused("zero variance")
    reduction = 1 - (float(after.standard_error) / float(before.standard_error)) ** 2
    bounds = lift.lift(adjusted, treatment, alpha=plan.alpha)
    point = None if adjusted.values[0] == 0 else lift.relative(adjusted, treatment)
    assert adjusted.slope is not None
    return Adjusted(
        reduction, _effect(after), Effect(point, bounds.low, bounds.high, None, bounds.reason), float(after.p_value),
        dict(zip(fit, map(float, adjusted.values), strict=True)),
        dict(zip(metric.covariates, map(float, adjusted.slope), strict=True)),
    )  # fmt: skip


def _refused(reason: str) -> Adjusted:
    return Adjusted(None, NOTHING, NOTHING, None, {}, {}, reason)


def _read_quantile(
    metric: Metric, summaries: Mapping[str, QuantileSummary], plan: AnalysisPlan, order: Sequence[str]
) -> MetricResult:
    here = [v for v in order if v in summaries]
    variants = tuple(
        VariantResult(v, s.units, s.value, s.standard_error, None, None) for v in here for s in [summaries[v]]
    )
    comparisons = tuple(_compare_quantiles(metric, v, summaries, plan) for v in here if v != plan.control)
    units = sum(v.units for v in variants)
    return MetricResult(
        metric.key, metric.type, plan.role(metric.key), units, metric.direction, variants, comparisons
    )  # fmt: skip


def _compare_quantiles(
    metric: Metric, variant: str, summaries: Mapping[str, QuantileSummary], plan: AnalysisPlan
) -> Comparison:
    import numpy as np

    blank = Comparison(variant, plan.control, estimable=False)
    pair = [summaries.get(plan.control), summaries[variant]]
    for one in pair:
        if one is None or one.value is None or one.standard_error is None:
            return replace(blank, reason="no units in control" if one is None else one.reason or "no quantile")
    values = np.array([s.value for s in pair if s], dtype=np.float64)
    own = np.array([(s.standard_error or 0.0) ** 2 for s in pair if s], dtype=np.float64)
    units = np.array([s.units for s in pair if s], dtype=np.float64)
    estimates = lift.Estimates(values, np.diag(own), own, units)
    out = _compare_means(metric, blank, plan, estimates, ())
    if not out.estimable:
        return out
    return replace(out, method="quantile")


def _correct(results: Sequence[MetricResult], plan: AnalysisPlan) -> list[MetricResult]:
    """Adjusted p-values: over the variants of a metric; secondaries by BH over all of them; guardrails as they are."""
    out = []
    secondary = [
        c.p_value for r in results if r.role == "secondary" for c in r.comparisons
    ]  # fmt: skip
    pooled = iter(multiplicity.adjust(secondary, "bh" if plan.correction != "none" else "none"))
    for r in results:
        if r.role == "secondary":
            comparisons = tuple(replace(c, p_value_adjusted=next(pooled)) for c in r.comparisons)
        elif r.role == "guardrail" or plan.correction == "none":
            comparisons = tuple(replace(c, p_value_adjusted=c.p_value) for c in r.comparisons)
        elif plan.correction == "dunnett":
            comparisons = _dunnett(r, plan)
        else:
            adjusted = multiplicity.adjust([c.p_value for c in r.comparisons], plan.correction)
            comparisons = tuple(replace(c, p_value_adjusted=p) for c, p in zip(r.comparisons, adjusted, strict=True))
        out.append(replace(r, comparisons=comparisons))
    return out


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


def _findings(result: MetricResult, plan: AnalysisPlan) -> list[Finding]:
    role = plan.deciding_role(result.metric)
    out = []
    for c in result.comparisons:
        movement = _movement(c, result.direction, plan)
        estimate = c.difference.estimate
        gain = None if estimate is None else (estimate if result.direction == "increase" else -estimate)
        guarded = c.non_inferiority.holds if c.non_inferiority else None
        out.append(
            Finding(result.metric, role, c.variant, movement, _sentence(result, c, movement, plan), gain, guarded)
        )
    return out


def _movement(c: Comparison, direction: str, plan: AnalysisPlan) -> Movement:
    if not c.estimable or c.difference.estimate is None:
        return "unknown"
    p = _deciding_p(c, plan)
    if p is None:
        return "unknown"
    if p >= plan.alpha:
        return "flat"
    return "better" if (c.difference.estimate > 0) == (direction == "increase") else "worse"


def _deciding_p(c: Comparison, plan: AnalysisPlan) -> float | None:
    if not plan.sequential:
        return c.p_value_adjusted
    return c.sequential.p_value if c.sequential else None


def _sentence(result: MetricResult, c: Comparison, movement: Movement, plan: AnalysisPlan) -> str:
    from analysis.tables import signed, signed_percent

    where = f"{c.variant} on {result.metric}"
    if movement == "unknown" or c.difference.estimate is None:
        return f"{where}: not estimable, {c.reason}"
    if c.lift.estimate is not None and c.lift.low is not None and c.lift.high is not None:
        size = f"{signed_percent(c.lift.estimate)} ({signed_percent(c.lift.low)} to {signed_percent(c.lift.high)})"
    else:
        size = signed(c.difference.estimate)
    p = _deciding_p(c, plan)
    word = {"better": "better", "worse": "worse", "flat": "no change shown"}[movement]
    guard = ""
    if c.non_inferiority:
        kept = "stays" if c.non_inferiority.holds else "is not shown to stay"
        guard = f"; {kept} within its margin of {c.non_inferiority.margin:g}"
    return f"{where}: {size}, {word} (p = {p:.2g}){guard}"
