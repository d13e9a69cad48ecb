"""The parts of an experiment's report beyond its metrics, as plain frozen values that can be stored and read again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analysis.effect import Effect

Tone = Literal["good", "bad", "warn", "info"]


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence that the numbers allow, by a rule with a stated error rate; `kind` names the rule."""

    kind: str
    variant: str | None
    tone: Tone
    sentence: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: what can be seen now against what was planned to be seen, and when that will be.

    `mde` and `target` are lifts of the primary metric that would be found with 80% power. `precision` is the share of
    the needed units that are in; `days_left` None where no end can be told, and `reason` says why.
    """

    metric: str
    days: float
    full_weeks: int
    minimum_days: int
    units: int
    units_a_day: float
    mde: float | None
    target: float | None
    precision: float | None
    units_left: int | None
    days_left: float | None
    planned_end: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Worth:
    """What shipping one variant to everybody would bring in money, and what it costs to wait or to be wrong.

    Money in major units. `expected_loss` is a day's, averaged over what the variant may truly do.
    """

    variant: str
    metric: str
    units_a_day: float
    a_day: Effect
    a_year: Effect
    expected_loss: float | None
    waiting: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """A profit whose costs are not all known: from no margin on what is unknown, to its category's usual margin.

    `coverage` is the share of the revenue whose cost is known.
    """

    variant: str
    coverage: float | None
    zero_margin: Effect
    category_margin: Effect
    zero_margin_p: float | None
    category_margin_p: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way to a kept order: units that took it, and the share of the step before."""

    step: str
    units: int | None
    share: float | None


@dataclass(frozen=True, slots=True)
class TopLine:
    """One product that was bought with the offer."""

    product_id: str
    title: str
    orders: int
    pieces: int
    revenue: float


@dataclass(frozen=True, slots=True)
class OfferPanel:
    """What one variant's offer did on its way; money in major units."""

    variant: str
    offer: str
    funnel: tuple[Step, ...]
    take_rate: float | None
    dismiss_rate: float | None
    discount: float
    discount_per_order: float | None
    refusals: Mapping[str, int]
    top: tuple[TopLine, ...]


@dataclass(frozen=True, slots=True)
class SkuLine:
    """One product: what the offer sold of it, and what that is more than control bought of it anyway."""

    product_id: str
    title: str
    attributed: float
    incremental: Effect


@dataclass(frozen=True, slots=True)
class Cannibalisation:
    """What was bought with the offer against what came on top; revenue in major units, over all units of the variant.

    `displaced` is what the variant bought less of what the offer does not sell.
    """

    variant: str
    attributed: float
    incremental: Effect
    p_value: float | None
    displaced: Effect
    skus: tuple[SkuLine, ...]


@dataclass(frozen=True, slots=True)
class Dose:
    """The effect among those who met offers `views` times (the last one: that often or more)."""

    views: int
    units: int
    control_units: int
    effect: Effect
    dismissals: float | None


@dataclass(frozen=True, slots=True)
class Fatigue:
    """How the effect changes with the number of views; `slope` is by view, `counted` says what was counted."""

    variant: str
    metric: str
    doses: tuple[Dose, ...]
    slope: Effect
    p_value: float | None
    tired_from: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One day of a series: the lift, or the difference, until then, with its fixed and its always-valid interval."""

    day: str
    units: int
    difference: Effect
    always_low: float | None
    always_high: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """The cumulative effect of one variant on one metric, day by day."""

    metric: str
    variant: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class SincePoint:
    """The effect on the n-th day since entry, for the units that have had that day."""

    day: int
    units: int
    difference: Effect


@dataclass(frozen=True, slots=True)
class SinceEntry:
    """The effect by day since entry: early and late halves of the window, and all of it, for units that had all."""

    metric: str
    variant: str
    points: tuple[SincePoint, ...]
    early: Effect
    late: Effect
    whole: Effect
    early_p: float | None
    late_p: float | None


@dataclass(frozen=True, slots=True)
class Day:
    """Units that entered on a day, by variant."""

    day: str
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Time:
    """What happened when."""

    days: tuple[Day, ...]
    series: tuple[Series, ...]
    since_entry: tuple[SinceEntry, ...]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The primary metric read in another way: does the conclusion hold? None where it cannot be read so."""

    reading: str
    variant: str
    units: int
    difference: Effect
    lift: Effect
    p_value: float | None
    conclusion: str | None
    same: bool | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another experiment that met some of these units, and whether the effect depends on its variants."""

    experiment: str
    units: int
    share: float
    interactions: Mapping[str, float | None]
    p_value: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class VariantMaturity:
    """One variant's orders, and those of them past the return window."""

    variant: str
    orders: int
    matured: int


@dataclass(frozen=True, slots=True)
class Maturity:
    """Orders that were counted, and those among them that can no longer come back."""

    return_days: int
    orders: int
    matured: int
    share: float | None
    variants: tuple[VariantMaturity, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """How it was computed, by the words that the page explains."""

    unit: str
    window_days: int
    confidence: float
    sequential: bool
    correction: str
    cap: str | None
    covariates: tuple[str, ...]
    version: int
    fingerprint: str
    seed: str
    code: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to the experiment: when, who, what."""

    at: str
    actor: str
    action: str
    detail: str
