"""The catalogue: what a storefront sells, at what price, at what cost."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from heapq import nlargest, nsmallest

import msgspec

from experiments.errors import FieldError, Invalid
from experiments.identifiers import Line, ProductId
from experiments.money import to_minor
from experiments.shape import convert
from experiments.wording import worded


class Product(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing for sale; `price`, `compare_at` and `cost` in minor units of the storefront's currency.

    `category` is a path (`Gear/Bags`); `stock` None means that stock is not counted.
    """

    product_id: str
    title: str
    price: int
    category: str = ""
    compare_at: int | None = None
    cost: int | None = None
    stock: int | None = None
    url: str = ""
    image: str = ""
    attributes: dict[str, str] = {}

    @property
    def available(self) -> bool:
        """Whether one more can be sold."""
        return self.stock is None or self.stock > 0


class ProductInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product as people and programs write it: money as decimals."""

    product_id: ProductId
    title: Line
    price: Decimal
    category: Line = ""
    compare_at: Decimal | None = None
    cost: Decimal | None = None
    stock: int | None = None
    url: Line = ""
    image: Line = ""
    attributes: dict[Line, Line] = {}


def parse_product(value: Mapping[str, object], currency: str) -> Product:
    """A product at the door: Invalid names every field that cannot be true."""
    given = convert(value, ProductInput)
    amounts: dict[str, int | None] = {}
    errors: list[FieldError] = []
    for name in ("price", "compare_at", "cost"):
        amount: Decimal | None = getattr(given, name)
        try:
            amounts[name] = None if amount is None else to_minor(amount, currency, name, exact=True)
        except Invalid as refusal:
            errors += refusal.errors
            continue
        if amount is not None and amount < 0:
            errors.append(FieldError(name, worded("cannot be negative, and is %(given)s", given=amount)))
    if given.stock is not None and not 0 <= given.stock <= 10**9:
        errors.append(FieldError("stock", worded("must be 0 or more, and is %(given)s", given=given.stock)))
    errors += [FieldError("title", worded("is required"))] if not given.title.strip() else []
    errors += [
        FieldError(name, worded("must be an http(s) address or a path starting with /"))
        for name in ("url", "image")
        if (link := getattr(given, name)) and not link.startswith(("http://", "https://", "/"))
    ]
    if errors:
        raise Invalid(errors)
    return Product(
        product_id=given.product_id,
        title=given.title.strip(),
        price=amounts["price"] or 0,
        category=given.category.strip(" /"),
        compare_at=amounts["compare_at"],
        cost=amounts["cost"],
        stock=given.stock,
        url=given.url,
        image=given.image,
        attributes=given.attributes,
    )


NEAREST = 2000
"""Of a category's dearer products, how many of the nearest in price are compared."""
TIERS = 24
"""How many next tiers are kept for a product: so many may be in the cart or out of stock before there is none."""
MOST_TIERS = 50_000
"""Products whose next tiers are remembered."""


class Catalogue:
    """An immutable view of one storefront's products, with what offers look up in it."""

    def __init__(self, products: Mapping[str, Product], currency: str) -> None:
        self.currency = currency
        self._products = dict(products)
        by_category: dict[str, list[Product]] = {}
        for product in self._products.values():
            by_category.setdefault(product.category, []).append(product)
        self._by_category = {
            category: tuple(sorted(members, key=lambda p: (p.price, p.product_id)))
            for category, members in by_category.items()
        }
        self._tiers: dict[tuple[str, Decimal | None], tuple[Product, ...]] = {}

    def __len__(self) -> int:
        return len(self._products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())

    def get(self, product_id: str) -> Product | None:
        """The product, or None where the storefront does not sell it."""
        return self._products.get(product_id)

    def category(self, category: str) -> tuple[Product, ...]:
        """The products of exactly this category path, cheapest first."""
        return self._by_category.get(category, ())

    def next_tiers(self, base: Product, max_price_ratio: Decimal | None) -> Sequence[Product]:
        """Dearer products of the base's category, at most `max_price_ratio` times its price: nearest first.

        Near is who shares most attributes, then most of the title's words, then who costs least more. What stands in no
        category has no tiers: nobody has said what it could be replaced by.
        """
        key = (base.product_id, max_price_ratio)
        known = self._tiers.get(key)
        if known is None:
            known = tuple(_nearest(base, self._dearer(base, max_price_ratio)))
            if len(self._tiers) >= MOST_TIERS:
                self._tiers.clear()
            self._tiers[key] = known
        return known

    def similar(self, base: Product) -> Sequence[Product]:
        """Other products of the base's category, nearest first by attributes, title and price, cheaper ones too."""
        members = self.category(base.category) if base.category else ()
        middle = bisect_right(members, base.price, key=_price)
        window = members[max(0, middle - NEAREST // 2) : middle + NEAREST // 2]
        return _nearest(base, [p for p in window if p.product_id != base.product_id])

    def _dearer(self, base: Product, max_price_ratio: Decimal | None) -> Sequence[Product]:
        members = self.category(base.category) if base.category else ()
        start = bisect_right(members, base.price, key=_price)
        end = min(len(members), start + NEAREST)
        if max_price_ratio is not None:
            end = bisect_right(members, int(max_price_ratio * base.price), start, end, key=_price)
        return members[start:end]


def _price(product: Product) -> int:
    return product.price


def _nearest(base: Product, others: Sequence[Product]) -> list[Product]:
    """The nearest few; titles are only looked at among those whose attributes are near enough."""
    shared = [len(base.attributes.items() & other.attributes.items()) for other in others]
    enough = min(nlargest(TIERS, shared), default=0)
    near = [(-count, other) for count, other in zip(shared, others, strict=True) if count >= enough]
    return [other for _, other in nsmallest(TIERS, near, key=lambda pair: (pair[0], *_distance(base, pair[1])))]


def _distance(base: Product, other: Product) -> tuple[float, int, str]:
    ours, theirs = _words(base.title), _words(other.title)
    common = len(ours & theirs)
    return -common / (len(ours) + len(theirs) - common), abs(other.price - base.price), other.product_id


@lru_cache(maxsize=65_536)
def _words(title: str) -> frozenset[str]:
    return frozenset(title.lower().split()) or frozenset((title,))
