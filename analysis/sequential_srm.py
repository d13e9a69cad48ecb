"""Sample ratio mismatch that may be looked at after every batch of units.

Lindon & Malek 2022 (NeurIPS, Anytime-valid inference for multinomial count data): the Bayes factor of a Dirichlet
alternative around the weights against the weights themselves, a martingale under them, so 1 / its maximum so far is an
always-valid p-value. Concentration 10,000 as in the authors' ssrm-test.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from analysis.checks import ALARM, Check
from experiments.errors import Invalid

CONCENTRATION = 10_000.0
CONCENTRATIONS = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
"""From splits that are grossly wrong, which few units show, to small faults that only many do."""


def sequential_srm(
    batches: Sequence[Mapping[str, int]], weights: Mapping[str, float], concentration: float = CONCENTRATION
) -> Check:
    """The check after the last batch: fails below p = 0.001, however many batches there were."""
    p_values = sequential_p_values(batches, weights, concentration)
    if not len(p_values):
        return Check("sequential_srm", "unknown", None, None, "no units")
    p_value = float(p_values[-1])
    total = sum(sum(batch.values()) for batch in batches)
    detail = f"{total:,} units in {len(batches)} batches, always-valid p = {p_value:.3g}"
    return Check("sequential_srm", "fail" if p_value < ALARM else "pass", p_value, None, detail)


def mixed_srm(
    batches: Sequence[Mapping[str, int]], weights: Mapping[str, float],
    concentrations: Sequence[float] = CONCENTRATIONS,
) -> Check:  # fmt: skip
    """The check for faults of any size: the mean of several Bayes factors is a martingale under the weights too."""
    if not batches:
        return Check("sequential_srm", "unknown", None, None, "no units")
    each = np.array([log_bayes_factors(batches, weights, one) for one in concentrations])
    mixed = logsumexp(each, axis=0) - np.log(len(concentrations))
    p_value = float(np.exp(-max(float(mixed.max()), 0.0)))
    total = sum(sum(batch.values()) for batch in batches)
    detail = f"{total:,} units in {len(batches)} batches, always-valid p = {p_value:.3g}"
    return Check("sequential_srm", "fail" if p_value < ALARM else "pass", p_value, None, detail)


def sequential_p_values(
    batches: Sequence[Mapping[str, int]], weights: Mapping[str, float], concentration: float = CONCENTRATION
) -> NDArray[np.float64]:
    """The always-valid p-value after each batch of new units."""
    return np.exp(-np.maximum.accumulate(np.maximum(log_bayes_factors(batches, weights, concentration), 0)))


def log_bayes_factors(
    batches: Sequence[Mapping[str, int]], weights: Mapping[str, float], concentration: float = CONCENTRATION
) -> NDArray[np.float64]:
    """Dirichlet-multinomial over multinomial probability of all units so far, in logs.

    A unit under a variant without weight is impossible under the weights: the largest double from then on.
    """
    if not concentration > 0:
        raise Invalid.at("concentration", f"{concentration} is not above 0")
    variants = sorted(variant for variant, weight in weights.items() if weight > 0)
    if not variants:
        raise Invalid.at("weights", "no variant has a weight")
    share = np.array([weights[variant] for variant in variants], dtype=float)
    share = np.maximum(share / share.sum(), 1e-200)  # a share of next to nothing has no finite log gamma
    counts = np.array([[batch.get(variant, 0) for variant in variants] for batch in batches], dtype=float)
    stray = np.array([sum(n for variant, n in batch.items() if variant not in variants) for batch in batches])
    so_far = np.cumsum(counts.reshape(len(batches), len(variants)), axis=0)
    prior = concentration * share
    found = (
        gammaln(concentration)
        - gammaln(concentration + so_far.sum(axis=1))
        + (gammaln(prior + so_far) - gammaln(prior)).sum(axis=1)
        - so_far @ np.log(share)
    )
    return np.where(np.cumsum(stray) > 0, np.finfo(float).max, found)
