"""What may name a thing: keys that people choose, ids that shops send."""

import re
from typing import Annotated, NewType

import msgspec

from experiments.errors import FieldError
from experiments.wording import worded

StorefrontId = NewType("StorefrontId", int)
ExperimentId = NewType("ExperimentId", int)

KEY = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z"
"""Storefronts, experiments, variants, layers, metrics."""
PLACEMENT_KEY = r"^[A-Za-z0-9._-]{1,64}\Z"
"""As OpenFeature clients can put it into a path without escaping."""
UNIT_ID = r"^[\x21-\x7e]{1,128}\Z"
"""A visitor or a customer: 1 to 128 printable ASCII characters without spaces."""

PRINTABLE = r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z"
"""One line of text: no control character (PostgreSQL cannot keep a NUL) and no half of a surrogate pair."""

Key = Annotated[str, msgspec.Meta(pattern=KEY)]
PlacementKey = Annotated[str, msgspec.Meta(pattern=PLACEMENT_KEY)]
UnitId = Annotated[str, msgspec.Meta(pattern=UNIT_ID)]
ProductId = Annotated[str, msgspec.Meta(pattern=PRINTABLE, min_length=1, max_length=128)]
EventId = Annotated[str, msgspec.Meta(pattern=PRINTABLE, min_length=1, max_length=200)]
Printable = Annotated[str, msgspec.Meta(pattern=PRINTABLE)]
"""For a field with a length of its own: msgspec takes no second one on top of a Line's."""
Line = Annotated[str, msgspec.Meta(pattern=PRINTABLE, max_length=2000)]
Name = Annotated[str, msgspec.Meta(pattern=PRINTABLE, max_length=200)]
"""What people call a thing."""


def check_key(key: str, field: str = "key") -> list[FieldError]:
    """Nothing, or why this is not a key."""
    if re.match(KEY, key):
        return []
    return [
        FieldError(
            field,
            worded(
                "must be 1 to 64 letters, digits, dots, colons, hyphens or underscores, starting with a letter or digit"
            ),
        )
    ]
