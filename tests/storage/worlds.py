"""Small worlds in which everything meets everything, and what a report must say of them."""

import random  # noqa: TID251 - dice with a seed of their own
from dataclasses import dataclass, field

from experiments.moment import DAY, Micros, iso
from tests.shop import NOW, Shop, a_a

WINDOW = 14 * DAY
VARIANTS = ("control", "t1", "t2")


@dataclass
class World:
    """Everything that happened, as plain lists in the order of its arrival."""

    exposures: list[tuple[str, str, int]] = field(default_factory=list)
    orders: list[tuple[str | None, str | None, int | None, int]] = field(default_factory=list)
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
                sums[met[unit][1]][1] += cents or 0
        strays = {lead[v] for v in crossed} | {lead[v] for v in met if met[v][1] != met[lead[v]][1]}
        crossovers = {variant: n for variant in VARIANTS if (n := sum(met[u][1] == variant for u in strays))}
        return units, sums, crossovers


def a_world(seed: int, unknown: float = 0.0) -> World:
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
        cents = None if dice.random() < unknown else dice.randrange(1, 100_000)
        world.orders.append((visitor, customer, cents, NOW - dice.randrange(20) * DAY))
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
            revenue = None if cents is None else f"{cents / 100:.2f}"
            shop.convert({"type": "order", "order_id": f"o{number}", "visitor_id": visitor, "customer_id": customer,
                          "revenue": revenue, "currency": "EUR", "occurred_at": iso(at)})  # fmt: skip
        else:
            shop.link(*event)
