"""A visitor's orders are found through its customer and back, whenever the link came; against a reference in Python."""

import random  # noqa: TID251 - dice with a seed of their own
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine

from analysis.experiment import experiment_report
from analysis.queries import Scope, count
from experiments.moment import DAY, Micros, iso
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from tests.shop import NOW, Shop, a_a, open_shop

WINDOW = 14 * DAY
VARIANTS = ("control", "t1", "t2")


@dataclass
class World:
    """Everything that happened, as plain lists in the order of its arrival."""

    exposures: list[tuple[str, str, int]] = field(default_factory=list)
    orders: list[tuple[str | None, str | None, int, int]] = field(default_factory=list)
    links: list[tuple[str, str, int]] = field(default_factory=list)

    def expected(self) -> tuple[dict[str, int], dict[str, list[int]], dict[str, int]]:
        """Units, [orders, revenue] and crossovers by variant, for an experiment on visitors."""
        owner: dict[str, str] = {}
        for visitor, customer, _ in self.links:
            owner.setdefault(visitor, customer)
        met: dict[str, tuple[int, str]] = {}
        crossed: set[str] = set()
        for visitor, variant, at in self.exposures:
            if visitor in met and met[visitor][1] != variant:
                crossed.add(visitor)
            met.setdefault(visitor, (at, variant))
        lead = {v: v for v in met}
        by_customer: dict[str, str] = {}
        for customer in set(owner.values()):
            mine = sorted((met[v][0], v) for v in met if owner.get(v) == customer)
            if mine:
                by_customer[customer] = mine[0][1]
                lead |= {v: mine[0][1] for _, v in mine}
        units = dict.fromkeys(VARIANTS, 0)
        for unit in set(lead.values()):
            units[met[unit][1]] += 1
        sums: dict[str, list[int]] = {variant: [0, 0] for variant in VARIANTS}
        for visitor, customer, cents, at in self.orders:
            unit = None
            if visitor in owner:
                unit = by_customer.get(owner[visitor])
            unit = unit or lead.get(visitor or "") or by_customer.get(customer or "")
            if unit and met[unit][0] <= at < met[unit][0] + WINDOW:
                sums[met[unit][1]][0] += 1
                sums[met[unit][1]][1] += cents
        strays = {lead[v] for v in crossed} | {lead[v] for v in met if met[v][1] != met[lead[v]][1]}
        crossovers = {variant: n for variant in VARIANTS if (n := sum(met[u][1] == variant for u in strays))}
        return units, sums, crossovers


def a_world(seed: int) -> World:
    """Few visitors and customers, so that everything meets everything."""
    dice = random.Random(seed)
    visitors, customers = [f"v{i}" for i in range(12)], [f"c{i}" for i in range(5)]
    world = World()
    for _ in range(dice.randint(4, 16)):
        at = NOW - dice.randrange(20) * DAY
        world.exposures.append((dice.choice(visitors), dice.choice(VARIANTS), at))
    world.exposures.sort(key=lambda exposure: exposure[2])
    for _ in range(25):
        visitor = dice.choice([*visitors, None, None])
        customer = dice.choice([*customers, None]) if visitor else dice.choice(customers)
        world.orders.append((visitor, customer, dice.randrange(1, 100_000), NOW - dice.randrange(20) * DAY))
    for _ in range(dice.randint(0, 12)):
        world.links.append((dice.choice(visitors), dice.choice(customers), NOW - dice.randrange(20) * DAY))
    return world


def live(shop: Shop, world: World, seed: int) -> None:
    """Let it happen: links before, between and after the orders."""
    dice = random.Random(seed)
    shop.define(a_a("same", variants=3), now=Micros(NOW - 25 * DAY))
    events = [
        *(("expose", exposure) for exposure in world.exposures),
        *(("order", order) for order in enumerate(world.orders)),
        *(("link", link) for link in world.links),
    ]
    keys = {kind: sorted(dice.random() for k, _ in events if k == kind) for kind in ("expose", "order", "link")}
    timed = sorted((keys[kind].pop(0), kind, event) for kind, event in events)
    for _, kind, event in timed:
        if kind == "expose":
            visitor, variant, at = event
            shop.expose({"visitor_id": visitor, "experiment": "same", "variant": variant, "kind": "assigned",
                         "occurred_at": iso(at)})  # fmt: skip
        elif kind == "order":
            number, (visitor, customer, cents, at) = event
            shop.convert({"type": "order", "order_id": f"o{number}", "visitor_id": visitor, "customer_id": customer,
                          "revenue": f"{cents / 100:.2f}", "currency": "EUR", "occurred_at": iso(at)})  # fmt: skip
        else:
            shop.link(*event)


@pytest.mark.parametrize("seed", range(5))
def test_links_resolve_as_the_reference_says(engine: Engine, seed: int) -> None:
    shop, world = open_shop(engine), a_world(seed)
    live(shop, world, seed)
    units, sums, crossovers = world.expected()
    with reading(engine) as conn:
        found = get_experiment(conn, shop.storefront.id, "same")
        report = experiment_report(conn, shop.storefront, found, NOW)
        scope = Scope(shop.storefront.id, found.id, "same", "visitor", WINDOW, NOW, 2)
        assert count(conn, scope, VARIANTS).crossovers == crossovers
    assert {variant: n for variant, n, _ in report.variants} == units
    for variant in VARIANTS:
        aov = report["aov"].variant(variant)
        assert aov.denominator == sums[variant][0]
        assert round(aov.numerator * 100) == sums[variant][1]


@pytest.mark.parametrize("order", [{"visitor_id": "v1"}, {"customer_id": "c1"}])
@pytest.mark.parametrize("late", [True, False])
def test_an_order_of_a_visitor_counts_for_its_customer(engine: Engine, order: dict[str, str], late: bool) -> None:
    shop = open_shop(engine)
    shop.define(a_a("same", unit="customer"))
    shop.expose({"customer_id": "c1", "experiment": "same", "variant": "t1"})
    paid = {"type": "order", "order_id": "o1", "revenue": 5, "currency": "EUR"} | order
    for step in (lambda: shop.link("v1", "c1"), lambda: shop.convert(paid))[:: -1 if late else 1]:
        step()
    shop.link("v1", "c2")  # the first link wins
    with reading(engine) as conn:
        report = experiment_report(conn, shop.storefront, get_experiment(conn, shop.storefront.id, "same"), NOW)
    assert report["orders_per_visitor"].variant("t1").numerator == 1
