"""Who else is asked: the live experiments that share visitors with a definition, and how."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analysis.forecast import share_taken
from experiments.definition import Definition
from experiments.storage.registry import Experiment

LIVE = ("running", "closed", "paused", "scheduled")
Relation = Literal["winner", "asked_first", "asked_after", "apart", "shares"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another experiment, how it stands to this one, and the share of this one's visitors that are in it too."""

    experiment: Experiment
    relation: Relation
    share: float | None = None


def overlaps(definition: Definition, known: Iterable[Experiment], *, own: Experiment | None) -> list[Overlap]:
    """Those of the same placement first, then those that share most visitors."""
    found = [
        _overlap(definition, other, own)
        for other in known
        if other.key != definition.key and (other.winner or other.state in LIVE)
    ]
    return sorted((o for o in found if o is not None), key=lambda o: (o.share is not None, -(o.share or 0)))


def _overlap(definition: Definition, other: Experiment, own: Experiment | None) -> Overlap | None:
    here = other.definition.placement == definition.placement
    if other.winner:
        return Overlap(other, "winner") if here else None
    if here:
        # the oldest of a placement is asked first, and a draft is younger than what is live already
        return Overlap(other, "asked_first" if own is None or other.id < own.id else "asked_after")
    mine, theirs = definition.layer, other.definition.layer
    if mine is not None and theirs is not None and mine.key == theirs.key:
        return Overlap(other, "apart")
    if other.definition.unit != definition.unit:
        return None
    return Overlap(other, "shares", share_taken(other.definition, other.definition.coverage))
