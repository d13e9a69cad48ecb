"""Reasons not to read on: does the data deserve an analysis at all?

Every check takes plain numbers and answers with a Check. `fail` means the numbers must not be believed,
`warn` that they need a second look, `unknown` that there is too little to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import chdtrc

from experiments.errors import Invalid
from experiments.wording import Listed, figure, worded

Status = Literal["pass", "warn", "fail", "unknown"]

# Fabijan et al. 2019 (KDD): looked at daily, p < 0.01 cries wolf; 0.001 rarely does
ALARM = 0.001
# at millions of units a p-value flags what cannot matter: below 0.1 percentage point we warn and read on
MATTERS = 0.001
# Cochran's rule for the chi-square approximation
FEWEST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found, with its p-value and statistic where it is a test."""

    check: str
    status: Status
    p_value: float | None
    statistic: float | None
    detail: str


def srm(counts: Mapping[str, int], weights: Mapping[str, float], check: str = "srm") -> Check:
    """Sample ratio mismatch: do the units divide as the weights say?

    Pearson's chi-square over the variants with a weight, df = those - 1 (Fabijan et al. 2019). Fails below p = 0.001
    when some share is also off by 0.1 percentage point; units under a variant without weight always fail.
    """
    return srm_over_periods([(counts, weights)], check)


def srm_over_periods(periods: Sequence[tuple[Mapping[str, int], Mapping[str, float]]], check: str = "srm") -> Check:
    """Sample ratio mismatch when weights changed: each period's counts are held against the weights of that period.

    Sums observed - expected over the periods with the multinomial covariance of each; one period gives Pearson's
    chi-square exactly.
    """
    _refuse_nonsense(periods)
    variants = sorted({variant for counts, weights in periods for variant in (*counts, *weights)})
    stray = {v: sum(counts.get(v, 0) for counts, w in periods if not w.get(v, 0)) for v in variants}
    if any(stray.values()):
        named = ", ".join(f"{variant} ({count:,})" for variant, count in stray.items() if count)
        return Check(
            check, "fail", 0.0, None, worded("units under a variant without weight: %(variants)s", variants=named)
        )
    observed, expected, covariance = _multinomial(periods, variants)
    if observed.sum() == 0 or len(observed) < 2 or expected.min() < FEWEST_EXPECTED:
        return Check(check, "unknown", None, None, _too_few(int(observed.sum())))
    deviation = observed - expected
    if len(periods) == 1:  # the same without the eigenvalues, which thousands of variants would wait for
        statistic = float(np.sum(deviation**2 / expected))
        p_value = float(chdtrc(len(observed) - 1, statistic))
        return Check(check, _srm_status(p_value, deviation, observed), p_value, statistic, _shares(variants, periods))
    # scaled by the expected counts, one period's covariance has the eigenvalues 1 (k - 1 times) and 0
    scale = 1 / np.sqrt(expected)
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    real = values > 1e-9
    statistic = float(np.sum((vectors[:, real].T @ (deviation * scale)) ** 2 / values[real]))
    p_value = float(chdtrc(int(real.sum()), statistic))
    return Check(check, _srm_status(p_value, deviation, observed), p_value, statistic, _shares(variants, periods))


def srm_by_segment(counts: Mapping[str, Mapping[str, int]], weights: Mapping[str, float], segment: str) -> Check:
    """The worst sample ratio mismatch among the segments, its p-value multiplied by their number (Bonferroni)."""
    found = {value: srm(of_value, weights) for value, of_value in counts.items()}
    tested = {value: one for value, one in found.items() if one.p_value is not None}
    name = f"srm_by_{segment}"
    if not tested:
        return Check(name, "unknown", None, None, worded("too few units in every segment to say"))
    value, worst = min(tested.items(), key=lambda item: item[1].p_value or 0.0)
    p_value = min(1.0, len(tested) * (worst.p_value or 0.0))
    status = worst.status if p_value < ALARM else "pass"
    return Check(name, status, p_value, worst.statistic, f"{segment} = {value}: {worst.detail}")


def _refuse_nonsense(periods: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]) -> None:
    for counts, weights in periods:
        for variant, count in counts.items():
            if not count >= 0:
                raise Invalid.at(f"counts.{variant}", f"{count} is not a count")
        for variant, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise Invalid.at(f"weights.{variant}", f"{weight} is not a weight")
        if not sum(weights.values()) > 0:
            raise Invalid.at("weights", "no variant has a weight")


def _multinomial(
    periods: Sequence[tuple[Mapping[str, int], Mapping[str, float]]], variants: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed and expected counts and their covariance, over the variants that ever had a weight."""
    weighted = [v for v in variants if any(weights.get(v, 0) for _, weights in periods)]
    observed, expected = np.zeros(len(weighted)), np.zeros(len(weighted))
    covariance = np.zeros((len(weighted), len(weighted)))
    for counts, weights in periods:
        seen = np.array([counts.get(v, 0) for v in weighted], dtype=float)
        share = np.array([weights.get(v, 0) for v in weighted], dtype=float)
        share /= share.sum()
        observed += seen
        expected += seen.sum() * share
        covariance += seen.sum() * (np.diag(share) - np.outer(share, share))
    return observed, expected, covariance


def _srm_status(p_value: float, deviation: np.ndarray, observed: np.ndarray) -> Status:
    if p_value >= ALARM:
        return "pass"
    return "fail" if float(np.abs(deviation).max() / observed.sum()) >= MATTERS else "warn"


def _shares(variants: Sequence[str], periods: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]) -> str:
    """`control 49.0% (expected 50.0%), …` over all periods."""
    total = sum(sum(counts.values()) for counts, _ in periods)
    parts: list[str] = []
    for variant in variants:
        seen = sum(counts.get(variant, 0) for counts, _ in periods)
        expected = sum(
            sum(counts.values()) * weights.get(variant, 0) / sum(weights.values()) for counts, weights in periods
        )
        parts.append(
            worded(
                "%(variant)s %(share)s (expected %(expected)s)",
                variant=variant, share=figure(f"{seen / total:.2%}"), expected=figure(f"{expected / total:.2%}"),
            )
        )  # fmt: skip
    return Listed(parts)


def _too_few(units: int) -> str:
    return worded("too few units to say (%(units)s)", units=figure(f"{units:,}"))
