"""Alarms may be asked for at any time: the split's test keeps its error rate at every look, and finds what is wrong."""

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import beta, binom

from analysis.alarms import mismatch
from analysis.checks import ALARM
from analysis.sequential_srm import CONCENTRATIONS, log_bayes_factors, mixed_srm

EVEN = {"control": 0.5, "t1": 0.5}


def test_the_mixture_agrees_with_numerical_integration() -> None:
    """The Bayes factor of one batch is the mean likelihood ratio over the prior: here by quadrature."""
    batch = {"control": 70, "t1": 40}
    ratios = []
    for one in CONCENTRATIONS:
        prior = beta(one / 2, one / 2)

        def weighed(share: float, prior=prior) -> float:
            return float(binom.pmf(70, 110, share) * prior.pdf(share))

        likely, _ = integrate.quad(weighed, 0, 1, points=[0.5, 70 / 110], limit=500)
        ratios.append(likely / binom.pmf(70, 110, 0.5))
    assert mixed_srm([batch], EVEN).p_value == pytest.approx(min(1.0, 1 / np.mean(ratios)), rel=1e-6)


def test_looking_after_every_batch_rarely_cries_wolf() -> None:
    """20,000 even splits looked at 200 times each; at most the nominal rate, within five standard deviations."""
    random, runs, looks = np.random.default_rng(5), 20_000, 200
    sizes = random.integers(1, 200, looks)
    first = random.binomial(sizes, 0.5, (runs, looks)).cumsum(axis=1)
    total = sizes.cumsum()
    # by the closed form of two variants, over all runs at once; the function itself is held to it on the first ones
    from scipy.special import betaln, logsumexp

    each = [
        betaln(c / 2 + first, c / 2 + total - first) - betaln(c / 2, c / 2) + total * np.log(2) for c in CONCENTRATIONS
    ]
    mixed = logsumexp(np.array(each), axis=0) - np.log(len(CONCENTRATIONS))
    for run in range(5):
        batches = [
            {"control": int(n), "t1": int(size - n)}
            for n, size in zip(np.diff(first[run], prepend=0), sizes, strict=True)
        ]
        assert mixed_srm(batches, EVEN).p_value == pytest.approx(np.exp(-max(mixed[run].max(), 0)), rel=1e-9)
    alarms = (mixed.max(axis=1) > -np.log(ALARM)).sum()
    assert alarms <= runs * ALARM + 5 * np.sqrt(runs * ALARM * (1 - ALARM))


@pytest.mark.parametrize(("units", "share"), [(200, 0.7), (2_000, 0.56), (20_000, 0.52), (400_000, 0.5045)])
def test_faults_of_every_size_are_found(units: int, share: float) -> None:
    first = round(units * share)
    assert mixed_srm([{"control": first, "t1": units - first}], EVEN).status == "fail"
    assert max(log_bayes_factors([{"control": first, "t1": units - first}], EVEN, c)[0] for c in CONCENTRATIONS) > 0


def test_a_fault_too_small_to_matter_is_none() -> None:
    """Twenty million units show a split that is off by 0.08 percentage points: nobody needs to get up."""
    entered = np.array([[10_016_000, 9_984_000]])
    assert mixed_srm([{"control": 10_016_000, "t1": 9_984_000}], EVEN).status == "fail"
    assert mismatch(["control", "t1"], {"control": 5000.0, "t1": 5000.0}, entered) is None
    assert (
        mismatch(["control", "t1"], {"control": 5000.0, "t1": 5000.0}, np.array([[10_216_000, 9_784_000]])) is not None
    )
    assert mismatch(["control", "t1"], {"control": 5000.0, "t1": 5000.0}, np.zeros((1, 2), dtype=np.int64)) is None
