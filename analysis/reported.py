"""What a report holds: plain frozen values, and the JSON they promise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from analysis.any_time import AnyTime
from analysis.asked import AllVisitors, PriceChange
from analysis.checks import Check
from analysis.decision import Verdict
from analysis.effect import NOTHING, Effect, finite
from analysis.inversion import Test
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
from analysis.permutation import Permuted
from analysis.threshold import Exceeds, NonInferiority
from experiments.metrics import MetricType, Unit
from experiments.wording import plain

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One metric in one variant; money in major units."""

    variant: str
    units: int
    value: float | None
    standard_error: float | None
    numerator: float | None
    denominator: float | None
    capped_units: int | None = None

    def to_dict(self) -> Json:
        """As JSON."""
        out: Json = {
            "variant": self.variant,
            "units": self.units,
            "value": finite(self.value),
            "standard_error": finite(self.standard_error),
            "numerator": finite(self.numerator),
            "denominator": finite(self.denominator),
        }
        return out | ({} if self.capped_units is None else {"capped_units": self.capped_units})


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The CUPED reading: what the covariates took off the variance, and the effect that is left."""

    variance_reduction: float | None
    difference: Effect
    lift: Effect
    p_value: float | None
    values: Mapping[str, float]
    slopes: Mapping[str, float]
    reason: str | None = None

    def to_dict(self) -> Json:
        """As JSON."""
        return {
            "variance_reduction": finite(self.variance_reduction),
            "difference": self.difference.to_dict(standard_error=True),
            "lift": self.lift.to_dict(),
            "p_value": finite(self.p_value),
            "values": {k: finite(v) for k, v in self.values.items()},
            "slopes": {k: finite(v) for k, v in self.slopes.items()},
            "estimable": self.reason is None,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One variant against control on one metric; `method` names the test, `notes` what to know when reading it."""

    variant: str
    control: str
    difference: Effect = NOTHING
    lift: Effect = NOTHING
    p_value: float | None = None
    p_value_adjusted: float | None = None
    difference_adjusted: Effect | None = None
    chance_to_win: float | None = None
    expected_loss: float | None = None
    sequential: AnyTime | None = None
    cuped: Adjusted | None = None
    uncapped: Effect | None = None
    non_inferiority: NonInferiority | None = None
    bounds: Effect | None = None
    band: Band | None = None
    method: str | None = None
    estimable: bool = True
    reason: str | None = None
    notes: tuple[str, ...] = ()
    permutation: Permuted | None = None
    p_value_permuted_adjusted: float | None = None
    test: Test | None = None
    exceeds: Exceeds | None = None

    @property
    def deciding_p_value(self) -> float | None:
        """The corrected p-value of the permutation test where one arbitrates, else of the plain test."""
        return self.p_value_adjusted if self.permutation is None else self.p_value_permuted_adjusted

    def to_dict(self) -> Json:
        """As JSON."""
        out: Json = {
            "variant": self.variant,
            "control": self.control,
            "difference": self.difference.to_dict(standard_error=True),
            "lift": self.lift.to_dict(),
            "p_value": finite(self.p_value),
            "p_value_adjusted": finite(self.p_value_adjusted),
            "chance_to_win": finite(self.chance_to_win),
            "expected_loss": finite(self.expected_loss),
            "sequential": self.sequential.to_dict() if self.sequential else None,
            "cuped": self.cuped.to_dict() if self.cuped else None,
            "estimable": self.estimable,
            "reason": self.reason,
            "method": self.method,
        }
        if self.difference_adjusted is not None:
            out["difference_adjusted"] = {
                k: v for k, v in self.difference_adjusted.to_dict().items() if k != "estimate"
            }
        if self.permutation is not None:
            out["permutation"] = self.permutation.to_dict() | {"p_value_adjusted": self.p_value_permuted_adjusted}
        if self.uncapped is not None:
            out["uncapped"] = {"difference": self.uncapped.to_dict(standard_error=True)}
        if self.non_inferiority is not None:
            out["non_inferiority"] = self.non_inferiority.to_dict()
        if self.exceeds is not None:
            out["exceeds"] = self.exceeds.to_dict()
        if self.bounds is not None:
            out["bounds"] = {"low": self.bounds.low, "high": self.bounds.high, "of": self.bounds.reason}
        if self.band is not None:
            out["band"] = msgspec.to_builtins(self.band, enc_hook=plain)
        if self.notes:
            out["notes"] = list(self.notes)
        return out


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric in every variant, and each variant against control; `unit` says what its values are."""

    metric: str
    type: MetricType
    role: str | None
    unit_count: int
    direction: str
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    cap: Mapping[str, float] | None = None
    unit: Unit | None = None

    def comparison(self, variant: str) -> Comparison:
        """The comparison of one variant; KeyError where it was not compared."""
        for found in self.comparisons:
            if found.variant == variant:
                return found
        raise KeyError(variant)

    def variant(self, variant: str) -> VariantResult:
        """The numbers of one variant; KeyError where it was not seen."""
        for found in self.variants:
            if found.variant == variant:
                return found
        raise KeyError(variant)

    def to_dict(self) -> Json:
        """As JSON."""
        out: Json = {
            "metric": self.metric,
            "type": self.type,
            "role": self.role,
            "direction": self.direction,
            "unit_count": self.unit_count,
            "variants": [v.to_dict() for v in self.variants],
            "comparisons": [c.to_dict() for c in self.comparisons],
        }
        return out | ({} if self.cap is None else {"cap": dict(self.cap)})


@dataclass(frozen=True, slots=True)
class Reported:
    """The whole reading of a test: who was in it, whether to believe it, what it says, what to do.

    A file's report ends with `decompositions`; what follows is an experiment's. `only` names the segment's level that
    the reader asked for, and is empty in the reading that was planned.
    """

    experiment: str | None
    as_of: str | None
    confidence: float
    control: str
    variants: tuple[tuple[str, int, float | None], ...]
    checks: tuple[Check, ...]
    metrics: tuple[MetricResult, ...]
    verdict: Verdict
    segments: tuple[Json, ...] = ()
    decompositions: tuple[Json, ...] = ()
    state: str | None = None
    currency: str | None = None
    data_from: str | None = None
    last_exposure: str | None = None
    only: str | None = None
    outlook: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    progress: Progress | None = None
    worth: tuple[Worth, ...] = ()
    bands: tuple[Band, ...] = ()
    offers: tuple[OfferPanel, ...] = ()
    cannibalisation: tuple[Cannibalisation, ...] = ()
    fatigue: tuple[Fatigue, ...] = ()
    time: Time | None = None
    maturity: Maturity | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    method: Method | None = None
    timeline: tuple[Entry, ...] = ()
    all_visitors: AllVisitors | None = None
    price_changes: tuple[PriceChange, ...] = ()
    lasting: Lasting | None = None

    def __getitem__(self, metric: str) -> MetricResult:
        for found in self.metrics:
            if found.metric == metric:
                return found
        raise KeyError(metric)

    def to_dict(self) -> Json:
        """The JSON of the contract, at full precision: what is not known is null, never NaN or Infinity."""
        out: Json = {
            "experiment": self.experiment,
            "as_of": self.as_of,
            "confidence": self.confidence,
            "variants": [
                {"variant": variant, "units": units, "weight": weight} for variant, units, weight in self.variants
            ],
            "checks": [
                {
                    "check": c.check,
                    "status": c.status,
                    "p_value": finite(c.p_value),
                    "statistic": finite(c.statistic),
                    "detail": c.detail,
                }
                for c in self.checks
            ],
            "metrics": [m.to_dict() for m in self.metrics],
            "verdict": self.verdict.to_dict(),
        }
        if self.segments:
            out["segments"] = list(self.segments)
        if self.decompositions:
            out["decompositions"] = list(self.decompositions)
        out |= {} if self.experiment is None else self._of_experiment()
        told: Json = msgspec.to_builtins(out, enc_hook=plain)
        return told

    def _of_experiment(self) -> Json:
        """What only an experiment's report has; a part that could not be made is null or empty."""
        return {name: msgspec.to_builtins(getattr(self, name), enc_hook=plain) for name in _OF_EXPERIMENT}


_OF_EXPERIMENT = (
    "state", "currency", "data_from", "last_exposure", "only", "outlook", "remarks", "progress", "worth", "bands",
    "offers", "cannibalisation", "fatigue", "time", "maturity", "sensitivity", "overlaps", "method", "timeline",
    "all_visitors", "price_changes", "lasting",
)  # fmt: skip
