"""Is the normal approximation safe here? Skew that does not cancel between arms, and single units that decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.checks import Check
from experiments.errors import Invalid
from experiments.wording import figure, worded

# tuned by simulation (docs/statistics/checks.md)
SKEWED = 0.1
DECIDES = 0.5


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant's values: how many, mean, third central moment E[(x - mean)^3], smallest and largest.

    `columns` are the numerators, and denominators of a ratio, of the units that are not all 0, where they are at hand.
    """

    units: int
    mean: float
    third_moment: float = 0.0
    smallest: float = 0.0
    largest: float = 0.0
    columns: tuple[NDArray[np.float64], ...] = field(default=(), compare=False, repr=False)


def skewness(control: Arm, treatment: Arm, standard_error: float) -> float | None:
    """Skewness of the difference of means: k3 (1 / n_t^2 - 1 / n_c^2) / SE^3; None where it is not known.

    Gong et al. 2025 (arXiv 2510.23666), with the third moment pooled over both arms, as it is under no effect: each
    arm's own is so noisy that one in three balanced tests would warn.
    """
    if control.units < 2 or treatment.units < 2 or not standard_error > 0:
        return None
    n_c, n_t = float(control.units), float(treatment.units)
    pooled = (control.third_moment * n_c + treatment.third_moment * n_t) / (n_c + n_t)
    with np.errstate(over="ignore"):
        scale = np.float64(standard_error)
        gamma = float(np.float64(pooled) / scale / scale / scale * (1 / n_t**2 - 1 / n_c**2))
    return gamma if np.isfinite(gamma) else None


def skew(metric: str, control: Arm, treatment: Arm, standard_error: float) -> Check:
    """Is the skewness of the difference above 0.1 in size? It cancels in a balanced test.

    With imbalance the errors of one side of the plain test rise and those of the other fall; the permutation test
    beside it keeps its level, and decides. An Edgeworth correction made matters worse.
    """
    name = f"skew_{metric}"
    if not all(np.isfinite(arm.third_moment) for arm in (control, treatment)) or not np.isfinite(standard_error):
        raise Invalid.at(metric, "third moments and standard error must be finite")
    gamma = skewness(control, treatment, standard_error)
    if gamma is None:
        return Check(name, "unknown", None, None, worded("too few units or no variance"))
    written = figure(f"{gamma:+.3f}")
    if abs(gamma) <= SKEWED:
        return Check(name, "pass", None, gamma, worded("skewness of the difference %(skewness)s", skewness=written))
    return Check(
        name,
        "warn",
        None,
        gamma,
        worded(
            "skewness of the difference %(skewness)s: p-values are off to one side; cap %(metric)s or balance the "
            "split",
            skewness=written,
            metric=metric,
        ),
    )


def outliers(metric: str, arms: Mapping[str, Arm], standard_error: float) -> Check:
    """How far the one most extreme unit moves its variant's mean, in standard errors of the difference.

    Leaving out x moves a mean by (x - mean) / (n - 1). Warns from half a standard error; nothing is deleted.
    """
    name = f"outliers_{metric}"
    moved = {
        variant: max(abs(arm.largest - arm.mean), abs(arm.smallest - arm.mean)) / (arm.units - 1)
        for variant, arm in arms.items()
        if arm.units > 1
    }
    if not moved or not standard_error > 0:
        return Check(name, "unknown", None, None, worded("too few units or no variance"))
    variant = max(moved, key=lambda each: moved[each])
    share = float(moved[variant] / standard_error)
    detail = worded(
        "the most extreme unit of %(variant)s moves %(metric)s by %(size)s standard errors",
        variant=variant,
        metric=metric,
        size=figure(f"{share:.2f}"),
    )
    return Check(name, "warn" if share >= DECIDES else "pass", None, share, detail)
