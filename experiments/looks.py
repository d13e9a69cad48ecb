"""How a running test may be looked at, and when: words of the definition."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from experiments.wording import worded

Monitoring = Literal["confidence_sequence", "msprt", "group_sequential", "fixed"]
Spending = Literal["power", "obrien_fleming", "pocock"]
"""How a group-sequential test spends its error over the looks: as t^2, late (O'Brien-Fleming), or evenly (Pocock)."""

MOST_LOOKS = 100


def broken_looks(looks: int | Sequence[float]) -> str | None:
    """What is wrong with planned looks, in words: so many, evenly spaced, or their fractions of the plan."""
    if isinstance(looks, int):
        return (
            None
            if 1 <= looks <= MOST_LOOKS
            else worded("there must be 1 to %(most)s, and there are %(given)s", most=MOST_LOOKS, given=looks)
        )
    if (
        not 1 <= len(looks) <= MOST_LOOKS
        or not looks[0] > 0
        or looks[-1] != 1
        or any(a >= b for a, b in pairwise(looks))
    ):
        return worded("fractions of the plan are above 0, grow from look to look, and end with 1")
    return None
