"""Picks: which products an offer could lead to from where the visitor stands, best first.

Whether one of them can be offered here and now is `resolution`'s question.
"""

from collections.abc import Iterable, Iterator, Sequence

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


def complements(
    offer: CrossSell,
    bases: Sequence[str],
    catalogue: Catalogue,
    history: Recommendations,
    segment: str | None = None,
) -> Iterator[Iterable[str]]:
    """What a cross-sell could add: one list after the other, each for when nothing in those before it can be offered.

    What nobody listed by hand comes from other categories than the bases: more of the same is no complement. What
    customers of the visitor's segment do goes before what all customers do.
    """
    if offer.pick == "explicit":
        found = [added for base in (*bases, "*") for added in offer.products.get(base, ())]
        yield list(dict.fromkeys(found))
        return
    if offer.pick == "similar":
        known = [product for base in bases if (product := catalogue.get(base)) is not None]
        yield list(dict.fromkeys(p.product_id for base in known for p in catalogue.similar(base)))
        return
    near = {product.category for base in bases if (product := catalogue.get(base)) is not None and product.category}

    def elsewhere(product_ids: Sequence[str]) -> Iterator[str]:
        for found in dict.fromkeys(product_ids):
            if (product := catalogue.get(found)) is None or product.category not in near:
                yield found

    whose = (None,) if segment is None else (segment, None)
    if offer.pick == "bought_together":
        for each in whose:
            yield elsewhere([found for base in bases for found in history.bought_together(base, each)])
    if offer.pick == "most_viewed":
        yield elsewhere(history.most_viewed())
    for each in whose:
        yield elsewhere(history.bestsellers(each))


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
