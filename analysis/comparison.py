"""One variant against control on one metric, by the method that fits its type."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis import bayes, lift, monitoring, proportions, tails
from analysis.analysis_plan import AnalysisPlan
from analysis.beta_binomial import win_and_loss
from analysis.decompose import lee_bounds
from analysis.fieller import Interval
from analysis.inversion import CountTest, MeanTest
from analysis.moments import Moments
from analysis.permutation import Permuted, Units, permute
from analysis.report import Adjusted, AnyTime, Comparison, Effect
from analysis.sample import Population, QuantileSummary
from analysis.threshold import exceeds, guard
from experiments.errors import NotEstimable
from experiments.metrics import Metric
from experiments.wording import figure, worded

FEWEST_IN_A_DENOMINATOR = 30
FEW_UNITS = 50
"""In a variant of fewer, a permutation test arbitrates."""


def compare(
    metric: Metric, variant: str, population: Population, plan: AnalysisPlan, adjusted: Adjusted | None
) -> Comparison:
    """The comparison with all that the plan asks for; what cannot be estimated carries its reason."""
    blank = Comparison(variant, plan.control, cuped=adjusted, estimable=False)
    moments = population.moments
    if plan.control not in moments:
        return replace(blank, reason=worded("control %(key)s has no units", key=repr(plan.control)))
    pair = [moments[plan.control], moments[variant]]
    try:
        estimates = lift.estimate(metric, pair)
    except NotEstimable as error:
        return replace(blank, reason=error.message)
    if metric.type == "proportion":
        out = _proportions(pair, metric, blank, plan, estimates)
    else:
        out = _means(metric, blank, plan, estimates, pair)
    if not out.estimable:
        return out
    arms = [population.arms[v] for v in (plan.control, variant) if v in population.arms]
    gamma = tails.skewness(arms[0], arms[1], out.difference.standard_error or 0.0) if len(arms) == 2 else None
    if plan.monitored:
        out = replace(out, sequential=_looked_at(out, estimates, plan, gamma))
    if plan.permutations and len(arms) == 2:
        found = _permuted(arms, gamma, plan)
        notes = (
            ()
            if found is None
            else (
                worded(
                    "the split of the units decides (permutation test): p = %(p)s", p=figure(f"{found.p_value:.3g}")
                ),
            )
        )
        out = replace(out, permutation=found, notes=(*out.notes, *notes))
    counts = out.test.counts if isinstance(out.test, CountTest) else None
    if plan.role(metric.key) == "guardrail" and metric.key in plan.margins:
        out = replace(out, non_inferiority=guard(metric, estimates, plan, counts, gamma))
    out = replace(out, exceeds=exceeds(metric, estimates, plan, counts, gamma))
    if metric.denominator is not None and population.buyers:
        out = replace(out, bounds=_bounds(variant, population, plan))
    if population.uncapped is not None:
        before = lift.estimate(metric, [population.uncapped[plan.control], population.uncapped[variant]])
        out = replace(out, uncapped=effect_of(lift.difference(before, 1, alpha=plan.alpha)))
    return out


def compare_quantiles(
    metric: Metric, variant: str, summaries: Mapping[str, QuantileSummary], plan: AnalysisPlan
) -> Comparison:
    """The comparison of one quantile, by the normal approximation to its order statistics."""
    blank = Comparison(variant, plan.control, estimable=False)
    pair = [summaries.get(plan.control), summaries[variant]]
    for one in pair:
        if one is None or one.value is None or one.standard_error is None:
            return replace(
                blank, reason=worded("no units in control") if one is None else one.reason or worded("no quantile")
            )
    values = np.array([s.value for s in pair if s], dtype=np.float64)
    own = np.array([(s.standard_error or 0.0) ** 2 for s in pair if s], dtype=np.float64)
    units = np.array([s.units for s in pair if s], dtype=np.float64)
    estimates = lift.Estimates(values, np.diag(own), own, units, values - values[0])
    out = _means(metric, blank, plan, estimates, ())
    if not out.estimable:
        return out
    if plan.monitored:
        out = replace(out, sequential=_looked_at(out, estimates, plan))
    return replace(out, method="quantile")


def _means(
    metric: Metric, blank: Comparison, plan: AnalysisPlan, estimates: lift.Estimates, pair: Sequence[Moments]
) -> Comparison:
    reading = lift.difference(estimates, 1, alpha=plan.alpha)
    effect = effect_of(reading)
    if not float(reading.standard_error) > 0:
        exact = Effect(effect.estimate, None, None, 0.0)
        return replace(
            blank, difference=exact, lift=_point_lift(estimates),
            reason=worded(
                "zero variance: the units of a variant are all alike, so the difference is exact and not tested"
            ),
        )  # fmt: skip
    posterior = bayes.normal_reading(
        float(reading.estimate), float(reading.standard_error), _prior(plan, estimates), metric.direction
    )
    notes: list[str] = []
    if not (estimates.own > 0).all():
        notes.append(worded("the units of one variant are all alike, so its error is taken as 0"))
    if metric.denominator is not None:
        fewest = min(float(m.restrict(metric.columns).total[1]) for m in pair)
        notes.append(
            worded("conditional on the denominator, which a variant may move: read it beside the mean per unit")
        )
        if fewest < FEWEST_IN_A_DENOMINATOR:
            notes.append(
                worded(
                    "only %(number)s %(column)s in a variant: the normal approximation is rough",
                    number=figure(f"{fewest:g}"),
                    column=str(metric.denominator),
                )
            )
    return replace(
        blank, difference=effect, lift=_lift(estimates, plan), p_value=float(reading.p_value),
        chance_to_win=posterior.chance_to_win, expected_loss=posterior.expected_loss,
        method="delta" if metric.denominator else "welch", estimable=True, notes=tuple(notes),
        test=MeanTest(
            float(reading.estimate), float(reading.standard_error), float(reading.degrees_of_freedom),
            float(reading.p_value),
        ),
    )  # fmt: skip


def _proportions(
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
        notes: tuple[str, ...] = (worded("low counts: exact mid-p test and score intervals"),)
        relative = _lift_with(estimates, bounds)
    else:
        p_value, method, notes = proportions.score_p_value(counts), "score", ()
        relative = _lift(estimates, plan)
    wins, loss = _win_and_loss(counts, error, metric, plan, estimates)
    return replace(
        blank, difference=effect, lift=relative, p_value=p_value, chance_to_win=wins, expected_loss=loss,
        method=method, estimable=True, notes=notes, test=CountTest(counts, p_value),
    )  # fmt: skip


def _win_and_loss(
    counts: proportions.Counts, error: float, metric: Metric, plan: AnalysisPlan, estimates: lift.Estimates
) -> tuple[float, float]:
    """Exact under the uniform prior; normal where a prior on the lift is stated, which is not conjugate."""
    prior = _prior(plan, estimates)
    if prior is None or error == 0:
        return win_and_loss(counts.x_c, counts.n_c, counts.x_t, counts.n_t, metric.direction)
    posterior = bayes.normal_reading(counts.difference, error, prior, metric.direction)
    return posterior.chance_to_win, posterior.expected_loss


def effect_of(reading: lift.Difference) -> Effect:
    """A Difference as the report shows it."""
    return Effect(
        float(reading.estimate), float(reading.low), float(reading.high), float(reading.standard_error)
    )  # fmt: skip


def _lift(estimates: lift.Estimates, plan: AnalysisPlan) -> Effect:
    return _lift_with(estimates, lift.lift(estimates, 1, alpha=plan.alpha))


def _lift_with(estimates: lift.Estimates, bounds: Interval) -> Effect:
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


def _looked_at(found: Comparison, estimates: lift.Estimates, plan: AnalysisPlan, gamma: float | None = None) -> AnyTime:
    """The reading on the way, with the lift at the same critical value."""
    control, treatment = map(float, estimates.units)
    error = found.difference.standard_error or 0.0
    seen = monitoring.Observed(
        found.difference.estimate or 0.0, error,
        float(estimates.values[0]), float(estimates.own[0]) * control, control, treatment, gamma,
    )  # fmt: skip
    read = monitoring.read(plan.monitoring, seen, plan.alpha)
    if read.low is None or read.high is None or not math.isfinite(read.high - read.low):
        return read
    return replace(read, lift=lift.lift_within(estimates, 1, (read.high - read.low) / 2 / error))


def _permuted(arms: Sequence[tails.Arm], gamma: float | None, plan: AnalysisPlan) -> Permuted | None:
    """The permutation test where few units or a skewed difference call for one, and their values are at hand."""
    needed = min(arm.units for arm in arms) < FEW_UNITS or (gamma is not None and abs(gamma) > tails.SKEWED)
    if not needed or not all(arm.columns for arm in arms):
        return None
    control, treatment = (Units(arm.units, arm.columns) for arm in arms)
    try:
        return permute(control, treatment, np.random.default_rng(plan.seed), plan.permutations, plan.alpha)
    except NotEstimable:
        return None


def _bounds(variant: str, population: Population, plan: AnalysisPlan) -> Effect | None:
    """Lee's bounds: the effect on the buyers there would be in either case, whom a ratio alone cannot tell apart."""
    units = {v: int(population.moments[v].n) for v in (plan.control, variant)}
    buyers = population.buyers
    try:
        found = lee_bounds(buyers[plan.control], units[plan.control], buyers[variant], units[variant])
    except NotEstimable:
        return None
    return Effect(None, found.low, found.high, None, "the value per buyer, of those who buy in either case (Lee 2009)")
