"""A small shop for tests: its storefront, catalogue, experiments, and events as JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from experiments.catalogue import parse_product
from experiments.moment import DAY, Micros, micros
from experiments.service import defining, settings
from experiments.service.recording import Receipt, link_recording, record_conversions, record_exposures
from experiments.service.snapshot import Snapshot, StorefrontView
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.storefronts import Storefront

NOW: Micros = micros(datetime(2026, 11, 20, 12, tzinfo=UTC))

PRODUCTS = [
    {"product_id": "A1", "title": "Mug", "price": "10.00", "cost": "4.00", "category": "Mugs"},
    {"product_id": "A2", "title": "Big mug", "price": "14.00", "cost": "5.00", "category": "Mugs"},
    {"product_id": "A3", "title": "Huge mug", "price": "30.00", "cost": "9.00", "category": "Mugs"},
    {"product_id": "B1", "title": "Tea", "price": "5.50", "cost": "2.00", "category": "Tea"},
    {"product_id": "B2", "title": "Rare tea", "price": "50.00", "cost": "20.00", "category": "Tea", "stock": 0},
    {"product_id": "C1", "title": "Spoon", "price": "3.00", "category": "Cutlery"},
]


def experiment(key: str = "offers", **changes: Any) -> dict[str, Any]:
    """A four-variant experiment in the cart, as the contract's JSON."""
    return {
        "key": key,
        "placement": "cart",
        "variants": [
            {"key": "control", "weight": 2500, "offer": {"type": "none"}},
            {"key": "upsell", "weight": 2500, "offer": {"type": "upsell", "pick": "explicit", "pairs": {"A1": "A2"}}},
            {"key": "cross-sell", "weight": 2500,
             "offer": {"type": "cross_sell", "pick": "explicit", "products": {"*": ["B1", "C1"]}}},
            {"key": "bundle", "weight": 2500,
             "offer": {"type": "bundle", "items": ["A2", "B1"], "discount": {"percent": "10"}}},
        ],
        "metrics": {"primary": "revenue_per_visitor", "secondary": ["conversion", "aov"]},
    } | changes  # fmt: skip


def a_a(key: str = "same", variants: int = 2, **changes: Any) -> dict[str, Any]:
    """An experiment whose variants all show nothing."""
    weights = [10_000 // variants] * variants
    weights[0] += 10_000 - sum(weights)
    named = ["control", *(f"t{i}" for i in range(1, variants))]
    return {
        "key": key,
        "placement": "cart",
        "variants": [{"key": k, "weight": w, "offer": {"type": "none"}} for k, w in zip(named, weights, strict=True)],
        "metrics": {"primary": "revenue_per_visitor", "secondary": ["conversion", "aov"]},
    } | changes


@dataclass
class Shop:
    """One storefront on one database."""

    engine: Engine
    storefront: Storefront

    @property
    def view(self) -> StorefrontView:
        """What assignment sees, freshly loaded."""
        with reading(self.engine) as conn:
            return Snapshot.load(conn).storefronts[self.storefront.id]

    def define(self, value: dict[str, Any], start: bool = True, now: Micros = NOW) -> None:
        """Create an experiment, and start it."""
        with writing(self.engine) as conn:
            created = defining.create(conn, self.storefront, value, "test", now)
            if start:
                defining.start(conn, self.storefront, created.key, "test", now)

    def expose(self, *exposures: dict[str, Any], now: Micros = NOW, historic: bool = False) -> Receipt:
        """Record exposures."""
        raws = [json.dumps(e).encode() for e in exposures]
        return record_exposures(EventWriter(self.engine), self.view, raws, now, historic=historic)

    def convert(self, *conversions: dict[str, Any], now: Micros = NOW) -> Receipt:
        """Record conversions."""
        raws = [json.dumps(c).encode() for c in conversions]
        return record_conversions(EventWriter(self.engine), self.view, raws, now, lambda: "unused")

    def link(self, visitor: str, customer: str, now: Micros = NOW) -> Receipt:
        """Tie a visitor to a customer."""
        return link_recording(self.view, visitor, customer, now).write(EventWriter(self.engine))


def open_shop(engine: Engine, key: str = "shop", currency: str = "EUR", products: bool = True) -> Shop:
    """A new storefront with its catalogue."""
    with writing(engine) as conn:
        storefront = settings.create_storefront(conn, key, currency, "Europe/Berlin", [], Micros(NOW - 30 * DAY))
        if products:
            found = [parse_product(p, currency) for p in PRODUCTS]
            settings.store_products(conn, storefront.id, found, NOW)
    return Shop(engine, storefront)


def exposed(visitor: str, variant: str, **changes: Any) -> dict[str, Any]:
    """An exposure as the contract's JSON."""
    return {"visitor_id": visitor, "experiment": "offers", "variant": variant} | changes


def order(order_id: str, visitor: str, revenue: Any, **changes: Any) -> dict[str, Any]:
    """An order as the contract's JSON."""
    made = {"type": "order", "order_id": order_id, "visitor_id": visitor, "revenue": revenue, "currency": "EUR"}
    return made | changes


def refund(refund_id: str, order_id: str, amount: Any, **changes: Any) -> dict[str, Any]:
    """A refund as the contract's JSON."""
    made = {"type": "refund", "refund_id": refund_id, "order_id": order_id, "amount": amount, "currency": "EUR"}
    return made | changes
