"""Whether a message names a person or an order, however its JSON spells it, and definitions without them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

NOBODY = "(erased)"
"""Stands in a condition where a person stood."""
_PEOPLE = frozenset({
    "customer_id", "customerId", "user_id", "userId", "visitor_id", "visitorId", "anonymous_id", "anonymousId",
    "device_id", "deviceId", "previousId", "hash_value", "hashValue", "value",
})  # fmt: skip
"""Fields in which a bare number is somebody's id: everywhere else 7 is a quantity, a price, a product."""
_AIMED = frozenset({"target_value", "targeting_json"})
"""Fields of the form of a definition in which its conditions are typed."""
_UNITS = frozenset({"id", "visitor_id", "customer_id", "user_id", "device_id"})
"""Attributes of a definition's conditions that say who somebody is."""
_ORDERS = frozenset({"order_id", "orderId", "transaction_id", "orders_to_redact"})


@dataclass(frozen=True, slots=True)
class Named:
    """The ids of a person, and of orders that are about them."""

    people: Collection[str]
    orders: Collection[str] = ()

    def in_body(self, body: bytes, *, is_order: bool = False) -> bool:
        """Whether a body names one of them; with `is_order` its own `id` is an order's.

        What cannot be read may hold anything: there an id counts wherever its text stands.
        """
        try:
            return self._in(msgspec.json.decode(body), "", "id" if is_order else None)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return any(one.encode() in body for one in self.people)

    def _in(self, value: Any, field: str, order_field: str | None) -> bool:
        if isinstance(value, dict):
            if any(name in self.people and not name.isdecimal() for name in value):
                return True
            if order_field is not None and str(value.get(order_field)) in self.orders:
                return True
            inside = ((f"{field}.id" if name == "id" else name, inner) for name, inner in value.items())
            return any(self._in(inner, name, None) for name, inner in inside)
        if isinstance(value, list):
            return any(self._in(inner, field, None) for inner in value)
        return self._is(value, field)

    def _is(self, value: object, field: str) -> bool:
        if isinstance(value, bool) or not isinstance(value, str | int):
            return False
        said = str(value)
        if field in _ORDERS and said in self.orders:
            return True
        if said.isdecimal():
            return said in self.people and (field in _PEOPLE or field == "customer.id")
        return said in self.people or said.rpartition("gid://shopify/Customer/")[2] in self.people

    def untyped(self, form: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """What was typed into a form, with nobody where a person's id stands as a word of its own.

        An id that is a bare number is one only in what was typed to aim at people.
        """
        words = {aimed: self._words(numbers=aimed) for aimed in (False, True)}
        return {name: [words[name in _AIMED].sub(NOBODY, text) for text in texts] for name, texts in form.items()}

    def _words(self, *, numbers: bool) -> re.Pattern[str]:
        ids = sorted((one for one in self.people if numbers or not one.isdecimal()), key=len, reverse=True)
        any_of = "|".join(map(re.escape, ids)) or r"(?!)"
        return re.compile(rf"(?<![A-Za-z0-9_.-])(?:{any_of})(?![A-Za-z0-9_.-])")

    def removed(self, value: Any, field: str = "") -> Any:
        """A definition without these people: off its lists, and in its conditions nobody stands for them."""
        if isinstance(value, dict):
            if field == "allow_list":
                return {name: inner for name, inner in value.items() if name not in self.people}
            if value.get("attributeKey") in _UNITS and isinstance(value.get("values"), list):
                return value | {"values": [one for one in value["values"] if str(one) not in self.people]}
            of = ((name, field if name.startswith("$") else name) for name in value)
            return {name: self.removed(value[name], meant) for name, meant in of}
        if isinstance(value, list):
            return [self.removed(inner, field) for inner in value]
        return NOBODY if field in _UNITS and str(value) in self.people else value
