import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import Metric, Moments, lift, segments
from experiments.errors import NotEstimable

RPV = Metric("rpv", "mean", "revenue", covariates=("revenue_pre",))


def test_post_stratified_lift_against_gbstats(cases, micro):
    strata = {s: [micro(s)[a] for a in ("control", "t1")] for s in "123"}
    found = segments.post_stratify(RPV, strata)
    told = cases["gb_poststrat_mean_relative"]["outputs"]
    assert lift.relative(found, 1) == pytest.approx(told["effect"], rel=1e-10)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_one_stratum_is_no_stratum(seed):
    rng = np.random.default_rng(seed)
    metric = Metric("r", "ratio", "a", "b", covariates=("x",))
    sides = [Moments.from_rows({c: rng.gamma(1, size=50) for c in "abx"}) for _ in range(2)]
    for adjust in (False, True):
        plain, alone = lift.estimate(metric, sides, adjust), segments.post_stratify(metric, {"all": sides}, adjust)
        assert plain.values == pytest.approx(alone.values, rel=1e-9)
        assert plain.own == pytest.approx(alone.own, rel=1e-9)


def test_small_strata_are_merged():
    def level(n, seed):
        rng = np.random.default_rng(seed)
        return [Moments.from_rows({"revenue": rng.gamma(1, size=n)}) for _ in range(2)]

    metric = Metric("rpv", "mean", "revenue")
    strata = {"a": level(50, 1), "b": level(1, 2), "c": level(1, 3)}
    merged = {"a": strata["a"], "rest": [x + y for x, y in zip(strata["b"], strata["c"], strict=True)]}
    assert segments.post_stratify(metric, strata).values == pytest.approx(segments.post_stratify(metric, merged).values)
    with pytest.raises(NotEstimable):
        segments.post_stratify(metric, {"b": strata["b"]})


def test_one_effect_everywhere_is_no_interaction():
    found = segments.interaction([1.0, 1.0, 1.0], [0.1, 0.2, 0.3])
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_interaction_by_hand():
    found = segments.interaction([0.0, 2.0], [1.0, 1.0])
    assert found.statistic == 2.0
    assert found.p_value == pytest.approx(0.15729920705)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 3)), min_size=2, max_size=8))
def test_shrunken_effects_lie_between_their_own_and_the_common_one(levels):
    effects, errors = zip(*levels, strict=True)
    drawn = [e for e, _ in segments.shrink(effects, errors)]
    assert min(effects) - 1e-9 <= min(drawn) <= max(drawn) <= max(effects) + 1e-9
    assert max(drawn) - min(drawn) <= max(effects) - min(effects) + 1e-9


def test_levels_that_do_not_differ_share_one_effect():
    drawn = segments.shrink([1.0, 1.1, 0.9], [0.3, 0.3, 0.3])
    assert [e for e, _ in drawn] == pytest.approx([1.0, 1.0, 1.0])


def test_an_interaction_needs_two_levels():
    with pytest.raises(NotEstimable):
        segments.interaction([1.0], [0.1])
