"""Intervals, and the one of a ratio of two estimates."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Interval:
    """Two bounds; one that does not exist is None, and `reason` says why."""

    low: float | None
    high: float | None
    reason: str | None = None


def fieller(
    m_c: float, v_c: float, m_t: float, v_t: float, cov: float, critical: float, gap: float | None = None
) -> Interval:
    """Fieller's (1954) interval of m_t / m_c - 1, unbounded where m_c is within `critical` standard errors of 0.

    The roots of (m_t - r m_c)^2 = critical^2 (v_t - 2 r cov + r^2 v_c); it excludes 0 exactly when the z-test does.
    `gap` is m_t - m_c where that is known to more digits.
    """
    square = critical**2
    if m_c == 0:
        return Interval(None, None, "the control's value is 0")
    # in units of the control's value, so that no square is too large or too small for a double
    v_c, v_t, cov = (v / m_c / m_c for v in (v_c, v_t, cov))
    a = 1 - square * v_c
    if a <= 0:
        return Interval(None, None, "the control's value cannot be told from 0, so the lift has no bounds")
    # about r = m_t / m_c the roots are small differences: solved for the shift, nothing cancels
    ratio = m_t / m_c
    spread = v_t - 2 * ratio * cov + ratio**2 * v_c
    slant = cov - ratio * v_c
    root = critical * np.sqrt(max(spread - square * (v_c * spread - slant**2), 0.0))
    middle = (m_t - m_c if gap is None else gap) / m_c - square * slant / a
    return Interval(float(middle - root / a), float(middle + root / a))
