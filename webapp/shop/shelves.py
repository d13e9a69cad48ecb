"""The shelves: the catalogue as the shop shows it, by category."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from experiments.catalogue import Catalogue, Product


@dataclass(frozen=True, slots=True)
class Shelf:
    """A category with its products; `path` is the category's, `name` its last part."""

    path: str
    products: Sequence[Product]

    @property
    def name(self) -> str:
        """What stands over it."""
        return self.path.rpartition("/")[2]


def shelves(catalogue: Catalogue, under: str = "") -> list[Shelf]:
    """The categories below a path, those of the largest departments first; each product stands on one."""
    every = _by(catalogue, lambda product: product.category)
    order = departments(catalogue)
    found = [Shelf(path, products) for path, products in every.items() if _is_under(path, under)]
    return sorted(found, key=lambda shelf: (order.index(shelf.path.partition("/")[0]), shelf.path))


def departments(catalogue: Catalogue) -> list[str]:
    """The first parts of the categories' paths, the one with most products first."""
    found = _by(catalogue, lambda product: product.category.partition("/")[0])
    return sorted(found, key=lambda name: (-len(found[name]), name))


def relatives(catalogue: Catalogue, product: Product, most: int = 4) -> list[Product]:
    """Others of the same category, nearest in price first: the shop's own shelf, no offer."""
    others = [p for p in catalogue if p.category == product.category and p.product_id != product.product_id]
    return sorted(others, key=lambda p: (abs(p.price - product.price), p.product_id))[:most]


def _by(products: Iterable[Product], key: Callable[[Product], str]) -> dict[str, list[Product]]:
    found: dict[str, list[Product]] = {}
    for product in products:
        found.setdefault(key(product), []).append(product)
    return found


def _is_under(path: str, under: str) -> bool:
    return not under or path == under or path.startswith(f"{under}/")
