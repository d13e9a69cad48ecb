"""What a report says of all who asked, eligible or not, and of prices that changed meanwhile: plain values."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """Of one variant: units that asked, those of them that were eligible, and why the others were not."""

    variant: str
    units: int
    eligible: int
    refused: Mapping[str, int] = {}


class PerEligible(msgspec.Struct, frozen=True):
    """A difference per eligible visitor, estimated from all who asked."""

    metric: str
    variant: str
    estimate: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    reason: str | None = None


class AllVisitors(msgspec.Struct, frozen=True):
    """The report's numbers over all who asked; `metrics` are as in the report itself."""

    eligible_share: float
    variants: tuple[Asked, ...]
    metrics: tuple[dict[str, Any], ...]
    per_eligible: tuple[PerEligible, ...]
    unread: Mapping[str, str] = {}
    """Metrics that are not given, and why."""


class PriceChange(msgspec.Struct, frozen=True):
    """A product that an offer names cost `before` until `at`, and `after` from then on; money as decimals."""

    product_id: str
    at: str
    before: str
    after: str
