"""A/A and A/B tests through the same code that reads real ones: what it said, against what was true."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from analysis.analysis_plan import AnalysisPlan
from analysis.moments import Moments
from analysis.reading import analyze_sample
from analysis.report import Comparison, Report
from analysis.sample import Sample
from analysis.shoppers import Influence, Shop, draw
from experiments.errors import Invalid
from experiments.metrics import Metric

METRICS = (
    Metric("conversion", "proportion", "converted"),
    Metric("revenue", "mean", "revenue"),
    Metric("aov", "ratio", "revenue", "orders"),
)


@dataclass(frozen=True, slots=True)
class Verified:
    """One metric over all runs and variants: how often it was called, how often its interval held the truth.

    Shares are of the comparisons that could be estimated; None where there was none (or no sequence was asked for).
    `called_by_any` is the share of runs in which some variant's adjusted p-value was below alpha: in an A/A test the
    family-wise error.
    """

    metric: str
    comparisons: int
    estimable: int
    called: float | None
    called_by_any: float | None
    covered: float | None
    called_at_any_time: float | None
    mean_lift: float | None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What so many runs said: by metric, and the share of runs with a sample ratio alarm."""

    runs: int
    srm_alarms: float
    metrics: tuple[Verified, ...]


def simulate(
    shop: Shop, influence: Influence, units: Sequence[int], runs: int, rng: Generator, plan: AnalysisPlan
) -> Simulated:
    """Draw and analyse `runs` experiments with these units by variant, control first; the others get the influence."""
    if len(units) < 2 or min(units) < 1:
        raise Invalid.at("units", "control and at least one variant need units")
    if not 1 <= runs <= 100_000:
        raise Invalid.at("runs", f"{runs} is not between 1 and 100,000")
    reports = list(_reports(shop, influence, units, runs, rng, plan))
    alarms = float(np.mean([any(c.check == "srm" and c.status == "fail" for c in r.checks) for r in reports]))
    lifts = influence.lifts
    return Simulated(
        runs, alarms, tuple(_verified(m, i, lifts[m.key], reports, plan) for i, m in enumerate(plan.metrics))
    )


def simulation_plan(units: Sequence[int], **options: object) -> AnalysisPlan:
    """The plan that reads a simulated experiment: conversion, revenue per visitor, AOV; weights as the units are."""
    weights = {variant: float(n) for variant, n in zip(names(len(units)), units, strict=True)}
    return AnalysisPlan(METRICS, "control", weights=weights, **options)  # type: ignore[arg-type]  # checked there


def names(variants: int) -> tuple[str, ...]:
    """Control and its variants by number."""
    return ("control", *(f"variant {i}" for i in range(1, variants)))


def _reports(
    shop: Shop, influence: Influence, units: Sequence[int], runs: int, rng: Generator, plan: AnalysisPlan
) -> Iterator[Report]:
    total = sum(units)
    share = np.array(units) / total
    for _ in range(runs):
        arrived = rng.multinomial(total, share)  # the split is drawn too: it is part of the experiment
        moments = {
            variant: Moments.from_rows(draw(shop, rng, int(n), influence if variant != "control" else None))
            for variant, n in zip(names(len(units)), arrived, strict=True)
        }
        yield analyze_sample(Sample.of(moments, plan.metrics), plan)


def _verified(metric: Metric, index: int, truth: float, reports: Sequence[Report], plan: AnalysisPlan) -> Verified:
    by_run = [report.metrics[index].comparisons for report in reports]
    found = [c for comparisons in by_run for c in comparisons]
    read = [c for c in found if c.p_value is not None]
    called = [c.p_value < plan.alpha for c in read if c.p_value is not None]
    any_time = [c.sequential.p_value < plan.alpha for c in read if c.sequential and c.sequential.p_value is not None]
    families = [[c.p_value_adjusted for c in comparisons if c.p_value_adjusted is not None] for comparisons in by_run]
    lifts = [c.lift.estimate for c in read if c.lift.estimate is not None]
    return Verified(
        metric.key,
        len(found),
        len(read),
        _mean(called),
        _mean([min(family) < plan.alpha for family in families if family]),
        _mean([_holds(c, truth) for c in read]),
        _mean(any_time),
        _mean(lifts),
    )


def _holds(comparison: Comparison, truth: float) -> bool:
    """Whether the lift's interval holds the truth; an unbounded side holds all on it."""
    low, high = comparison.lift.low, comparison.lift.high
    return (low is None or low <= truth) and (high is None or truth <= high)


def _mean(values: Sequence[float] | Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
