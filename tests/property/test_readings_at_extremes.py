"""Whatever comes in, a reading is a number or a typed refusal: never NaN, never a warning."""

import math
from dataclasses import fields, is_dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.bayes import NormalPrior, normal_reading
from analysis.beta_binomial import BetaPrior, beta_binomial
from analysis.checks import srm
from analysis.dunnett import dunnett, dunnett_critical
from analysis.group_sequential import repeated
from analysis.plan import plan
from analysis.power import Baseline, Design
from analysis.sequential import confidence_sequence, linear_model_p_value, msprt
from analysis.sequential_srm import sequential_srm
from experiments.errors import OfferlabError

anything = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 61.0, 1e-300, 1e12, math.inf, math.nan])
scales = st.floats(0, 1e300) | st.sampled_from([0.0, 1e-300, 1e12, math.inf, math.nan])
sides = st.sampled_from(["two-sided", "greater", "less"])


def numbers(found):
    if is_dataclass(found):
        for field in fields(found):
            yield from numbers(getattr(found, field.name))
    elif isinstance(found, tuple | list):
        for part in found:
            yield from numbers(part)
    elif isinstance(found, float):
        yield found


def holds(function, *arguments, **options):
    try:
        found = function(*arguments, **options)
    except OfferlabError:
        return
    assert not any(math.isnan(number) for number in numbers(found)), found


@given(anything, scales, st.floats(0, 1e15), st.floats(0, 1e15), sides)
def test_sequences(estimate, error, n, n_opt, side):
    holds(confidence_sequence, estimate, error, n, n_opt, alternative=side)
    holds(msprt, estimate, error, n)
    holds(linear_model_p_value, estimate, n, n_opt)


@settings(deadline=None)
@given(anything, scales, st.floats(0.01, 2), st.floats(0.01, 2))
def test_planned_looks(estimate, error, first, step):
    holds(repeated, estimate, error, [first, first + step])


@given(anything, scales, anything, scales, st.sampled_from(["increase", "decrease"]))
def test_normal_readings(estimate, error, mean, deviation, direction):
    try:
        prior = NormalPrior(mean, deviation)
    except OfferlabError:
        prior = None
    holds(normal_reading, estimate, error, prior, direction)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12),
    st.sampled_from([None, BetaPrior(0.01, 0.01), BetaPrior(1e-6, 1e6)]),
)  # fmt: skip
def test_two_proportions(x_c, rest_c, x_t, rest_t, prior):
    holds(beta_binomial, x_c, x_c + rest_c, x_t, x_t + rest_t, prior)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(anything, scales), min_size=1, max_size=5), scales, sides)
def test_several_variants(family, control, side):
    treatments = [variance for _, variance in family]
    holds(dunnett, [statistic for statistic, _ in family], control, treatments, alternative=side)
    holds(dunnett_critical, control, treatments, alternative=side)


@given(st.integers(0, 10**18), st.integers(0, 10**18), st.floats(0, 1), st.floats(0, 1))
def test_sample_ratios(one, other, weight, rest):
    counts, weights = {"control": one, "offer": other}, {"control": weight, "offer": rest}
    holds(srm, counts, weights)
    holds(sequential_srm, [counts, counts], weights)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.99, 0.01), (1e-6, 0.5, 0.4)])
@settings(max_examples=12, deadline=None)
@given(st.floats(1e-12, 1 - 1e-12), st.floats(-0.99, 20), st.floats(1e-3, 1e9))
def test_plans(shares, rate, lift, daily):
    baseline = Baseline.of_proportion(rate)
    holds(plan, baseline, baseline.effect(lift), Design(shares), daily, 2)
    mean = Baseline.of_mean(rate, 1e6 * rate)
    holds(plan, mean, mean.effect(lift), Design(shares), daily, 2)
