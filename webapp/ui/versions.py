"""What changed from one version to the next, a line for each value; and who did it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Difference:
    """A value at a place of the definition, before and after; None where it was not, or is not any more."""

    place: str
    before: str | None
    after: str | None


def differences(before: object, after: object) -> list[Difference]:
    """The values that differ, in the order of the definition."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    return [Difference(p, old.get(p), new.get(p)) for p in dict.fromkeys([*old, *new]) if old.get(p) != new.get(p)]


def _leaves(value: object, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{at}.{name}" if at else str(name))
    elif isinstance(value, list) and value and all(isinstance(v, (Mapping, list)) for v in value):
        for index, inner in enumerate(value):
            named = inner.get("key") if isinstance(inner, Mapping) else None
            yield from _leaves(inner, f"{at}[{named or index}]")
    elif value is not None and value not in ({}, []):
        yield at, value if isinstance(value, str) else msgspec.json.encode(value).decode()
