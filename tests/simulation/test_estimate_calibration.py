"""Error rates and coverage of the estimates over many simulated tests: heavy tails, zeros, repeat buyers, few units.

Each rate is held to 5 sigma of its nominal value for the number of tests simulated, so a red test is a fault and not
bad luck. The table in docs/STATISTICS.md has the rates of these very runs.
"""

import numpy as np
import pytest
from scipy.special import stdtr

from analysis import Metric, Moments, lift, segments
from analysis.decompose import decompose
from analysis.proportions import Counts, difference_interval, lift_interval, mid_p_value, score_p_value
from analysis.quantiles import summarise

SEED = 20_261_121
COLUMNS = ("converted", "orders", "revenue", "before", "order_squares")
CONVERSION = Metric("conversion", "mean", "converted")
RPV = Metric("rpv", "mean", "revenue", covariates=("before",))
AOV = Metric("aov", "ratio", "revenue", "orders", covariates=("before",))


def band(nominal, tests, sigmas=5.0):
    """The widest departure from a nominal rate that chance allows."""
    return sigmas * np.sqrt(nominal * (1 - nominal) / tests)


def shop(rng, tests, units, conversion=0.06, uplift=0.0, sigma=0.9, history=0.0):
    """Moments of many simulated variants at once: 6% buyers, repeat orders of like size, lognormal order values.

    Only buyers are drawn, as the others are zeros; with `history` everybody has a covariate that tells of the buying.
    """
    buyers = rng.binomial(units, conversion, tests)
    test = np.repeat(np.arange(tests), buyers)
    orders = 1 + rng.poisson(0.3, len(test))
    level = rng.normal(0, sigma, len(test))
    revenue, squares = np.zeros(len(test)), np.zeros(len(test))
    for k in range(orders.max()):
        value = np.where(orders > k, 50 * (1 + uplift) * np.exp(level + rng.normal(0, 0.2, len(test))), 0.0)
        revenue += value
        squares += value**2
    before = np.where(rng.random(len(test)) < history, revenue / (1 + uplift) * rng.uniform(0.5, 1.5, len(test)), 0.0)
    rows = np.stack([np.ones(len(test)), orders, revenue, before, squares])
    sums = np.stack([np.bincount(test, row, tests) for row in rows], axis=-1)
    gram = np.stack([[np.bincount(test, a * b, tests) for b in rows] for a in rows], axis=0)
    return Moments.stacked(COLUMNS, np.full(tests, units), sums, np.moveaxis(gram, -1, 0))


@pytest.fixture(scope="module")
def same():
    """5,000 tests of two like variants of 5,000 units."""
    rng = np.random.default_rng(SEED)
    return [shop(rng, 5_000, 5_000, history=0.7) for _ in range(2)]


@pytest.mark.parametrize("metric", [CONVERSION, RPV, AOV], ids=lambda m: m.key)
@pytest.mark.parametrize("adjust", [False, True])
def test_false_alarms_of_means_and_ratios_are_nominal(same, metric, adjust):
    found = lift.difference(lift.estimate(metric, same, adjust and bool(metric.covariates)), 1)
    rate = float((found.p_value < 0.05).mean())
    assert abs(rate - 0.05) < band(0.05, 5_000)


@pytest.mark.parametrize("metric", [CONVERSION, RPV, AOV], ids=lambda m: m.key)
def test_p_values_of_like_variants_are_uniform(same, metric):
    p = np.sort(lift.difference(lift.estimate(metric, same), 1).p_value)
    steps = np.arange(1, len(p) + 1) / len(p)
    distance = max(np.abs(p - steps).max(), np.abs(p - steps + 1 / len(p)).max())
    # Kolmogorov's distribution at 1e-6
    assert distance < 2.69 / np.sqrt(len(p))


def test_order_value_intervals_cover_where_order_level_ones_do_not():
    """The visitor is the unit: a t-interval over orders takes one visitor's orders for independent ones."""
    rng = np.random.default_rng(SEED)
    pair = [shop(rng, 5_000, 2_000) for _ in range(2)]
    found = lift.difference(lift.estimate(AOV, pair), 1)
    covered = float(((found.low <= 0) & (found.high >= 0)).mean())
    assert 0.94 < covered < 0.96

    means, variances = [], []
    for m in pair:
        orders, revenue, squares = (m.sums[:, COLUMNS.index(c)] for c in ("orders", "revenue", "order_squares"))
        means.append(revenue / orders)
        variances.append((squares - revenue**2 / orders) / (orders - 1) / orders)
    t = (means[1] - means[0]) / np.sqrt(variances[0] + variances[1])
    naive = float((2 * stdtr(500, -np.abs(t)) >= 0.05).mean())
    assert naive < 0.92


@pytest.mark.parametrize(("metric", "uplift"), [(RPV, 0.0), (RPV, 0.3), (AOV, 0.3)], ids=["rpv", "rpv+30%", "aov+30%"])
def test_lift_intervals_cover_on_both_sides(metric, uplift):
    rng = np.random.default_rng(SEED)
    tests = 4_000
    pair = [shop(rng, tests, 2_000), shop(rng, tests, 2_000, uplift=uplift)]
    estimates = lift.estimate(metric, pair)
    below = above = 0
    for k in range(tests):
        one = lift.Estimates(
            estimates.values[k], estimates.covariance[k], estimates.own[k], estimates.units[k], estimates.gaps[k]
        )  # fmt: skip
        bounds = lift.lift(one, 1)
        below += bounds.low is not None and bounds.low > uplift
        above += bounds.high is not None and bounds.high < uplift
    # the skew of single orders shows in the sides, within the targets
    assert 0.018 <= below / tests <= 0.034
    assert 0.016 <= above / tests <= 0.034
    assert abs((below + above) / tests - 0.05) < band(0.05, tests)


@pytest.mark.parametrize(("units", "rate"), [((1_000, 1_000), 0.05), ((50_000, 1_000), 0.01), ((200, 200), 0.3)])
def test_score_test_and_interval_of_proportions(units, rate):
    rng = np.random.default_rng(SEED)
    tests = 3_000
    x = [rng.binomial(n, rate, tests) for n in units]
    rejected = covered = 0
    for x_c, x_t in zip(*x, strict=True):
        counts = Counts(int(x_c), units[0], int(x_t), units[1])
        p = mid_p_value(counts) if counts.low else score_p_value(counts)
        bounds = difference_interval(counts, 0.05)
        rejected += p < 0.05
        covered += bounds.low <= 0 <= bounds.high
    assert abs(rejected / tests - 0.05) < band(0.05, tests)
    assert abs(covered / tests - 0.95) < band(0.05, tests)


@pytest.mark.parametrize("rate", [0.002, 0.0005])
def test_low_counts_stay_under_alpha(rate):
    rng = np.random.default_rng(SEED)
    tests, n = 3_000, 1_000
    x = rng.binomial(n, rate, (2, tests))
    p = np.array([mid_p_value(Counts(int(a), n, int(b), n)) for a, b in x.T])
    assert float((p < 0.05).mean()) < 0.05 + band(0.05, tests)


def test_score_intervals_of_a_lift_cover_at_low_counts():
    rng = np.random.default_rng(SEED)
    tests, n = 2_000, 500
    x_c, x_t = rng.binomial(n, 0.01, tests), rng.binomial(n, 0.02, tests)
    missed = 0
    for a, b in zip(x_c, x_t, strict=True):
        bounds = lift_interval(Counts(int(a), n, int(b), n), 0.05)
        missed += (bounds.low is not None and bounds.low > 1) or (bounds.high is not None and bounds.high < 1)
    assert abs(missed / tests - 0.05) < band(0.05, tests)


def test_tiny_samples_of_normal_values_by_welch():
    rng = np.random.default_rng(SEED)
    metric = Metric("y", "mean", "y")
    pair = [Moments.from_arrays(("y",), rng.normal(10, s, (20_000, n, 1))) for s, n in ((1.0, 8), (3.0, 15))]
    p = lift.difference(lift.estimate(metric, pair), 1).p_value
    assert abs(float((p < 0.05).mean()) - 0.05) < band(0.05, 20_000)


def test_cuped_takes_variance_off_and_keeps_the_effect():
    rng = np.random.default_rng(SEED)
    tests = 3_000
    pair = [shop(rng, tests, 3_000, history=0.9), shop(rng, tests, 3_000, uplift=0.2, history=0.9)]
    plain, adjusted = (lift.difference(lift.estimate(AOV, pair, adjust), 1) for adjust in (False, True))
    assert float(np.mean(adjusted.standard_error)) < float(np.mean(plain.standard_error))
    assert np.std(adjusted.estimate) == pytest.approx(float(np.mean(adjusted.standard_error)), rel=0.1)
    drift = np.asarray(adjusted.estimate - plain.estimate)
    assert abs(drift.mean()) < 5 * drift.std() / np.sqrt(tests)


def test_cuped_under_peculiar_variances_and_a_90_to_10_split():
    """Each variant has its own residual variance: one for both rejects a third of the like here."""
    rng = np.random.default_rng(SEED)
    metric = Metric("y", "mean", "y", covariates=("x",))
    tests = 4_000
    sides = []
    for n, sd in ((900, 1.0), (100, 3.0)):
        x = rng.normal(size=(tests, n))
        sides.append(Moments.from_arrays(("y", "x"), np.stack([x + rng.normal(0, sd, (tests, n)), x], axis=-1)))
    p = lift.difference(lift.estimate(metric, sides, adjust=True), 1).p_value
    assert abs(float((p < 0.05).mean()) - 0.05) < band(0.05, tests)


def test_post_stratification_under_peculiar_variances_and_a_90_to_10_split():
    rng = np.random.default_rng(SEED)
    metric = Metric("y", "mean", "y")
    tests, rejected = 1_500, 0
    for _ in range(tests):
        strata = {}
        for level in (0.0, 5.0):
            strata[str(level)] = [
                Moments.from_rows({"y": level + rng.normal(0, sd, n)}) for n, sd in ((450, 1.0), (50, 3.0))
            ]
        rejected += float(lift.difference(segments.post_stratify(metric, strata), 1).p_value) < 0.05
    assert abs(rejected / tests - 0.05) < band(0.05, tests)


def test_clustered_quantiles_of_repeat_buyers():
    rng = np.random.default_rng(SEED)
    tests, covered_plain, covered = 1_000, 0, 0
    for _ in range(tests):
        ends = []
        for _ in range(2):
            rows = 1 + rng.poisson(2.0, 400)
            unit = np.repeat(np.arange(400), rows)
            values = np.exp(rng.normal(size=400)[unit] + 0.3 * rng.normal(size=len(unit)))
            ends.append((summarise(values, 0.75, unit), summarise(values, 0.75)))
        for clustered in (True, False):
            a, b = (end[0 if clustered else 1] for end in ends)
            held = abs(a.value - b.value) < 1.96 * np.hypot(a.standard_error, b.standard_error)
            covered, covered_plain = covered + (held and clustered), covered_plain + (held and not clustered)
    assert abs(covered / tests - 0.95) < band(0.05, tests)
    assert covered_plain / tests < 0.85


def test_interactions_that_are_not_there():
    rng = np.random.default_rng(SEED)
    tests, levels = 4_000, 5
    effects, errors = [], []
    for _ in range(levels):
        found = lift.difference(lift.estimate(RPV, [shop(rng, tests, 2_000) for _ in range(2)]), 1)
        effects.append(found.estimate)
        errors.append(found.standard_error)
    p = np.array(
        [segments.interaction(e, s).p_value for e, s in zip(np.array(effects).T, np.array(errors).T, strict=True)]
    )
    assert abs(float((p < 0.05).mean()) - 0.05) < band(0.05, tests)


def test_intervals_of_the_parts_of_a_change():
    rng = np.random.default_rng(SEED)
    tests = 800
    pair = [shop(rng, tests, 3_000), shop(rng, tests, 3_000, conversion=0.07)]
    covered = np.zeros(2)
    truth = ((0.07 - 0.06) * value_of_a_buyer(), 0.0)
    for k in range(tests):
        sides = [
            Moments(m.names, 3_000, m.sums[k].astype(object), m.gram[k].astype(object), m.scales, m.pivot)
            .restrict(("converted", "revenue")) for m in pair
        ]  # fmt: skip
        parts = decompose(*sides, ("converted", "revenue"), ("conversion", "value")).parts
        covered += [p.effect.low <= t <= p.effect.high for p, t in zip(parts, truth, strict=True)]
    assert np.abs(covered / tests - 0.95).max() < band(0.05, tests)


def value_of_a_buyer():
    return 50 * np.exp((0.9**2 + 0.2**2) / 2) * 1.3
