"""Who holds which part of a layer: ranges that do not overlap, and what is still free.

A layer is a line of its own, from 0 to 10,000 hundredths of a percent, under a seed of its own. Experiments that hold
different parts of it never share a unit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from experiments.definition import WHOLE
from experiments.identifiers import Key, Name
from experiments.shape import convert

UnitKind = Literal["visitor", "customer"]


class LayerInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A layer as the API writes it."""

    key: Key
    name: Name = ""
    unit: UnitKind = "visitor"


@dataclass(frozen=True, slots=True)
class Layer:
    """A mutual-exclusion group; it owns the unit, as two experiments exclude each other only on the same ids."""

    key: str
    name: str
    unit: UnitKind
    seed: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The part [start, end) of a layer that an experiment holds."""

    experiment: str
    start: int
    end: int


def parse_layer(value: object) -> LayerInput:
    """A layer at the door; Invalid names the field."""
    return convert(value, LayerInput)


def free_ranges(holds: Iterable[Hold]) -> list[range]:
    """What nobody holds, in order."""
    free, reached = [], 0
    for hold in sorted(holds, key=lambda h: h.start):
        if hold.start > reached:
            free.append(range(reached, hold.start))
        reached = max(reached, hold.end)
    return [*free, range(reached, WHOLE)] if reached < WHOLE else free


def free_share(holds: Iterable[Hold]) -> int:
    """How much of the layer nobody holds, in hundredths of a percent."""
    return sum(len(gap) for gap in free_ranges(holds))


def fitting_range(needed: int, free: Sequence[range]) -> range | None:
    """The beginning of the smallest free range that is long enough; who needs the whole layer gets the longest one."""
    if needed == WHOLE:
        return max(free, key=len, default=None)
    roomy = [gap for gap in free if len(gap) >= needed]
    smallest = min(roomy, key=len, default=None)
    return None if smallest is None else range(smallest.start, smallest.start + needed)


def overlapping(wanted: Hold, holds: Iterable[Hold]) -> list[Hold]:
    """Who else holds a part of what is wanted."""
    others = (hold for hold in holds if hold.experiment != wanted.experiment)
    return sorted((h for h in others if h.start < wanted.end and wanted.start < h.end), key=lambda h: h.start)
