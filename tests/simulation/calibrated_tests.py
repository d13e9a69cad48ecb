"""Tests that are read once: every kind of metric, adjusted, capped, skewed, tiny."""

from functools import partial

import numpy as np
from numpy.random import Generator

from analysis import Metric, Moments, lift, segments
from analysis.permutation import Units, permute
from analysis.proportions import Counts, difference_interval, lift_interval, mid_p_value, score_p_value
from analysis.quantiles import summarise
from experiments.errors import NotEstimable
from tests.simulation.calibration import Cell
from tests.simulation.worlds import AOV, CAPPED_AOV, CAPPED_RPV, RPV, Shop, variants

EVEN = (5_000, 5_000)
HEAVY = Shop(sigma=1.2)


def false_alarms(
    rng: Generator, tests: int, metric: Metric, adjust: bool = False, units: tuple[int, int] = EVEN
) -> float:
    pair = variants(rng, (Shop(), Shop()), units, tests)
    return (lift.difference(lift.estimate(metric, pair, adjust), 1).p_value < 0.05).mean()


def misses(rng: Generator, tests: int, metric: Metric, units: tuple[int, int] = (2_000, 2_000)) -> float:
    """How often Fieller's interval of a lift of 30% leaves it out."""
    pair = variants(rng, (Shop(), Shop(value=65.0)), units, tests)
    found = lift.estimate(metric, pair)
    missed = 0
    for k in range(tests):
        one = lift.Estimates(
            found.values[k], found.covariance[k], found.own[k], found.units[k], found.gaps[k]
        )  # fmt: skip
        bounds = lift.lift(one, 1)
        missed += (bounds.low is not None and bounds.low > 0.3) or (bounds.high is not None and bounds.high < 0.3)
    return missed / tests


def guardrail(rng: Generator, tests: int, metric: Metric) -> float:
    """How often a variant that is worse by exactly the margin is called no worse."""
    pair = variants(rng, (Shop(), Shop(value=45.0)), EVEN, tests)
    return (lift.non_inferiority(lift.estimate(metric, pair), 1, 0.1).p_value < 0.05).mean()


def guarded_conversion(rng: Generator, tests: int) -> float:
    metric = Metric("conversion", "proportion", "converted")
    pair = variants(rng, (Shop(), Shop(conversion=0.054)), EVEN, tests)
    return (lift.non_inferiority(lift.estimate(metric, pair), 1, 0.1).p_value < 0.05).mean()


def proportions(rng: Generator, tests: int, units: tuple[int, int], rate: float, what: str) -> float:
    x = [rng.binomial(n, rate, tests) for n in units]
    wrong = 0
    for x_c, x_t in zip(*x, strict=True):
        counts = Counts(int(x_c), units[0], int(x_t), units[1])
        if what == "test":
            wrong += (mid_p_value(counts) if counts.low else score_p_value(counts)) < 0.05
            continue
        bounds = difference_interval(counts, 0.05) if what == "difference" else lift_interval(counts, 0.05)
        wrong += (bounds.low is not None and bounds.low > 0) or (bounds.high is not None and bounds.high < 0)
    return wrong / tests


def few(rng: Generator, tests: int, sizes: tuple[int, int], sds: tuple[float, float] = (1.0, 3.0)) -> float:
    """Welch on few normal values of unlike variance."""
    pair = [Moments.from_arrays(("y",), rng.normal(10, s, (tests, n, 1))) for s, n in zip(sds, sizes, strict=True)]
    return (lift.difference(lift.estimate(Metric("y", "mean", "y"), pair), 1).p_value < 0.05).mean()


def few_permuted(rng: Generator, tests: int, sizes: tuple[int, int], ratio: bool = False) -> float:
    """The permutation test on few lognormal values."""
    wrong = 0
    for _ in range(tests):
        sides = [rng.lognormal(0, 1.2, n) for n in sizes]
        over = [1.0 + rng.poisson(0.5, n) if ratio else None for n in sizes]
        control, treatment = (Units.of(y, n) for y, n in zip(sides, over, strict=True))
        wrong += permute(control, treatment, rng, 999).p_value < 0.05
    return wrong / tests


def skewed(
    rng: Generator, tests: int, units: tuple[int, int], what: str, uplift: float = 0.0, ratio: bool = False
) -> float:
    """Heavy tails in an uneven split: how often the interval of the difference leaves the true one out."""
    shops = (HEAVY, Shop(sigma=1.2, value=50.0 * (1 + uplift)))
    truth = HEAVY.per_buyer * HEAVY.conversion * uplift
    if ratio:
        truth = HEAVY.per_buyer / (1 + HEAVY.repeat) * uplift
    metric = AOV if ratio else RPV
    wrong = read = 0
    for _ in range(tests):
        drawn = [shop.buyers(rng, 1, n)[1] for shop, n in zip(shops, units, strict=True)]
        sides = [Units(n, (rows[2], rows[1]) if ratio else (rows[2],)) for rows, n in zip(drawn, units, strict=True)]
        try:
            if what == "plain":
                pair = [_moments(rows, n) for rows, n in zip(drawn, units, strict=True)]
                found = lift.difference(lift.estimate(metric, pair), 1)
                low, high = float(found.low), float(found.high)
            else:
                ends = permute(*sides, rng, 999)
                low = -np.inf if ends.low is None else ends.low
                high = np.inf if ends.high is None else ends.high
        except NotEstimable:
            continue
        read += 1
        wrong += not low <= truth <= high
    return wrong / max(read, 1)


def _moments(rows: np.ndarray, units: int) -> Moments:
    return Moments.from_rows({"orders": rows[1], "revenue": rows[2]}, idle=units - rows.shape[1])


def stratified(rng: Generator, tests: int) -> float:
    wrong = 0
    for _ in range(tests):
        strata = {
            str(level): [Moments.from_rows({"y": level + rng.normal(0, sd, n)}) for n, sd in ((450, 1.0), (50, 3.0))]
            for level in (0.0, 5.0)
        }
        found = lift.difference(segments.post_stratify(Metric("y", "mean", "y"), strata), 1)
        wrong += float(found.p_value) < 0.05
    return wrong / tests


def unlike_cuped(rng: Generator, tests: int) -> float:
    sides = []
    for n, sd in ((900, 1.0), (100, 3.0)):
        x = rng.normal(size=(tests, n))
        sides.append(Moments.from_arrays(("y", "x"), np.stack([x + rng.normal(0, sd, (tests, n)), x], axis=-1)))
    metric = Metric("y", "mean", "y", covariates=("x",))
    return (lift.difference(lift.estimate(metric, sides, adjust=True), 1).p_value < 0.05).mean()


def quantile(rng: Generator, tests: int, level: float) -> float:
    """Rows of repeat buyers: units are clusters."""
    wrong = 0
    for _ in range(tests):
        ends = []
        for _ in range(2):
            rows = 1 + rng.poisson(2.0, 400)
            unit = np.repeat(np.arange(400), rows)
            ends.append(summarise(np.exp(rng.normal(size=400)[unit] + 0.3 * rng.normal(size=len(unit))), level, unit))
        wrong += abs(ends[0].value - ends[1].value) > 1.96 * np.hypot(ends[0].standard_error, ends[1].standard_error)
    return wrong / tests


ONCE = "read once"
SKEW = "heavy tails (sigma 1.2) in uneven splits"
CELLS = [
    Cell(ONCE, "proportion, score: 1,000 a variant at 5%", 10_000, 0.05, "equal",
         partial(proportions, units=(1000, 1000), rate=0.05, what="test")),
    Cell(ONCE, "proportion, score: 50,000 against 1,000 at 1%", 4_000, 0.05, "equal",
         partial(proportions, units=(50_000, 1000), rate=0.01, what="test")),
    Cell(ONCE, "proportion, mid-p: 1,000 a variant at 0.2%", 10_000, 0.05, "at most",
         partial(proportions, units=(1000, 1000), rate=0.002, what="test")),
    Cell(ONCE, "proportion, Miettinen-Nurminen interval misses", 4_000, 0.05, "equal",
         partial(proportions, units=(800, 800), rate=0.05, what="difference")),
    Cell(ONCE, "proportion, low counts: score interval of the lift misses", 3_000, 0.05, "at most",
         partial(proportions, units=(500, 500), rate=0.01, what="lift")),
    Cell(ONCE, "mean, Welch: revenue per visitor", 10_000, 0.05, "equal", partial(false_alarms, metric=RPV)),
    Cell(ONCE, "mean, CUPED", 10_000, 0.05, "equal", partial(false_alarms, metric=RPV, adjust=True)),
    Cell(ONCE, "mean, capped at the buyers' 99th percentile", 10_000, 0.05, "equal",
         partial(false_alarms, metric=CAPPED_RPV)),
    Cell(ONCE, "mean, Fieller's interval of +30% misses", 4_000, 0.05, "equal", partial(misses, metric=RPV)),
    Cell(ONCE, "mean, non-inferiority at its margin of 10%", 10_000, 0.05, "equal", partial(guardrail, metric=RPV)),
    Cell(ONCE, "mean of 8 and 15 normal units, deviations 1 and 3", 20_000, 0.05, "equal", partial(few, sizes=(8, 15))),
    Cell(ONCE, "mean, CUPED at 90/10, deviations 1 and 3", 4_000, 0.05, "equal", unlike_cuped),
    Cell(ONCE, "mean, post-stratified at 90/10, deviations 1 and 3", 1_500, 0.05, "equal", stratified),
    Cell(ONCE, "mean of 7 and 9 lognormal units, permutation", 2_000, 0.05, "equal",
         partial(few_permuted, sizes=(7, 9))),
    Cell(ONCE, "ratio of 12 and 20 lognormal units, permutation", 2_000, 0.05, "equal",
         partial(few_permuted, sizes=(12, 20), ratio=True)),
    Cell(ONCE, "ratio, delta method: order value", 10_000, 0.05, "equal", partial(false_alarms, metric=AOV)),
    Cell(ONCE, "ratio, CUPED", 10_000, 0.05, "equal", partial(false_alarms, metric=AOV, adjust=True)),
    Cell(ONCE, "ratio, numerator capped", 10_000, 0.05, "equal", partial(false_alarms, metric=CAPPED_AOV)),
    Cell(ONCE, "ratio, Fieller's interval of +30% misses", 4_000, 0.05, "equal", partial(misses, metric=AOV)),
    Cell(ONCE, "ratio, non-inferiority at its margin of 10%", 10_000, 0.05, "equal", partial(guardrail, metric=AOV)),
    Cell(ONCE, "proportion, non-inferiority at its margin of 10%", 10_000, 0.05, "equal", guarded_conversion),
    Cell(ONCE, "quantile, median of clustered rows", 1_000, 0.05, "equal", partial(quantile, level=0.5)),
    Cell(ONCE, "quantile, 90th percentile of clustered rows", 1_000, 0.05, "equal", partial(quantile, level=0.9)),
    Cell(SKEW, "95,000 / 5,000, Welch's interval of the mean misses", 1_000, 0.05, "not ours",
         partial(skewed, units=(95_000, 5_000), what="plain")),
    Cell(SKEW, "19,800 / 200, Welch's interval of the mean misses", 2_000, 0.05, "not ours",
         partial(skewed, units=(19_800, 200), what="plain")),
    Cell(SKEW, "95,000 / 5,000, permutation interval of the mean misses", 1_000, 0.05, "equal",
         partial(skewed, units=(95_000, 5_000), what="permuted")),
    Cell(SKEW, "9,500 / 500, the same", 2_000, 0.05, "equal", partial(skewed, units=(9_500, 500), what="permuted")),
    Cell(SKEW, "19,800 / 200, the same", 2_000, 0.05, "equal", partial(skewed, units=(19_800, 200), what="permuted")),
    Cell(SKEW, "19,800 / 200, the same at +30%", 2_000, 0.05, "equal",
         partial(skewed, units=(19_800, 200), what="permuted", uplift=0.3)),
    Cell(SKEW, "200 / 19,800, the same at +30%", 2_000, 0.05, "equal",
         partial(skewed, units=(200, 19_800), what="permuted", uplift=0.3)),
    Cell(SKEW, "9,500 / 500, permutation interval of the ratio misses", 2_000, 0.05, "equal",
         partial(skewed, units=(9_500, 500), what="permuted", ratio=True)),
]  # fmt: skip
