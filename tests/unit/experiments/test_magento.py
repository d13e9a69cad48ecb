"""Magento's sample catalogue: what a shop's own people linked by hand, against what the picks choose."""

import csv
import gzip
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from experiments.catalogue import Catalogue, Product
from experiments.incentives import Discount
from experiments.offers import Bundle, CrossSell, Upsell
from experiments.recommend import History
from experiments.resolution import Context, Resolver, ServedOffer
from tests.shop import NOW

HERE = Path(__file__).parents[2] / "reference" / "magento"
HIDDEN = "Not Visible Individually"


def read(name: str) -> list[dict[str, str]]:
    with gzip.open(HERE / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    """What can be bought by itself, with a price."""
    rows = [row for row in read("products") if row["price"] and row["visibility"] != HIDDEN]
    found = [Product(r["sku"], r["name"], int(Decimal(r["price"]) * 100), r["category"]) for r in rows]
    return Catalogue({p.product_id: p for p in found}, "USD")


def links(kind: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in read("links"):
        if row["type"] == kind:
            found.setdefault(row["sku"], set()).add(row["linked_sku"])
    return found


def test_every_curated_link_is_there() -> None:
    assert sum(map(len, links("upsell").values())) == 325
    assert sum(map(len, links("crosssell").values())) == 734


def test_next_tiers_are_dearer_and_of_the_same_category_and_what_curators_chose(shop: Catalogue) -> None:
    """Agreement: of the products with curated upsells, how often the first pick is among them."""
    curated, resolver = links("upsell"), Resolver(shop, History())
    hits, met, chance, same_category = 0, 0, 0.0, 0.0
    for base in shop:
        found = resolver.resolve(Upsell(), "e:v", Context(base.product_id), NOW)
        if not isinstance(found, ServedOffer):
            assert not [p for p in shop.category(base.category) if p.price > base.price]
            continue
        (target,) = found.products
        assert target.category == base.category
        assert target.price > base.price
        if linked := curated.get(base.product_id):
            met += 1
            hits += target.product_id in linked
            chance += len(linked) / (len(shop) - 1)
            dearer = [p for p in shop.category(base.category) if p.price > base.price]
            same_category += sum(p.product_id in linked for p in dearer) / len(dearer)
    assert met == 56
    assert round(same_category / met, 2) == 0.95  # any dearer product of the category is mostly right
    assert hits / met == pytest.approx(54 / 56)
    assert hits / met > 20 * chance / met


def test_curated_links_as_explicit_offers_hold_their_truths(shop: Catalogue) -> None:
    resolver = Resolver(shop, History())
    served = 0
    for base, targets in links("upsell").items():
        for target in targets:
            found = resolver.resolve(Upsell(pick="explicit", pairs={base: target}), "e:v", Context(base), NOW)
            before, after = shop.get(base), shop.get(target)
            assert before is not None
            assert after is not None
            assert isinstance(found, ServedOffer) == (after.price > before.price)
            served += isinstance(found, ServedOffer)
    assert served == 314  # of 325, 96.6%: the others lead to something that is no dearer


def test_picked_cross_sells_leave_the_category_as_curated_ones_mostly_do(shop: Catalogue) -> None:
    everything = History(sellers=[p.product_id for p in shop])
    resolver = Resolver(shop, everything)
    for base in shop:
        found = resolver.resolve(CrossSell(pick="bestsellers", limit=12), "e:v", Context(base.product_id), NOW)
        assert isinstance(found, ServedOffer)
        assert base.category not in {p.category for p in found.products}


def test_the_bundle_as_an_explicit_offer(shop: Catalogue) -> None:
    """One of the balls, the brick, one of the straps, the roller: each choice is a bundle."""
    everything = {r["sku"]: r for r in read("products")}
    (row,) = read("bundle")
    choices = [option.partition(":")[2].split(",") for option in row["bundle_options"].splitlines()]
    assert [len(choice) for choice in choices] == [3, 1, 3, 1]
    parts = {
        sku: Product(sku, everything[sku]["name"], int(Decimal(everything[sku]["price"]) * 100), "Gear")
        for sku in itertools.chain.from_iterable(choices)
    }
    resolver = Resolver(Catalogue(parts, "USD"), History())
    for items in itertools.product(*choices):
        offer = Bundle(items=list(items), discount=Discount(percent=Decimal(10)))
        found = resolver.resolve(offer, "e:v", Context(), NOW)
        assert isinstance(found, ServedOffer)
        assert found.price < found.regular_price == sum(parts[sku].price for sku in items)
