"""What was wrong with a form of the settings, by the field that it names."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from experiments.errors import Invalid

Errors = Mapping[str, Sequence[str]]


def by_field(refusal: Invalid) -> Errors:
    """The messages by field; `origins[0]` belongs to `origins`."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for error in refusal.errors:
        found[error.field.partition("[")[0]].append(error.message)
    return found
