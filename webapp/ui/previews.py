"""What each variant would show, with prices, resolved as for a visitor; examples where it depends on the product."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.catalogue import Catalogue, Product
from experiments.definition import Definition, Variant
from experiments.moment import Micros
from experiments.offers import CrossSell, NoOffer, Upsell
from experiments.resolution import Context, Refusal, Resolver, ServedOffer

EXAMPLES = 3
"""How many examples a variant gets."""
_TRIED = 60


@dataclass(frozen=True, slots=True)
class Example:
    """One place where the offer would be shown: on which product, what, at which price; or why it would not."""

    base: Product | None
    served: ServedOffer | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A variant with examples of what it shows; `more` says that there are others."""

    variant: Variant
    examples: Sequence[Example]
    more: int = 0


def previews(definition: Definition, catalogue: Catalogue, resolver: Resolver, now: Micros) -> list[Preview]:
    """A preview of each variant, in the definition's order."""
    return [preview(variant, catalogue, resolver, now) for variant in definition.variants]


def preview(variant: Variant, catalogue: Catalogue, resolver: Resolver, now: Micros) -> Preview:
    """What one variant would show."""
    if isinstance(variant.offer, NoOffer):
        return Preview(variant, ())
    picked = variant.offer.pick == "explicit"
    shown: list[Example] = []
    refused: list[Example] = []
    for base_id in _bases(variant, catalogue):
        context = Context(product_id=base_id)
        base = catalogue.get(base_id) if base_id else None
        found = resolver.resolve(variant.offer, "preview", context, now)
        if isinstance(found, Refusal):
            refused.append(Example(base, None, found))
        else:
            shown.append(Example(base, found, None))
        if not picked and len(shown) == EXAMPLES:
            break
    # of what the PM picked every refusal matters; of what the catalogue offers only whether anything fits
    every = [*refused, *shown] if picked else shown or refused[:1]
    return Preview(variant, every[:EXAMPLES], max(0, len(every) - EXAMPLES))


def _bases(variant: Variant, catalogue: Catalogue) -> Iterator[str | None]:
    offer = variant.offer
    if isinstance(offer, Upsell) and offer.pick == "explicit":
        yield from offer.pairs
    elif isinstance(offer, CrossSell) and offer.pick == "explicit":
        yield from (None if base == "*" else base for base in offer.products)
    elif not isinstance(offer, NoOffer) and offer.pick in {"next_tier", "bought_together"}:
        for number, product in enumerate(catalogue):
            if number == _TRIED:
                return
            yield product.product_id
    else:
        yield None
