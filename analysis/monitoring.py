"""A running test read by the method that its plan names: when it may be looked at, and what a look says.

A confidence sequence and an mSPRT may be read at any time; a group-sequential test at the looks that were planned, the
reading standing for the last look that was due; a fixed test once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np

from analysis import group_sequential, sequential
from analysis.any_time import AnyTime, Look
from analysis.power import Design, planned_drift
from analysis.stopped import stopped
from experiments.errors import FieldError, NotEstimable
from experiments.looks import Monitoring as Method
from experiments.looks import Spending, broken_looks
from experiments.wording import figure, worded

TOO_SKEWED = 0.5
"""Skewness of the difference beyond which no reading at any time is given: tuned by simulation (docs/STATISTICS.md)."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """How a test is looked at. `planned_units` counts control and one variant together; `target_lift` derives it.

    `looks` of a group-sequential test are so many, evenly spaced, or their fractions of the plan, the last one 1.
    """

    method: Method = "confidence_sequence"
    planned_units: int | None = None
    target_lift: float | None = None
    looks: int | tuple[float, ...] = 5
    spending: Spending = "obrien_fleming"

    def broken(self) -> list[FieldError]:
        """The rules it breaks, by the field of the plan."""
        errors = []
        if self.method not in get_args(Method):
            errors.append(FieldError("sequential", f"{self.method!r} is none of {', '.join(get_args(Method))}"))
        if self.spending not in get_args(Spending):
            errors.append(FieldError("spending", f"{self.spending!r} is none of {', '.join(get_args(Spending))}"))
        if self.planned_units is not None and self.planned_units < 2:
            errors.append(FieldError("planned_units", f"{self.planned_units!r} is below 2"))
        if self.target_lift is not None and not (math.isfinite(self.target_lift) and self.target_lift != 0):
            errors.append(FieldError("target_lift", f"{self.target_lift!r} is no lift to look for"))
        if message := broken_looks(self.looks):
            errors.append(FieldError("looks", message))
        if self.method == "group_sequential" and self.planned_units is None and self.target_lift is None:
            errors.append(
                FieldError("planned_units", "a group-sequential test needs its end: planned_units, or a target_lift")
            )
        if self.method == "msprt" and self.target_lift is None:
            errors.append(FieldError("target_lift", "the mSPRT needs the size of the lifts that are looked for"))
        return errors

    @property
    def fractions(self) -> tuple[float, ...]:
        """The planned looks as fractions of the plan, the last one 1."""
        if isinstance(self.looks, int):
            return tuple(k / self.looks for k in range(1, self.looks + 1))
        return self.looks


@dataclass(frozen=True, slots=True)
class Observed:
    """What a comparison has come to: the difference, control's value and variance per unit, units of both variants."""

    estimate: float
    standard_error: float
    control_value: float
    control_variance: float
    control_units: float
    treatment_units: float
    skewness: float | None = None

    @property
    def units(self) -> float:
        """Units of control and the variant together."""
        return self.control_units + self.treatment_units


def planned_units(monitoring: Monitoring, seen: Observed, alpha: float) -> float | None:
    """The units of control and this variant that the plan ends with; None where nothing says.

    From the target lift: those that find it with 80% power, at control's value and variance and the split so far.
    """
    if monitoring.planned_units is not None:
        return float(monitoring.planned_units)
    effect = abs((monitoring.target_lift or 0.0) * seen.control_value)
    if not (effect > 0 and seen.control_variance > 0):
        return None
    drift = _drift(monitoring.method, monitoring.spending, monitoring.fractions, alpha)
    share = seen.control_units / seen.units
    return max(2.0, drift**2 * seen.control_variance * (1 / share + 1 / (1 - share)) / effect**2)


def units_by_the_end(units: float, days: float, planned_days: float) -> int | None:
    """The units there will have been after the planned days if they go on arriving as so far; None on the first day.

    A number that grows with the units seen would make no sequence of it; a steady rate does not.
    """
    if days < 1 or not units * planned_days / days >= 2:
        return None
    return round(units * max(planned_days, 1.0) / days)


@lru_cache(maxsize=256)
def _drift(method: Method, spending: Spending, fractions: tuple[float, ...], alpha: float) -> float:
    if method == "group_sequential":
        return planned_drift(Design(alpha=alpha, monitoring=method, spending=spending, looks=len(fractions)))
    return planned_drift(Design(alpha=alpha, monitoring="sequential"))


def read(monitoring: Monitoring, seen: Observed, alpha: float) -> AnyTime:
    """The reading of a comparison by the plan's method; a reading that cannot be given carries its reason."""
    method = monitoring.method
    if seen.skewness is not None and abs(seen.skewness) > TOO_SKEWED:
        reason = worded(
            "too early: the skewness of the difference is %(skewness)s, and beyond %(most)s it errs",
            skewness=figure(f"{seen.skewness:+.2f}"), most=figure(f"{TOO_SKEWED:g}"),
        )  # fmt: skip
        return AnyTime(None, None, None, method, reason=reason)
    planned = planned_units(monitoring, seen, alpha)
    try:
        if method == "msprt":
            return _msprt(monitoring, seen, alpha)
        if method == "group_sequential":
            return _at_looks(monitoring, seen, planned, alpha)
        tuned = sequential.UNPLANNED_UNITS if planned is None else planned
        found = sequential.confidence_sequence(seen.estimate, seen.standard_error, seen.units, tuned, alpha)
    except NotEstimable as error:
        return AnyTime(None, None, None, method, reason=error.message)
    return AnyTime(found.low, found.high, found.p_value, method, planned_units=tuned)


def intervals(
    monitoring: Monitoring, seen: Sequence[Observed], alpha: float
) -> list[tuple[float | None, float | None]]:  # fmt: skip
    """The interval of each of many looks at one comparison, as `read` gives it."""
    plain = monitoring.method == "confidence_sequence" and all(
        one.skewness is None and one.standard_error > 0 and one.units > 0 for one in seen
    )
    if not plain or not seen:
        return [(one.low, one.high) for one in (read(monitoring, look, alpha) for look in seen)]
    planned = [planned_units(monitoring, one, alpha) or sequential.UNPLANNED_UNITS for one in seen]
    effect, error, units = (
        np.array([getattr(one, name) for one in seen]) for name in ("estimate", "standard_error", "units")
    )
    found = sequential.confidence_sequence(effect, error, units, np.array(planned), alpha)
    return list(zip(found.low.tolist(), found.high.tolist(), strict=True))


def _msprt(monitoring: Monitoring, seen: Observed, alpha: float) -> AnyTime:
    deviation = abs((monitoring.target_lift or 0.0) * seen.control_value)
    if not deviation > 0:
        raise NotEstimable("the control's value is 0, so the lift that is looked for has no size")
    found = sequential.msprt(seen.estimate, seen.standard_error, deviation**2, alpha)
    return AnyTime(found.low, found.high, found.p_value, "msprt")


def _at_looks(monitoring: Monitoring, seen: Observed, planned: float | None, alpha: float) -> AnyTime:
    """The last look that was due: it spends what is planned up to it, at the information there really is."""
    if planned is None:
        raise NotEstimable("the control's value does not vary or is 0, so the target lift gives no number of units")
    fractions, information = monitoring.fractions, seen.units / planned
    due = sum(fraction <= information * (1 + 1e-12) for fraction in fractions)
    following = None if due == len(fractions) else math.ceil(fractions[due] * planned)
    if not due:
        reason = worded(
            "the first of %(looks)s looks is due at %(due)s units; so far there are %(units)s",
            looks=len(fractions), due=figure(f"{following:,}"), units=figure(f"{seen.units:,.0f}"),
        )  # fmt: skip
        look = Look(0, len(fractions), information, None, following)
        return AnyTime(None, None, None, "group_sequential", planned, reason, look)
    times = fractions[:due]
    real = (*fractions[: due - 1], information)
    bounds = _boundaries(real, alpha, monitoring.spending, times)
    bound = bounds[-1] if math.isfinite(bounds[-1]) else None
    look = Look(due, len(fractions), information, bound, following)
    if not seen.standard_error > 0:
        raise NotEstimable(worded("zero variance: no interval can be given"))
    if bound is None:
        reason = worded("this look spends too little to reject anything")
        return AnyTime(None, None, 1.0, "group_sequential", planned, reason, look)
    z = abs(seen.estimate) / seen.standard_error
    half = bound * seen.standard_error
    over = z >= bound or following is None
    after = stopped(seen.estimate, seen.standard_error, real, bounds, alpha) if over and z < 30 else None
    p_value = _p_value(z, bound, real, alpha, monitoring.spending, times)
    return AnyTime(
        seen.estimate - half, seen.estimate + half, p_value, "group_sequential", planned, None, look, after
    )  # fmt: skip


@lru_cache(maxsize=256)
def _boundaries(
    real: tuple[float, ...], alpha: float, spending: Spending, times: tuple[float, ...]
) -> tuple[float, ...]:
    return tuple(map(float, group_sequential.boundaries(real, alpha, spending, times=times)))


def _p_value(
    z: float, bound: float, real: tuple[float, ...], alpha: float, spending: Spending, times: tuple[float, ...]
) -> float:
    curve = group_sequential.repeated_p_values(real, alpha, spending, 2.0, times)
    square = min(max(z**2, float(curve.x[0])), float(curve.x[-1]))
    p = float(np.exp(min(float(curve(square)), 0.0)))
    # the curve passes through alpha at the boundary but for rounding
    return min(p, math.nextafter(alpha, 0)) if z >= bound else max(p, alpha)
