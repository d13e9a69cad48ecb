"""Is the normal approximation safe here? Skew that does not cancel between arms, and single units that decide."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.checks import Check
from experiments.errors import Invalid

# tuned by simulation (docs/statistics/checks.md)
SKEWED = 0.1
DECIDES = 0.5


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant's values: how many, mean, third central moment E[(x - mean)^3], smallest and largest."""

    units: int
    mean: float
    third_moment: float = 0.0
    smallest: float = 0.0
    largest: float = 0.0


def skew(metric: str, control: Arm, treatment: Arm, standard_error: float) -> Check:
    """Skewness of the difference of means: gamma = k3 (1 / n_t^2 - 1 / n_c^2) / SE^3; warns above 0.1 in size.

    Gong et al. 2025 (arXiv 2510.23666), with the third moment pooled over both arms, as it is under no effect: each
    arm's own is so noisy that one in three balanced tests would warn. Skew cancels in a balanced test; with imbalance
    the errors of one side rise and those of the other fall. A warning only: an Edgeworth correction made it worse.
    """
    name = f"skew_{metric}"
    if control.units < 2 or treatment.units < 2 or not standard_error > 0:
        return Check(name, "unknown", None, None, "too few units or no variance")
    n_c, n_t = float(control.units), float(treatment.units)
    pooled = (control.third_moment * n_c + treatment.third_moment * n_t) / (n_c + n_t)
    gamma = float(pooled * (1 / n_t**2 - 1 / n_c**2) / standard_error**3)
    if not np.isfinite(gamma):
        raise Invalid.at(metric, "third moments and standard error must be finite")
    detail = f"skewness of the difference {gamma:+.3f}"
    if abs(gamma) <= SKEWED:
        return Check(name, "pass", None, gamma, detail)
    return Check(
        name, "warn", None, gamma, f"{detail}: p-values are off to one side; cap {metric} or balance the split"
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
        return Check(name, "unknown", None, None, "too few units or no variance")
    variant = max(moved, key=lambda each: moved[each])
    share = float(moved[variant] / standard_error)
    detail = f"the most extreme unit of {variant} moves {metric} by {share:.2f} standard errors"
    return Check(name, "warn" if share >= DECIDES else "pass", None, share, detail)
