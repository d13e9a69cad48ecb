"""Whether what was shipped lasts: plain frozen values that can be stored and read again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analysis.effect import Effect

Lasts = Literal["lasts", "faded", "not_known"]


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a holdback follows: the variant that was shipped, on which calendar day, by which lifts of which metrics."""

    variant: str
    day: int
    lifts: Mapping[str, Effect] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """What visitors did from one day after the shipping to another, both included; the lift is against the holdback.

    `over` says that the last day is past: before that there is no reading.
    """

    first_day: int
    last_day: int
    begins: str
    ends: str
    over: bool
    units: int
    control_units: int
    difference: Effect
    lift: Effect
    p_value: float | None
    reading: Lasts


@dataclass(frozen=True, slots=True)
class Lasting:
    """The lift that was shipped by, what it is since, and the reading of the last span that is over."""

    metric: str
    variant: str
    shipped_by: Effect
    spans: tuple[Span, ...]
    reading: Lasts
    sentence: str
