"""The report as the management API and `offerlab analyze` print it, as types: at full precision, null where unknown."""

from typing import Any, Literal

import msgspec

from analysis.asked import AllVisitors, PriceChange
from analysis.decision import Decision, Ground
from analysis.lasted import Lasting
from analysis.parts import (
    Band,
    Cannibalisation,
    Entry,
    Fatigue,
    Maturity,
    Method,
    OfferPanel,
    Overlap,
    Progress,
    Remark,
    Sensitivity,
    Time,
    Worth,
)
from experiments.lifecycle import State
from experiments.metrics import Direction, MetricType

UNSET = msgspec.UNSET
Unset = msgspec.UnsetType


class ReportVariant(msgspec.Struct, frozen=True):
    """A variant's units, and its planned share where one is known."""

    variant: str
    units: int
    weight: float | None


class ReportCheck(msgspec.Struct, frozen=True):
    """A reason not to read on, or its absence."""

    check: str
    status: Literal["pass", "warn", "fail", "unknown"]
    p_value: float | None
    statistic: float | None
    detail: str


class VariantReading(msgspec.Struct, frozen=True):
    """One metric in one variant; money in major units."""

    variant: str
    units: int
    value: float | None
    standard_error: float | None
    numerator: float | None
    denominator: float | None
    capped_units: int | Unset | None = UNSET


class Interval(msgspec.Struct, frozen=True):
    """An estimate with its interval; a bound that does not exist is null, and `reason` says why."""

    estimate: float | None
    low: float | None
    high: float | None
    standard_error: float | Unset | None = UNSET
    reason: str | Unset = UNSET


class Bounds(msgspec.Struct, frozen=True):
    """An interval alone."""

    low: float | None
    high: float | None


class AnyTimeReading(msgspec.Struct, frozen=True):
    """The interval and p-value of a test that is looked at while it runs."""

    low: float | None
    high: float | None
    p_value: float | None
    method: str
    planned_units: float | None
    reason: str | None


class CupedReading(msgspec.Struct, frozen=True):
    """What the covariates took off the variance, and the effect that is left."""

    variance_reduction: float | None
    difference: Interval
    lift: Interval
    p_value: float | None
    values: dict[str, float | None]
    slopes: dict[str, float | None]
    estimable: bool
    reason: str | None


class Guarded(msgspec.Struct, frozen=True):
    """Whether a guardrail's variant is no worse than control by the margin or more."""

    margin: float
    relative: bool
    p_value: float | None
    holds: bool


class Exceeded(msgspec.Struct, frozen=True):
    """The test of the lift that the rule asks of the metric it decides by: two-sided, before any correction."""

    lift: float
    p_value: float | None


class ComparisonReading(msgspec.Struct, frozen=True):
    """One variant against control; what cannot be estimated has `estimable` false and a reason."""

    variant: str
    control: str
    difference: Interval
    lift: Interval
    p_value: float | None
    p_value_adjusted: float | None
    chance_to_win: float | None
    expected_loss: float | None
    sequential: AnyTimeReading | None
    cuped: CupedReading | None
    estimable: bool
    reason: str | None
    method: str | None
    difference_adjusted: Bounds | Unset = UNSET
    permutation: dict[str, Any] | Unset = UNSET
    uncapped: dict[str, Interval] | Unset = UNSET
    non_inferiority: Guarded | Unset = UNSET
    exceeds: Exceeded | Unset = UNSET
    bounds: dict[str, float | str | None] | Unset = UNSET
    band: Band | Unset = UNSET
    notes: list[str] | Unset = UNSET


class MetricReading(msgspec.Struct, frozen=True):
    """One metric in every variant, and each variant against control."""

    metric: str
    type: MetricType
    role: Literal["primary", "secondary", "guardrail"] | None
    direction: Direction
    unit_count: int
    variants: list[VariantReading]
    comparisons: list[ComparisonReading]
    cap: dict[str, Any] | Unset = UNSET


class VerdictReading(msgspec.Struct, frozen=True):
    """The decision by the rule that was fixed before the start, and why."""

    decision: Decision
    variant: str | None
    rule: str
    because: list[str]
    ground: Ground


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The whole reading of an experiment: who was in it, whether to believe it, what it says, what to do."""

    experiment: str
    as_of: str
    confidence: float
    variants: list[ReportVariant]
    checks: list[ReportCheck]
    metrics: list[MetricReading]
    verdict: VerdictReading
    segments: list[dict[str, Any]] | Unset = UNSET
    decompositions: list[dict[str, Any]] | Unset = UNSET
    state: State | None
    currency: str | None
    data_from: str | None
    last_exposure: str | None
    only: str | None
    outlook: list[str]
    remarks: list[Remark]
    progress: Progress | None
    worth: list[Worth]
    bands: list[Band]
    offers: list[OfferPanel]
    cannibalisation: list[Cannibalisation]
    fatigue: list[Fatigue]
    time: Time | None
    maturity: Maturity | None
    sensitivity: list[Sensitivity]
    overlaps: list[Overlap]
    method: Method | None
    timeline: list[Entry]
    all_visitors: AllVisitors | None
    price_changes: list[PriceChange]
    lasting: Lasting | None
