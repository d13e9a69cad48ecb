"""Whatever is sent to the two intakes: never a 500, never a sum that is not that of what was accepted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from werkzeug.test import Client

from experiments.money import EXPONENTS, LARGEST_MINOR
from experiments.service.settings import create_key
from experiments.storage.database import connect, reading, writing
from experiments.storage.tables import conversion, crossover, exposure, order_line
from tests.shop import NOW, experiment, open_shop
from webapp import create_app
from webapp.config import Settings
from webapp.front import Front
from webapp.lab import new_token

EXAMPLES = 120
PLACES = {"EUR": 2, "JPY": 0, "KWD": 3}

odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.binary(max_size=4).map(repr),
    st.sampled_from(["", "\x00", "\ud800", "NaN",
                      "Infinity", "1e400", "-0", "9" * 400, 10**400, -(2**63), 2**63, [], {},
                     [[[[]]]], {"a": {"b": 1}}, "v1", "EUR", "2026-11-20T12:00:00Z", 1e308]),
)  # fmt: skip
ids = st.sampled_from(["v1", "v2", "a" * 128]) | st.text(
    st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=12
)
amounts = st.one_of(
    st.decimals(0, 10**6, places=4).map(float), st.decimals(0, 10**9, places=3).map(str), st.integers(0, 10**16), odd,
)  # fmt: skip
times = st.one_of(
    st.datetimes().map(lambda t: t.isoformat() + "Z"),
    st.sampled_from(["2026-11-20T12:00:00+14:00", "2026-11-20", "now"]),
    st.just("2026-11-20T11:00:00Z"), odd,
)  # fmt: skip
lines = st.lists(
    st.fixed_dictionaries(
        {"product_id": st.sampled_from(["A1", "C1", "☕"]), "quantity": st.integers(0, 2_000_000), "price": amounts},
        optional={"cost": amounts, "offer": odd},
    ), max_size=3,
)  # fmt: skip
orders = st.fixed_dictionaries(
    {"type": st.just("order"), "order_id": st.sampled_from([f"o{i}" for i in range(8)]) | ids, "revenue": amounts,
     "currency": st.sampled_from(["EUR", "EUR", "EUR", "USD", "BTC", "eur"])},
    optional={"visitor_id": ids, "customer_id": ids, "items": lines | odd, "occurred_at": times, "cost": amounts,
              "version": st.integers(0, 5) | odd, "tax": amounts, "nonsense": odd},
)  # fmt: skip
refunds = st.fixed_dictionaries(
    {"type": st.just("refund"), "refund_id": ids, "order_id": st.sampled_from(["o1", "o2", "o99"]), "amount": amounts,
     "currency": st.just("EUR")}, optional={"occurred_at": times},
)  # fmt: skip
others = st.fixed_dictionaries(
    {"type": st.sampled_from(["page_view", "offer_accepted", "order_cancelled", ""]) | odd},
    optional={"visitor_id": ids | odd, "order_id": ids, "event_id": odd, "value": amounts, "properties": odd,
              "url": odd, "occurred_at": times, "experiment": odd},
)  # fmt: skip
exposures = st.fixed_dictionaries(
    {
        "experiment": st.sampled_from(["offers", "offers", "nothing"]) | odd,
        "variant": st.sampled_from(["control", "upsell"]) | odd,
        "visitor_id": ids,
    },
    optional={"kind": st.sampled_from(["assigned", "viewed"]) | odd, "occurred_at": times},
)
conversions = st.one_of(orders, orders, refunds, others, odd)


@dataclass
class World:
    """A shop behind the thin door, and what the books must say of it."""

    door: Client
    engine: Engine
    key: str
    orders: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        answer = self.door.post(path, data=body, headers=headers)
        said = json.loads(answer.data)
        assert answer.status_code in {200, 400, 413, 422}, (answer.status_code, said, body[:500])
        return answer.status_code, said

    def note(self, event: Any) -> None:
        """An accepted or repeated event, as the books must have it."""
        if isinstance(event, dict) and event.get("type") == "order":
            version, revenue = event.get("version") or 0, event["revenue"]
            minor = (
                None if revenue is None else int((Decimal(str(revenue)) * 100).quantize(Decimal(1), ROUND_HALF_EVEN))
            )
            known = self.orders.get(event["order_id"])
            if known is None or version > known[0]:
                self.orders[event["order_id"]] = (version, minor)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    engine = connect(database_url)
    shop = open_shop(engine)
    shop.define(experiment())
    with writing(engine) as conn:
        key = create_key(conn, shop.storefront.id, "secret", new_token(), NOW, "test")
    app = create_app(Settings(database_url=database_url, secret_key="test"))
    yield World(Client(Front(app)), engine, key)
    app.extensions["offerlab"].close()
    engine.dispose()


def encoded(events: Any) -> bytes:
    """JSON as Python writes it, NaN and halves of surrogate pairs included."""
    return json.dumps(events).encode()


patient = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def test_conversions_are_refused_or_counted_exactly(world: World) -> None:
    @patient
    @given(st.lists(conversions, max_size=5) | conversions)
    def send(events: Any) -> None:
        status, said = world.post("/v1/conversions", encoded(events))
        batch = events if isinstance(events, list) else [events]
        if status == 200:
            refused = {rejection["index"] for rejection in said["rejected"]}
            assert said["accepted"] + said["duplicate"] + len(refused) == len(batch)
            for index, event in enumerate(batch):
                if index not in refused:
                    world.note(event)

    send()
    c = conversion.c
    with reading(world.engine) as conn:
        kept = {r.order_id: (r.version, r.revenue) for r in conn.execute(select(conversion).where(c.type == "order"))}
        total = conn.scalar(select(func.sum(c.revenue)))
        assert conn.scalar(select(func.max(c.revenue))) <= LARGEST_MINOR
        sold = set(conn.scalars(select(order_line.c.order_id)))
    assert kept == world.orders
    assert int(total) == sum(revenue or 0 for _, revenue in world.orders.values())
    assert sold <= set(kept)


def test_exposures_are_refused_or_counted_once(world: World) -> None:
    met: dict[str, set[str]] = {}

    @patient
    @given(st.lists(exposures | odd, max_size=5) | exposures)
    def send(events: Any) -> None:
        status, said = world.post("/v1/exposures", encoded(events))
        batch = events if isinstance(events, list) else [events]
        if status == 200:
            refused = {rejection["index"] for rejection in said["rejected"]}
            assert said["accepted"] + said["duplicate"] + len(refused) == len(batch)
            for index, event in enumerate(batch):
                if index not in refused:
                    met.setdefault(event["visitor_id"], set()).add(event["variant"])

    send()
    with reading(world.engine) as conn:
        assigned = select(exposure.c.unit_id).where(exposure.c.kind == "assigned")
        assert sorted(conn.scalars(assigned)) == sorted(met)
        crossed = set(conn.scalars(select(crossover.c.unit_id)))
    assert crossed == {unit for unit, variants in met.items() if len(variants) > 1}


@patient
@given(body=st.binary(max_size=200))
def _bytes(world: World, body: bytes) -> None:
    for path in ("/v1/conversions", "/v1/exposures"):
        world.post(path, body)
        world.post(path, b"[" + body + b"]")


def test_bytes_that_are_no_json_are_refused(world: World) -> None:
    _bytes(world)
    deep = b"[" * 100_000
    assert world.post("/v1/conversions", deep)[0] == 400
    assert world.post("/v1/conversions", b'{"type":' * 50_000)[0] in {400, 422}
    assert world.post("/v1/conversions", b"x" * 2_000_000)[0] == 413


@pytest.mark.parametrize("currency", sorted(PLACES))
def test_money_survives_the_round_trip(database_url: str, currency: str) -> None:
    places = PLACES[currency]
    assert EXPONENTS[currency] == places
    engine = connect(database_url)
    shop = open_shop(engine, currency=currency, products=False)
    minors = [0, 1, 9, 10, 99, 100, 101, 999, 1000, 1001, 12_345_678_901, LARGEST_MINOR // 1000]
    sent = {f"o{i}": str(Decimal(minor).scaleb(-places)) for i, minor in enumerate(minors)}
    events = [
        {"type": "order", "order_id": key, "revenue": text, "currency": currency, "visitor_id": "v1"}
        for key, text in sent.items()
    ]
    assert shop.convert(*events).accepted == len(minors)
    with reading(engine) as conn:
        kept = {r.order_id: r.revenue for r in conn.execute(select(conversion))}
    engine.dispose()
    assert [kept[key] for key in sent] == minors
