"""Several variants by several metrics: wrong calls in a family, wrong ones among those called, intervals together."""

from functools import partial

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr

from analysis import Metric, Moments, analyze, segments
from analysis.dunnett import dunnett_critical
from analysis.multiplicity import Method, adjust
from analysis.sequential import confidence_sequence
from tests.simulation.calibration import Cell

VARIANTS, METRICS = 7, 20


def family(rng: Generator, tests: int, effects: np.ndarray | float = 0.0) -> np.ndarray:
    """The z of seven offers against one control by twenty metrics, which correlate by a half."""
    shared = rng.standard_normal((tests, VARIANTS + 1, 1))
    means = np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal((tests, VARIANTS + 1, METRICS))
    return (means[:, 1:] - means[:, :1]) / np.sqrt(2) + effects


def dunnett(rng: Generator, tests: int) -> float:
    """One metric, eight variants."""
    return (np.abs(family(rng, tests)[:, :, 0]).max(axis=1) > dunnett_critical(1, [1] * VARIANTS)).mean()


def any_wrong(rng: Generator, tests: int, method: Method) -> float:
    """Eight variants by twenty metrics, no effect anywhere: some question is called."""
    p = 2 * ndtr(-np.abs(family(rng, tests))).reshape(tests, -1)
    if method == "none":
        return (p.min(axis=1) < 0.05).mean()
    return np.mean([min(q for q in adjust(row.tolist(), method) if q is not None) < 0.05 for row in p])


def wrong_among_called(rng: Generator, tests: int, method: Method) -> float:
    """Half of the effects are real: the share of wrong ones among those called, on average."""
    real = np.zeros((VARIANTS, METRICS))
    real[:, ::2] = 3.5
    p = 2 * ndtr(-np.abs(family(rng, tests, real))).reshape(tests, -1)
    called = np.array([np.array(adjust(row.tolist(), method)) < 0.05 for row in p])
    return ((called & (real == 0).ravel()).sum(axis=1) / np.maximum(called.sum(axis=1), 1)).mean()


def together(rng: Generator, tests: int, correction: str) -> float:
    """Three offers, two with effects: some of the corrected intervals leaves its truth out."""
    truths, missed = (0.35, 0.2, 0.0), 0
    metric = Metric("y", "mean", "y")
    for _ in range(tests):
        means = rng.normal((0.0, *truths), 0.1)
        sides = {f"v{i}": Moments.from_summary(["y"], 10_000, [m], [[100.0]]) for i, m in enumerate(means)}
        found = analyze(sides, metrics=[metric], control="v0", correction=correction)["y"]
        missed += any(
            not ((i.low is None or i.low <= truth) and (i.high is None or i.high >= truth))
            for i, truth in zip((c.difference_adjusted for c in found.comparisons), truths, strict=True)
        )
    return missed / tests


def at_any_time(rng: Generator, tests: int) -> float:
    """Seven offers, 100 looks, Holm over the always-valid p-values: some look calls some offer."""
    called, looks = 0, 100
    n = np.arange(1, looks + 1) * 100.0
    for _ in range(tests):
        walks = np.cumsum(rng.normal(size=(VARIANTS + 1, looks)) * 10.0, axis=1) / n
        error = np.sqrt(2 / n)
        p = np.stack([confidence_sequence(w - walks[0], error, 2 * n, 10_000.0).p_value for w in walks[1:]])
        called += bool((p.min(axis=0) * VARIANTS < 0.05).any())
    return called / tests


def interactions(rng: Generator, tests: int) -> float:
    """Five segments with the same effect."""
    errors = rng.uniform(0.5, 2.0, (tests, 5))
    effects = 0.4 + rng.normal(size=(tests, 5)) * errors
    return np.mean([segments.interaction(e, s).p_value < 0.05 for e, s in zip(effects, errors, strict=True)])


SEVERAL = "8 variants by 20 metrics"
CELLS = [
    Cell(SEVERAL, "one metric, Dunnett: some offer is called", 10_000, 0.05, "equal", dunnett),
    Cell(SEVERAL, "140 questions, Bonferroni: some is called", 4_000, 0.05, "at most",
         partial(any_wrong, method="bonferroni")),
    Cell(SEVERAL, "140 questions, Holm: some is called", 4_000, 0.05, "at most", partial(any_wrong, method="holm")),
    Cell(SEVERAL, "140 questions, Hochberg: some is called", 4_000, 0.05, "at most",
         partial(any_wrong, method="hochberg")),
    Cell(SEVERAL, "half of the effects real, Benjamini-Hochberg: wrong among the called", 1_500, 0.05, "at most",
         partial(wrong_among_called, method="bh")),
    Cell(SEVERAL, "half of the effects real, Benjamini-Yekutieli: wrong among the called", 1_500, 0.05, "at most",
         partial(wrong_among_called, method="by")),
    Cell(SEVERAL, "one metric, 100 looks, Holm over confidence sequences: some is called", 2_000, 0.05, "at most",
         at_any_time),
    Cell("corrected intervals, 4 variants", "Bonferroni: some misses", 1_000, 0.05, "at most",
         partial(together, correction="bonferroni")),
    Cell("corrected intervals, 4 variants", "Holm: some misses", 1_000, 0.05, "at most",
         partial(together, correction="holm")),
    Cell("corrected intervals, 4 variants", "Dunnett: some misses", 1_000, 0.05, "equal",
         partial(together, correction="dunnett")),
    Cell("segments", "interaction over five that are alike", 10_000, 0.05, "equal", interactions),
]  # fmt: skip
