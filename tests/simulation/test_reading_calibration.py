"""Error rates of the readings by simulation: fixed seeds and five-sigma bands, so red means a bug."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from analysis.dunnett import dunnett_critical
from analysis.group_sequential import boundaries
from analysis.multiplicity import adjust
from analysis.sequential import confidence_sequence, msprt
from analysis.shoppers import Shop, draw
from analysis.tails import Arm, skew

ALPHA = 0.05


def band(rate, runs):
    return 5 * math.sqrt(rate * (1 - rate) / runs)


def heavy_tailed_looks(rng, runs, looks, batch):
    """Running difference and standard error of revenue per visitor, both arms alike: 6% buy, lognormal values."""
    buyers = rng.binomial(batch, 0.06, (runs, 2, looks))
    value = rng.lognormal(3.6, 0.9, int(buyers.sum()))
    cell = np.repeat(np.arange(buyers.size), buyers.ravel())
    total, square = (
        np.cumsum(np.bincount(cell, v, minlength=buyers.size).reshape(buyers.shape), axis=-1) for v in (value, value**2)
    )
    n = batch * np.arange(1, looks + 1)
    variance = (square - total**2 / n) / (n - 1)
    bought = np.cumsum(buyers, axis=-1)
    effect = (total[:, 1] - total[:, 0]) / n
    return effect, np.sqrt(variance.sum(axis=1) / n), np.broadcast_to(2.0 * n, effect.shape), bought.min(axis=1) >= 100


def test_a_thousand_looks_stay_under_alpha_on_heavy_tails():
    """2,000 A/A tests read 1,000 times each, from 100 buyers an arm on: ours at most 5%, the fixed far more."""
    rng = np.random.default_rng(20261)
    ever = {"sequence": 0, "early": 0, "msprt": 0, "fixed": 0}
    for _ in range(8):
        effect, error, n, ripe = heavy_tailed_looks(rng, 250, 1000, 100)
        for name, p in (
            ("sequence", confidence_sequence(effect, error, n, 200_000.0).p_value),
            ("early", confidence_sequence(effect, error, n, 5_000.0).p_value),
            ("msprt", msprt(effect, error, np.full_like(error, 0.04)).p_value),
            ("fixed", np.where(np.abs(effect) > 1.96 * error, 0.0, 1.0)),
        ):
            ever[name] += int(np.any((p < ALPHA) & ripe, axis=1).sum())
    for name in ("sequence", "early", "msprt"):
        assert ever[name] / 2000 < ALPHA + band(ALPHA, 2000), name
    assert ever["sequence"] / 2000 < ALPHA
    assert ever["fixed"] / 2000 > 0.3


def test_the_interval_of_a_sequence_covers_the_truth_at_all_looks_together():
    rng = np.random.default_rng(20262)
    walk = np.cumsum(rng.standard_normal((4000, 1000)) + 0.03, axis=1)
    n = np.broadcast_to(np.arange(1.0, 1001.0), walk.shape)
    reading = confidence_sequence(walk / n, 1 / np.sqrt(n), n, 500.0)
    missed = np.any((reading.low > 0.03) | (reading.high < 0.03), axis=1).mean()
    assert missed < ALPHA + band(ALPHA, 4000)


@pytest.mark.parametrize("spending", ["power", "obrien_fleming", "pocock"])
def test_planned_looks_spend_alpha_on_heavy_tails(spending):
    rng = np.random.default_rng(20263)
    effect, error, _, _ = heavy_tailed_looks(rng, 4000, 10, 2000)
    bounds = boundaries([look / 10 for look in range(1, 11)], ALPHA, spending)
    called = np.any(np.abs(effect / error) >= bounds, axis=1).mean()
    assert abs(called - ALPHA) < band(ALPHA, 4000)


def families(rng, runs, variants, metrics, effects):
    """The z of every variant and metric against one control; metrics correlate by one half."""
    shared = rng.standard_normal((runs, variants + 1, 1))
    means = np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal((runs, variants + 1, metrics))
    return (means[:, 1:] - means[:, :1]) / np.sqrt(2) + effects


def test_family_wise_error_of_eight_variants_by_twenty_metrics():
    """Seven treatments and control: Dunnett is exact for each metric, Holm over all 140 questions conservative."""
    rng = np.random.default_rng(20264)
    runs = 4000
    z = families(rng, runs, 7, 20, 0.0)
    critical = dunnett_critical(1, [1] * 7)
    per_metric = np.mean(np.abs(z[:, :, 0]).max(axis=1) > critical)
    assert abs(per_metric - ALPHA) < band(ALPHA, runs)
    p = 2 * ndtr(-np.abs(z)).reshape(runs, -1)
    assert np.mean(p.min(axis=1) < ALPHA) > 0.9  # what nobody should do
    for method in ("holm", "hochberg", "hommel"):
        some = p[:400] if method == "hommel" else p
        wrong = np.mean([min(x for x in adjust(row.tolist(), method) if x is not None) < ALPHA for row in some])
        assert wrong < ALPHA + band(ALPHA, len(some)), method


def test_false_discovery_rate_of_eight_variants_by_twenty_metrics():
    """Half of the 140 effects are real: of what is called, at most 5% is wrong on average; BH finds more than Holm."""
    rng = np.random.default_rng(20265)
    runs = 1500
    real = np.zeros((7, 20))
    real[:, ::2] = 3.5
    z = families(rng, runs, 7, 20, real)
    p = 2 * ndtr(-np.abs(z)).reshape(runs, -1)
    truth = (real != 0).ravel()
    found = {}
    for method in ("bh", "by", "holm"):
        called = np.array([np.array(adjust(row.tolist(), method)) < ALPHA for row in p])
        wrong = (called & ~truth).sum(axis=1) / np.maximum(called.sum(axis=1), 1)
        assert wrong.mean() < ALPHA + 5 * wrong.std() / math.sqrt(runs), method
        found[method] = (called & truth).mean()
    assert found["bh"] > found["holm"]


@pytest.mark.parametrize(
    ("units", "warned"), [((10_000, 10_000), False), ((95_000, 5_000), True), ((19_800, 200), True)]
)
def test_skew_warns_where_the_test_is_off_and_not_where_it_holds(units, warned):
    """Heavy tails at 95/5 push errors to one side: 95% of runs and more carry the warning, balanced ones none."""
    rng = np.random.default_rng(20266)
    said = []
    for _ in range(100):
        arms, variance = [], 0.0
        for n in units:
            x = draw(Shop(log_deviation=1.2), rng, n)["revenue"]
            arms.append(Arm(n, float(x.mean()), float(np.mean((x - x.mean()) ** 3))))
            variance += float(x.var(ddof=1)) / n
        said.append(skew("revenue", arms[0], arms[1], math.sqrt(variance)).status == "warn")
    assert np.mean(said) >= 0.95 if warned else not any(said)
