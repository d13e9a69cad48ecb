"""Units by what was known of them when they entered: device, category, value of the cart, attributes of the plan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.ledger import Ints, Ledger

UNKNOWN = "unknown"
OTHER = "other"
CARTS = ("empty", "lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True, slots=True, eq=False)
class Trait:
    """How units split by one of them. `entered`, `viewed`: units by level, day of entry and variant.

    `of_unit` is the level of each unit that the ledger lists.
    """

    segment: str
    levels: tuple[str, ...]
    entered: Ints
    viewed: Ints
    of_unit: Ints


def trait_levels(ledger: Ledger, traits: Sequence[Trait]) -> Iterator[tuple[str, str, Ledger]]:
    """The ledger cut by each trait: segment, level, its ledger; none where one level alone is known."""
    for trait in traits:
        there = [i for i in range(len(trait.levels)) if trait.entered[i].any()]
        if sum(trait.levels[i] != UNKNOWN for i in there) < 2:
            continue
        for i in there:
            kept = ledger.only(trait.of_unit == i, trait.entered[i], trait.viewed[i])
            yield trait.segment, trait.levels[i], kept
