"""What is measured: a metric is a smooth function of the means of columns of the per-unit vector."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from experiments.errors import FieldError, Invalid

MetricType = Literal["proportion", "mean", "ratio", "quantile"]
Direction = Literal["increase", "decrease"]

COUNT = "count()"
"""The column that is 1 in every row: summed to the unit it counts its rows."""

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "converted": "1 where the unit ordered at least once",
        "repeated": "1 where the unit ordered at least twice",
        "orders": "number of orders",
        "revenue": "money of the orders, after discounts, without tax and shipping, in minor units",
        "item_count": "number of pieces ordered",
        "contribution": "revenue less cost of goods, shipping cost and fees, in minor units",
        "refunds": "number of orders refunded, wholly or in part",
        "refunded": "money refunded, in minor units",
        "net_revenue": "revenue less refunded, in minor units; negative where refunds exceed it",
        "viewed_offer": "1 where the unit saw the offer",
        "accepted": "1 where the unit accepted the offer",
        "dismissed": "1 where the unit dismissed the offer",
    }
)
"""The columns of the per-unit vector that the built-in metrics read, each summed over the conversion window."""

MONEY_COLUMNS = frozenset({"revenue", "contribution", "refunded", "net_revenue"})
"""The columns held in integer minor units: their Moments carry the currency's exponent as decimal places."""

FLAGS = frozenset({"converted", "repeated", "viewed_offer", "accepted", "dismissed"})
"""The columns that are 0 or 1 in every unit; so is `with_event:NAME`."""
EVENT, WITH_EVENT = "event:", "with_event:"
"""Columns of a conversion's own name: how many of them a unit had, and whether it had any."""
EVENT_NAME = re.compile(r"[\x21-\x7e]{1,100}")
NOT_EVENTS = frozenset({"order", "refund", "order_cancelled"})
"""Types of conversions that have columns of their own."""
_SHARES_OF = frozenset({"refunds", "accepted", "dismissed"})

Unit = Literal["money", "share", "number"]


def event_of(column: str) -> str | None:
    """The name of the conversions that a column counts; None where it is no such column."""
    for prefix in (WITH_EVENT, EVENT):
        if column.startswith(prefix) and EVENT_NAME.fullmatch(column[len(prefix) :]):
            name = column[len(prefix) :]
            return None if name in NOT_EVENTS else name
    return None


def is_flag(column: str) -> bool:
    """Whether a column is 0 or 1 in every unit."""
    return column in FLAGS or column.startswith(WITH_EVENT)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by its columns: `numerator` alone for a proportion, mean or quantile, over `denominator` for a ratio.

    `cap` and `quantile` are levels between 0 and 1; `covariates` are columns measured before exposure;
    `direction` says which way is better. Raises Invalid, one error for each broken rule.
    """

    key: str
    type: MetricType
    numerator: str
    denominator: str | None = None
    quantile: float | None = None
    covariates: tuple[str, ...] = ()
    cap: float | None = None
    direction: Direction = "increase"

    def __post_init__(self) -> None:
        errors = [FieldError(field, message) for field, message in self._broken()]
        if errors:
            raise Invalid(errors)

    def _broken(self) -> list[tuple[str, str]]:
        broken: list[tuple[str, str]] = []
        if not self.key or not self.key.isprintable() or len(self.key) > 128:
            broken.append(("key", "a name of 1 to 128 printable characters"))
        if self.type not in get_args(MetricType):
            broken.append(("type", f"{self.type!r} is none of {', '.join(get_args(MetricType))}"))
        if self.direction not in get_args(Direction):
            broken.append(("direction", f"{self.direction!r} is neither increase nor decrease"))
        if not self.numerator:
            broken.append(("numerator", "a column is needed"))
        if (self.type == "ratio") != bool(self.denominator):
            broken.append(("denominator", "a ratio needs one, and nothing else takes one"))
        if (self.type == "quantile") != (self.quantile is not None):
            broken.append(("quantile", "a quantile needs its level, and nothing else takes one"))
        if self.quantile is not None and not 0 < self.quantile < 1:
            broken.append(("quantile", f"{self.quantile!r} is not between 0 and 1"))
        if self.cap is not None and self.type not in {"mean", "ratio"}:
            broken.append(("cap", f"a {self.type} is not capped"))
        if self.cap is not None and not 0 < self.cap < 1:
            broken.append(("cap", f"{self.cap!r} is not between 0 and 1"))
        if self.covariates and self.type == "quantile":
            broken.append(("covariates", "a quantile is not adjusted"))
        if len(set(self.covariates)) != len(self.covariates):
            broken.append(("covariates", "a column is named twice"))
        broken += [
            ("covariates", f"{column!r} is measured by the metric itself, after exposure")
            for column in self.covariates
            if column in self.columns
        ]
        return broken

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns measured: numerator, and denominator where there is one."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    @property
    def unit(self) -> Unit:
        """What its value is: money, a share, or a plain number."""
        over_money = self.denominator in MONEY_COLUMNS
        if self.numerator in MONEY_COLUMNS:
            return "share" if over_money else "money"
        return "share" if self.type == "proportion" or self.numerator in _SHARES_OF else "number"


BUILT_IN: Mapping[str, Metric] = MappingProxyType(
    {
        metric.key: metric
        for metric in (
            Metric("conversion", "proportion", "converted"),
            Metric("orders_per_visitor", "mean", "orders"),
            Metric("revenue_per_visitor", "mean", "revenue"),
            Metric("aov", "ratio", "revenue", "orders"),
            Metric("items_per_order", "ratio", "item_count", "orders"),
            Metric("contribution_per_visitor", "mean", "contribution"),
            Metric("refund_rate", "ratio", "refunds", "orders", direction="decrease"),
            Metric("net_aov", "ratio", "net_revenue", "orders"),
            Metric("offer_acceptance", "ratio", "accepted", "viewed_offer"),
            Metric("offer_dismissal", "ratio", "dismissed", "viewed_offer", direction="decrease"),
            Metric("repeat_purchase", "proportion", "repeated"),
        )
    }
)
"""The metrics every storefront has, by key."""
