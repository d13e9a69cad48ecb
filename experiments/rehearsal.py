"""A rehearsal: what every variant would show in a given place, and what the offers would have met on carts of the past.

Nothing is written, and nobody is assigned.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.definition import Definition, Variant
from experiments.moment import Micros
from experiments.resolution import Context, Refusal, RefusalCode, Resolver, ServedOffer

SALT = "preview"
"""Stands where experiment and variant would, so that no id of a preview is that of an offer."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One variant as the visitor would see it; or why it could not be shown."""

    variant: Variant
    found: ServedOffer | Refusal

    @property
    def served(self) -> ServedOffer | None:
        """The offer, where it holds."""
        return self.found if isinstance(self.found, ServedOffer) else None

    @property
    def refusal(self) -> Refusal | None:
        """Why it does not."""
        return self.found if isinstance(self.found, Refusal) else None


def cost(served: ServedOffer) -> int | None:
    """What the goods of an offer cost, in minor units; None where one of the costs is not known."""
    costs = [product.cost for product in served.products if product.cost is not None]
    return sum(costs) if len(costs) == len(served.products) else None


@dataclass(frozen=True, slots=True)
class Met:
    """What one variant's offer met on past carts: shown so often, refused so often for each reason."""

    variant: str
    shown: int
    refused: Mapping[RefusalCode, int]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Every variant in one place, and all of them on past carts; `eligible` are those where each could be shown."""

    scenes: Sequence[Scene]
    places: int
    eligible: int
    met: Sequence[Met]

    @property
    def could_enter(self) -> bool:
        """Whether a visitor could enter here: every variant with weight could be shown."""
        return all(scene.refusal is None for scene in self.scenes if scene.variant.weight)


def rehearse(
    definition: Definition, resolver: Resolver, context: Context, past: Iterable[Context], now: Micros
) -> Rehearsal:
    """All variants in `context`, and on each of the past ones."""
    scenes = [Scene(v, resolver.resolve(v.offer, SALT, context, now)) for v in definition.variants]
    refused: dict[str, Counter[RefusalCode]] = {v.key: Counter() for v in definition.variants}
    places = eligible = 0
    for place in past:
        places += 1
        could = True
        for variant in definition.variants:
            found = resolver.resolve(variant.offer, SALT, place, now)
            if isinstance(found, Refusal):
                refused[variant.key][found.code] += 1
                could = could and not variant.weight
        eligible += could
    met = [Met(v.key, places - refused[v.key].total(), dict(refused[v.key].most_common())) for v in definition.variants]
    return Rehearsal(scenes, places, eligible, met)
