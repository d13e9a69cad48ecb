"""Truths of tiers, of what comes after yes and no, of instalments and of counted orders, over random worlds.

Each world comes from one seed: thousands of them a second, most of them such that something is served.
"""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.catalogue import Catalogue, Product
from experiments.incentives import Discount, Instalments, SocialProof
from experiments.moment import DAY, Micros, moment
from experiments.offers import Bundle, CrossSell, NoOffer, Offer, Tier, Upsell
from experiments.promise import kept, promises
from experiments.recommend import Habits, History
from experiments.resolution import Context, Resolver, ServedOffer
from tests.property.test_offers import check
from tests.shop import NOW

IDS = [f"P{n}" for n in range(12)]
seeds = st.integers(0, 2**32 - 1)


class World:
    """A catalogue, a history, a cart, a clock and an offer, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        sold = [self.product(p) for p in IDS[: self.whole(5, 13)]]
        self.catalogue = Catalogue({p.product_id: p for p in sold}, self.one(["EUR", "EUR", "JPY", "KWD"]))
        paired = {p: self.some(6) for p in self.some(10)}
        segments = {name: Habits({p: self.some(3) for p in self.some(4)}, self.some(3)) for name in ("new",)}
        counted = self.one([0, NOW, NOW, NOW - 3 * DAY])
        sold_lately = {p: (self.whole(0, 5), self.whole(5, 30), 40) for p in self.some(8)}
        self.history = History(paired, self.some(6), self.some(3), segments, sold_lately, counted)
        self.context = Context(
            self.one([None, *IDS[:5]]), tuple(self.some(1)), self.one([None] * 20 + ["EUR", "USD"]),
            self.chance(0.08), self.one([None, "new", "returning"]),
        )  # fmt: skip
        self.now = Micros(NOW + self.one([0, 0, 0, 0, -DAY, DAY]))
        self.offer = self.an_offer(2)

    def one(self, choices: list[Any]) -> Any:
        return choices[self.whole(0, len(choices))]

    def some(self, most: int) -> list[str]:
        return [IDS[i] for i in self.rng.permutation(len(IDS))[: self.whole(0, most + 1)]]

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def product(self, product_id: str) -> Product:
        price = self.one([self.whole(0, 40), self.whole(200, 5000), self.whole(200, 5000), 10**6])
        cost = None if self.chance(0.3) else self.whole(0, price + 1)
        stock = self.one([None] * 7 + [0, 1, 5])
        return Product(
            product_id, product_id, price, self.one(["A", "A", "A", "B", "B", "B", "B/C", ""]), cost=cost, stock=stock
        )

    def discount(self) -> Discount:
        kind = self.one(["percent", "percent", "amount", "price"])
        value = self.whole(1, 40) if kind == "percent" else self.one([1, 3, 20, 4000])
        return Discount(**{kind: Decimal(value)})

    def an_offer(self, steps: int) -> Offer:
        shown: dict[str, Any] = {"discount": None if self.chance(0.6) else self.discount()}
        shown["minimum_margin"] = self.one([None] * 16 + ["0%", "20%"])
        shown["stacks_with_discounts"] = self.chance(0.7)
        shown["valid_until"] = self.one([None] * 16 + [moment(NOW), moment(NOW) + timedelta(days=2)])
        shown["minimum_stock"] = self.one([1, 1, 1, 3])
        shown["instalments"] = None if self.chance(0.5) else Instalments(self.whole(2, 61), "{amount}")
        shown["social_proof"] = None if self.chance(0.5) else SocialProof(30, self.one([1, 10, 25]))
        for name in ("if_declined", "if_accepted") if steps else ():
            if self.chance(0.4):
                shown[name] = self.an_offer(steps - 1)
        made = self.one([self.upsell, self.upsell, self.cross_sell, self.bundle, self.bundle])(shown)
        assert isinstance(made, Upsell | CrossSell | Bundle)
        return made

    def upsell(self, shown: dict[str, Any]) -> Offer:
        tiers = [Tier(discount=None if self.chance(0.7) else self.discount()) for _ in range(self.whole(0, 3))]
        ratio = self.one([None, None, Decimal("1.5"), Decimal(20)])
        if self.chance(0.75):
            return Upsell(max_price_ratio=ratio, tiers=tiers, **shown)
        pairs = dict(zip(IDS, self.rng.permutation(IDS).tolist(), strict=True))
        return Upsell(pick="explicit", pairs=pairs, tiers=tiers, **shown)

    def cross_sell(self, shown: dict[str, Any]) -> Offer:
        pick = self.one(["explicit", "bought_together", "bestsellers", "most_viewed", "similar"])
        listed = {base: self.some(4) for base in [*self.some(3), "*"]} if pick == "explicit" else {}
        return CrossSell(pick=pick, products=listed, limit=self.whole(1, 5), **shown)

    def bundle(self, shown: dict[str, Any]) -> Offer:
        shown["discount"] = shown["discount"] or Discount(percent=Decimal(10))
        listed = list(self.rng.permutation(IDS))
        sizes = np.cumsum([2, *self.rng.integers(0, 3, size=self.whole(0, 3))])
        if self.chance(0.5):
            items, *further = [[str(p) for p in listed[:size]] for size in sizes]
            return Bundle(items=items, tiers=[Tier(items=more) for more in further], **shown)
        return Bundle(pick="bought_together", tiers=[Tier()] * (len(sizes) - 1), **shown)


@settings(max_examples=400, deadline=None)
@given(seeds)
def test_every_tier_and_every_step_keeps_all_truths(seed: int) -> None:
    world = World(seed)
    if list(world.offer.check("offer")):
        return
    found = Resolver(world.catalogue, world.history).resolve(world.offer, "e:v", world.context, world.now)
    check(world.catalogue, world.history, world.offer, world.context, world.now, found)
    if isinstance(found, ServedOffer) and not isinstance(world.offer, NoOffer):
        ids = [each.offer_id for each in found.every()]
        assert len(ids) == len(set(ids)), "two prices under one id"


def test_the_worlds_have_every_kind_of_offer_in_them() -> None:
    """The property above would hold of worlds in which nothing is ever served."""
    seen: Counter[str] = Counter()
    for seed in range(3000):
        world = World(seed)
        found = Resolver(world.catalogue, world.history).resolve(world.offer, "e:v", world.context, world.now)
        if isinstance(found, ServedOffer):
            kind = type(found.offer).__name__
            seen[kind] += 1
            seen[f"{kind} with tiers"] += bool(found.tiers)
            seen["social proof"] += bool(found.sold)
            for name, step in found.steps.items():
                seen[name if isinstance(step, ServedOffer) else f"{name} withheld"] += 1
    for kind in ("Upsell", "Upsell with tiers", "CrossSell", "Bundle", "Bundle with tiers", "social proof",
                 "if_declined", "if_accepted", "if_declined withheld", "if_accepted withheld"):  # fmt: skip
        assert seen[kind] >= 10, seen


@settings(deadline=None)  # machines that do other work are slow
@given(seeds, seeds)
def test_promised_prices_of_tiers_and_steps_stay_a_ladder_when_the_catalogue_changes(seed: int, later: int) -> None:
    world = World(seed)
    if list(world.offer.check("offer")):
        return
    found = Resolver(world.catalogue, world.history).resolve(world.offer, "e:v", world.context, world.now)
    other = World(later).catalogue
    changed = {
        p.product_id: p if (then := other.get(p.product_id)) is None else Product(p.product_id, p.title, then.price,
        p.category) for p in world.catalogue
    }  # fmt: skip
    today = Catalogue(changed, world.catalogue.currency)
    again = Resolver(today, world.history).resolve(world.offer, "e:v", world.context, world.now)
    if not (isinstance(found, ServedOffer) and isinstance(again, ServedOffer)):
        return
    shown = kept(again, promises(found, world.now), today, world.now)
    prices = [shown.price, *(tier.price for tier in shown.tiers)]
    assert prices == sorted(set(prices))
    assert all(tier.price <= tier.regular_price for tier in (shown, *shown.tiers))
    declined = shown.steps.get("if_declined")
    assert not isinstance(declined, ServedOffer) or declined.price < shown.price
    assert kept(found, promises(found, world.now), world.catalogue, world.now).json == found.json


@pytest.mark.parametrize(("price", "count"), [(1, 3), (100, 3), (101, 60), (59, 60), (1000, 7), (10**15, 59)])
def test_instalments_add_up_to_the_price(price: int, count: int) -> None:
    part, last = Instalments(count).parts(price)
    assert part * (count - 1) + last == price
    assert part >= 0
    assert last >= 0
