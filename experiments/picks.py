"""Picks: which products an offer could lead to from where the visitor stands, best first.

Whether one of them can be offered here and now is `resolution`'s question.
"""

from collections.abc import Iterator, Sequence

from experiments.catalogue import Catalogue, Product
from experiments.offers import Bundle, CrossSell, Upsell
from experiments.recommend import Recommendations


def targets(offer: Upsell, base: Product, catalogue: Catalogue) -> Iterator[str]:
    """What an upsell could lead to from this product."""
    if offer.pick == "explicit":
        if (target := offer.pairs.get(base.product_id)) is not None:
            yield target
        return
    yield from (product.product_id for product in catalogue.next_tiers(base, offer.max_price_ratio))


def leaves_category(offer: CrossSell) -> bool:
    """Whether what it adds comes from other categories than the bases: more of the same is no complement.

    What somebody listed by hand, and what is similar by intent, may be of the same.
    """
    return offer.pick not in {"explicit", "similar"}


def categories_of(bases: Sequence[str], catalogue: Catalogue) -> list[str]:
    """The categories that the bases are of."""
    return [product.category for base in bases if (product := catalogue.get(base)) is not None and product.category]


def complements(
    offer: CrossSell,
    bases: Sequence[str],
    catalogue: Catalogue,
    history: Recommendations,
    segment: str | None = None,
) -> Iterator[Sequence[str]]:
    """What a cross-sell could add: one list after the other, each for when nothing in those before it can be offered.

    What customers of the visitor's segment do goes before what all customers do.
    """
    if offer.pick == "explicit":
        yield [added for base in (*bases, "*") for added in offer.products.get(base, ())]
        return
    if offer.pick == "similar":
        known = [product for base in bases if (product := catalogue.get(base)) is not None]
        yield [p.product_id for base in known for p in catalogue.similar(base)]
        return
    whose = (None,) if segment is None else (segment, None)
    if offer.pick == "bought_together":
        for each in whose:
            if len(bases) == 1:
                yield history.bought_together(bases[0], each)
            else:
                yield [found for base in bases for found in history.bought_together(base, each)]
    if offer.pick == "most_viewed":
        yield history.most_viewed()
    for each in whose:
        yield history.bestsellers(each)


def members(
    offer: Bundle, bases: Sequence[str], history: Recommendations, segment: str | None = None
) -> tuple[list[str], list[str]]:
    """What a bundle must hold, and what it may be filled up with to `limit`."""
    if offer.pick == "explicit":
        return offer.items, []
    if not bases:
        return [], []
    first = bases[0]
    own = history.bought_together(first, segment) if segment is not None else ()
    everybody = history.bought_together(first)
    return [first], [found for found in dict.fromkeys((*own, *everybody)) if found != first]
