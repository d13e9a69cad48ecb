"""The whole range, not only the printed cases, against statsmodels run here."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from analysis.multiplicity import adjust
from analysis.power import Baseline, Design, power, sample_size

METHODS = {
    "bonferroni": "bonferroni", "sidak": "sidak", "holm": "holm", "holm_sidak": "holm-sidak",
    "hochberg": "simes-hochberg", "hommel": "hommel", "bh": "fdr_bh", "by": "fdr_by",
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_adjusted_p_values_against_statsmodels_on_random_families(method):
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 7, 20, 61):
        for power_ in (1, 3, 9):
            p = rng.random(size) ** power_
            p[rng.random(size) < 0.2] = p[0]  # ties
            told = multipletests(p, method=METHODS[method])[1]
            assert adjust(p.tolist(), method) == pytest.approx(tuple(told), rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("effect", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("ratio", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("wanted", [0.6, 0.8, 0.95])
def test_sample_size_against_statsmodels_over_a_grid(effect, ratio, wanted):
    design = Design((1 / (1 + ratio), ratio / (1 + ratio)), alpha=0.02, power=wanted)
    told = NormalIndPower().solve_power(effect, alpha=0.02, power=wanted, ratio=ratio)
    assert sample_size(Baseline.of_mean(0, 1), effect, design) / (1 + ratio) == pytest.approx(told, rel=1e-6)


@pytest.mark.parametrize(("rate", "effect"), [(0.05, 0.005), (0.3, -0.02), (0.6, 0.05)])
def test_power_of_a_proportion_against_statsmodels(rate, effect):
    """Their null variance pools the two rates without regard to the split, so the arms are equal here."""
    told = power_proportions_2indep(effect, rate, 8000, ratio=1, alpha=0.05, return_results=False)
    assert power(Baseline.of_proportion(rate), effect, 16_000, Design()) == pytest.approx(told, abs=2e-4)
    assert math.isfinite(told)
