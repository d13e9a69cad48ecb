"""What one route says of itself beyond its rule and its docstring."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from experiments.storage.keys import KeyKind

Tag = Literal[
    "Serving", "Recording", "Experiments", "Offers", "Catalogue", "Traffic", "OpenFeature", "GrowthBook", "Segment",
    "Webhooks", "Scripts", "Alerts", "Operating",
]  # fmt: skip

ANY_KEY: tuple[KeyKind, ...] = ("public", "secret", "admin")
ADMIN: tuple[KeyKind, ...] = ("admin",)
JSON = "application/json"

Shape = Any
"""A type that msgspec knows, or a JSON Schema where no type says it."""


class Query(msgspec.Struct, frozen=True):
    """A parameter that stands after the question mark."""

    name: str
    shape: Shape
    description: str
    required: bool = False
    example: object = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one route.

    `keys` are the kinds of key that open it; none where it takes no key in its headers. `refuses` are the statuses of
    its errors beyond those that every route of its kind has; `summary` stands in for a docstring.
    """

    tag: Tag
    answer: Shape = None
    status: int = 200
    media: str = JSON
    keys: tuple[KeyKind, ...] = ADMIN
    body: Shape = None
    body_media: tuple[str, ...] = (JSON,)
    query: tuple[Query, ...] = ()
    other: Mapping[int, str] = {}
    """Answers without a body that are no errors, by status: what each means."""
    refuses: tuple[int, ...] = ()
    only_refuses: tuple[int, ...] | None = None
    """All statuses of its errors, where it is not of the usual kind."""
    problem: str = "Problem"
    headers: Mapping[str, str] = {}
    example: object = None
    told: object = None
    """An example of what it answers."""
    summary: str = ""
    summaries: Mapping[str, str] = {}
    """By the value of the path's choice, where one route has several."""
    answers: Mapping[int, Shape] = {}
    """Further answers that are no Problem, by status."""
    path: Mapping[str, str] = {}
    """Examples of what stands in the path."""
    name: str = ""
    """The operationId, where the view's own name does not say it."""
