"""Products as people name them on the define page: by id, or by their exact title."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

from experiments.catalogue import Catalogue, Product

ProductOf = Callable[[str], str]
"""The product's id for what was typed: its id, or its exact title."""

LISTED = 400
"""A catalogue up to this size is offered whole in every product field; a larger one is searched."""

# a catalogue lives as long as its snapshot: with 100,000 products nobody waits for its titles at each keystroke
_titles: "WeakKeyDictionary[Catalogue, Mapping[str, Product | None]]" = WeakKeyDictionary()
_costless: "WeakKeyDictionary[Catalogue, int]" = WeakKeyDictionary()
_searched: "WeakKeyDictionary[Catalogue, Sequence[tuple[str, Product]]]" = WeakKeyDictionary()


def product_finder(catalogue: Catalogue) -> Callable[[str], Product | None]:
    """A function from what was typed, an id or an exact title, to the product meant."""
    by_title = _by_title(catalogue)

    def find(typed: str) -> Product | None:
        cleaned = typed.strip()
        return catalogue.get(cleaned) or by_title.get(cleaned.casefold())

    return find


def product_of(catalogue: Catalogue) -> ProductOf:
    """A function from what was typed to a product id; what is not found stays as it was typed."""
    find = product_finder(catalogue)

    def product_id(typed: str) -> str:
        found = find(typed)
        return found.product_id if found is not None else typed

    return product_id


def listed(named: Iterable[str], catalogue: Catalogue) -> list[Product]:
    """The products to choose from: all of a small catalogue, of a large one those that were named."""
    if len(catalogue) <= LISTED:
        return list(catalogue)
    return [product for text in dict.fromkeys(named) if (product := catalogue.get(text)) is not None]


def search(catalogue: Catalogue, words: str) -> list[Product]:
    """The products in whose id, title or category every word occurs."""
    wanted = words.lower().split()
    if not wanted:
        return list(catalogue)
    if catalogue not in _searched:
        _searched[catalogue] = [(f"{p.product_id} {p.title} {p.category}".lower(), p) for p in catalogue]
    found = _searched[catalogue]
    for word in wanted:  # one after the other: the first one leaves few
        found = [one for one in found if word in one[0]]
    return [product for _, product in found]


def without_cost(catalogue: Catalogue) -> int:
    """How many products have no cost."""
    if catalogue not in _costless:
        _costless[catalogue] = sum(product.cost is None for product in catalogue)
    return _costless[catalogue]


def _by_title(catalogue: Catalogue) -> Mapping[str, Product | None]:
    held = _titles.get(catalogue)
    if held is None:
        made: dict[str, Product | None] = {}
        for product in catalogue:
            title = product.title.casefold()
            made[title] = None if title in made else product  # two of one title: only the id can tell
        held = _titles[catalogue] = made
    return held
