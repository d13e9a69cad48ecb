"""What the columns of an import mean: the contract's field names, and the names that other tools give them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from experiments.catalogue import ProductInput
from experiments.errors import Invalid
from experiments.events import ExposureInput, OrderInput, OtherInput, RefundInput

Kind = Literal["products", "exposures", "conversions"]

LINE_FIELDS = MappingProxyType(
    {"product_id": "product_id", "quantity": "quantity", "price": "price", "item_cost": "cost", "offer": "offer"}
)
"""Columns of one order line, with the line's field: `cost` alone is the order's."""
_CONVERSION = [OrderInput, RefundInput, OtherInput]
FIELDS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "products": ProductInput.__struct_fields__,
        "exposures": ExposureInput.__struct_fields__,
        "conversions": tuple(dict.fromkeys([*(f for s in _CONVERSION for f in s.__struct_fields__), *LINE_FIELDS])),
    }
)
"""The names that each kind of import knows."""

_UNITS = {
    "anonymous_id": "visitor_id",
    "anonymousId": "visitor_id",
    "user_pseudo_id": "visitor_id",
    "client_id": "visitor_id",
    "user_id": "customer_id",
    "userId": "customer_id",
    "timestamp": "occurred_at",
    "event_timestamp": "occurred_at",
    "message_id": "event_id",
    "messageId": "event_id",
}
ALIASES: Mapping[Kind, Mapping[str, str]] = MappingProxyType(
    {
        "products": {
            "id": "product_id",
            "sku": "product_id",
            "item_id": "product_id",
            "name": "title",
            "item_name": "title",
            "item_category": "category",
            "link": "url",
            "image_link": "image",
        },
        "exposures": _UNITS
        | {
            "experiment_id": "experiment",
            "experiment_key": "experiment",
            "variation": "variant",
            "variation_id": "variant",
            "variant_id": "variant",
        },
        "conversions": _UNITS
        | {
            "event": "type",
            "event_name": "type",
            "transaction_id": "order_id",
            "orderId": "order_id",
            "item_id": "product_id",
            "sku": "product_id",
            "experiment_id": "experiment",
            "variation": "variant",
            "variation_id": "variant",
        },
    }
)
"""Names of Google Analytics 4, Segment and GrowthBook, by what they are here; an order's `value` is its revenue."""

TYPES = MappingProxyType(
    {"purchase": "order", "Order Completed": "order", "Order Refunded": "refund", "page": "page_view"}
)
"""Types of conversions under the names of Google Analytics 4 and Segment."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How one file's columns are read: `named` are those that the user pointed out, `filled` fields need no column.

    With `lenient` unknown columns are left out, otherwise they are an error.
    """

    kind: Kind
    named: Mapping[str, str]
    filled: Collection[str] = ()
    lenient: bool = False

    def meaning(self, column: str) -> str | None:
        """The field that a column fills; None for one to leave out. An unknown one keeps its name."""
        if column in self.named:
            return self.named[column]
        if column in FIELDS[self.kind]:
            return None if column in self.named.values() else column
        known = ALIASES[self.kind].get(column)
        if known is not None and known not in self.named.values():
            return known
        return None if self.lenient and self.kind != "products" else column

    def check(self, header: Sequence[str]) -> None:
        """Nothing where a header can be read; Invalid says which column is unknown, doubled or missing."""
        for column in self.named:
            if column not in header:
                raise Invalid.at(column, f"no such column; the columns are {', '.join(header)}")
        meanings: dict[str, str] = {}
        for column in header:
            meaning = self.meaning(column)
            if meaning is None:
                continue
            if meaning in meanings:
                raise Invalid.at(column, f"means {meaning}, and so does the column {meanings[meaning]}")
            meanings[meaning] = column
        self._check_known(meanings)
        missing = [
            field for field in self._required(meanings) if not any(name in meanings for name in field.split(" or "))
        ]
        if missing:
            raise Invalid.at(missing[0], f"no such column; the columns are {', '.join(header)}")

    def _check_known(self, meanings: Mapping[str, str]) -> None:
        unknown = [column for meaning, column in meanings.items() if meaning not in FIELDS[self.kind]]
        if unknown and self.kind != "products":  # a product's other columns are its attributes
            known = ", ".join(FIELDS[self.kind])
            message = f"is no column of {self.kind}; known are {known} (--ignore-unknown leaves the others out)"
            raise Invalid.at(", ".join(unknown), message)

    def _required(self, meanings: Collection[str]) -> list[str]:
        if self.kind == "products":
            return ["product_id", "title", "price"]
        if self.kind == "exposures":
            required = ["experiment", "variant", "visitor_id or customer_id"]
            return [field for field in required if field not in self.filled]
        # without a type every row is an order; with one, what a row needs depends on it
        return [] if "type" in meanings else ["order_id", "revenue or value"]


class RateColumns:
    """How a file of currency rates is read."""

    names = MappingProxyType({"currency": "currency", "day": "day", "date": "day", "rate": "rate"})

    def meaning(self, column: str) -> str | None:
        """The field that a column fills; None for one to leave out."""
        return self.names.get(column)

    def check(self, header: Sequence[str]) -> None:
        """Nothing where a header can be read; Invalid says which column is missing."""
        meant = [self.meaning(column) for column in header]
        for field in ("currency", "day", "rate"):
            if meant.count(field) != 1:
                raise Invalid.at(field, f"must be one column; the columns are {', '.join(header)}")
