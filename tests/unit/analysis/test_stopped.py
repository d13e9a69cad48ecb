"""After a group-sequential stop: estimates by the stage-wise ordering."""

import numpy as np
import pytest
from scipy.stats import norm

from analysis.group_sequential import boundaries, crossing
from analysis.stopped import stopped
from experiments.errors import NotEstimable

LOOKS = [0.2, 0.4, 0.6, 0.8, 1.0]


def test_one_look_is_the_fixed_test():
    found = stopped(1.5, 1.0, [1.0], [])
    assert found.estimate == pytest.approx(1.5)
    assert [found.low, found.high] == pytest.approx([1.5 - norm.isf(0.025), 1.5 + norm.isf(0.025)])
    assert found.p_value == pytest.approx(2 * norm.sf(1.5))


def test_a_stop_on_the_boundary_has_the_p_value_of_the_alpha_spent_so_far():
    """Fairbanks & Madsen 1982: at the first stop the p-value is the alpha spent up to that look."""
    bounds = boundaries(LOOKS, 0.05, "pocock")
    spent = crossing(LOOKS, bounds).cumsum()
    for k in range(1, 6):
        found = stopped(float(bounds[k - 1]), 1.0, LOOKS[:k], bounds)
        assert found.p_value == pytest.approx(spent[k - 1], rel=1e-6)


def test_an_early_stop_is_drawn_towards_no_effect_and_mirrors():
    bounds = boundaries(LOOKS, 0.05, "pocock")
    up, down = (stopped(sign * 3.0, 1.0, LOOKS[:2], bounds) for sign in (1, -1))
    assert 0 < up.low < up.estimate < 3.0
    assert (down.estimate, down.low, down.high) == pytest.approx((-up.estimate, -up.high, -up.low))


def test_estimates_are_too_high_as_often_as_too_low_and_intervals_cover():
    """Where the plain estimate is too high in most of the runs."""
    rng = np.random.default_rng(20267)
    bounds, runs, drift = boundaries(LOOKS, 0.05, "pocock"), 200, 2.5
    above, covered, plain = 0, 0, 0
    for _ in range(runs):
        score = np.cumsum(rng.normal(drift * 0.2, np.sqrt(0.2), 5))
        z = score / np.sqrt(LOOKS)
        k = next((i for i in range(5) if abs(z[i]) >= bounds[i]), 4)
        found = stopped(score[k] / LOOKS[k], 1 / np.sqrt(LOOKS[k]), LOOKS[: k + 1], bounds)
        above += found.estimate > drift
        covered += found.low <= drift <= found.high
        plain += score[k] / LOOKS[k] > drift
    assert abs(above / runs - 0.5) < 5 * np.sqrt(0.25 / runs)
    assert abs(covered / runs - 0.95) < 5 * np.sqrt(0.05 * 0.95 / runs)
    assert plain > above


def test_no_variance_and_no_number_are_refused():
    for estimate, error in ((1.0, 0.0), (float("nan"), 1.0)):
        with pytest.raises(NotEstimable):
            stopped(estimate, error, [1.0], [])
