"""Segments: the groups of units whose effects a report compares, and those that a definition plans to compare."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from experiments.errors import FieldError

BUILT_IN = ("device", "visitor", "category", "cart_value", "past_spend", "entered_on", "entered_in")
"""Segments that every report knows; any other name is an attribute of the visitor."""
MOST = 5
"""A plan of more is no plan: each further comparison makes all of them weaker."""
IDS = frozenset({"id", "visitor_id", "customer_id", "user_id", "anonymous_id", "email", "user_agent", "ip"})
"""Attributes that tell one person from another, which no group is."""

SegmentName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,39}\Z")]


def attributes_of(segments: Sequence[str]) -> list[str]:
    """Those of a plan's segments that are attributes of the visitor."""
    return [name for name in segments if name not in BUILT_IN]


def check_segments(segments: Sequence[str], field: str) -> Iterator[FieldError]:
    """Why these cannot be planned."""
    for index, name in enumerate(segments):
        if name in segments[:index]:
            yield FieldError(f"{field}[{index}]", f"{name!r} is named twice")
        if name.lower() in IDS:
            yield FieldError(f"{field}[{index}]", f"{name!r} tells one person from another: it is no group")
