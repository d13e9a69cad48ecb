"""A storefront with much of everything, as rows: what its pages cost, and whether their queries grow with it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select

from experiments.definition import parse, to_json
from experiments.moment import DAY, Micros, day_number, micros
from experiments.service import drafting, layering, library, measuring, settings
from experiments.service.people import add_person
from experiments.storage import tables
from experiments.storage.database import writing
from experiments.storage.quarantine import Refused, append_refused
from experiments.storage.storefronts import bump_revision, touch_products
from tests.shop import Shop, experiment, open_shop

STATES = ("running", "draft", "stopped", "closed", "paused", "decided", "scheduled", "archived")
TOUCHPOINTS = ("cart", "checkout")
OFFERS = ("bundle", "upsell", "cross_sell")
DAY_ONE = micros(datetime(2026, 1, 1, 12, tzinfo=UTC))
BUNDLE = {"type": "bundle", "items": ["p-1", "p-2"], "discount": {"percent": "10"}}
REFUSED = 150
MET = 20
"""Units of a measured experiment, unless more are asked for."""


def gist(number: int) -> dict[str, Any]:
    """One of many: lifts of 1% to 5%, of three kinds at two touchpoints."""
    lift = 0.01 + 0.01 * (number % 5)
    return {
        "name": f"Experiment {number}", "hypothesis": f"Because {number}", "placement": "cart",
        "touchpoint": TOUCHPOINTS[number % 2], "metric": "revenue_per_visitor", "direction": "increase",
        "categories": ["Tea"] if number % 4 else ["Mugs"], "units": 1000,
        "effects": [{
            "variant": "t", "offer": OFFERS[number % 3], "depth": (0.0, 0.1, 0.15, 0.3)[number % 4],
            "estimate": lift, "low": lift - 0.02, "high": lift + 0.02, "standard_error": 0.01,
        }],
    }  # fmt: skip


def fill(engine: Engine, experiments: int, products: int, rest: int, met: int, decided: int, now: Micros) -> None:
    """A shop with so much in it, and another one whose decided experiments the learnings show as well."""
    shop, other = open_shop(engine), open_shop(engine, "other", products=False)
    with writing(engine) as conn:
        fill_experiments(conn, shop, experiments, now, met)
        fill_orders(conn, shop, met // 20, now)
        fill_products(conn, shop, products, now)
        fill_settings(conn, shop, rest, now)
        fill_decided(conn, other, decided, now)


def fill_decided(conn: Connection, shop: Shop, number: int, now: Micros) -> None:
    """Decided experiments as the store keeps them, many at once; the report itself is large, and not read."""
    definition = parse(experiment("e-0"))
    rows = [
        {
            "storefront_id": shop.storefront.id, "key": f"{shop.storefront.key}-e-{n}", "placement": "cart",
            "state": "decided", "seed": "e", "definition": to_json(definition), "fingerprint": "f", "version": 1,
            "created_at": now, "started_at": now, "stopped_at": now, "decided_at": DAY_ONE + n * DAY // 4,
            "decision": {"decision": "ship" if n % 2 else "do_not_ship", "variant": "t" if n % 2 else None,
                         "reason": f"Reason {n}", "by": "ann@shop.example"},
        }
        for n in range(number)
    ]  # fmt: skip
    _many(conn, tables.experiment, rows)
    t = tables.experiment.c
    ids = conn.execute(select(t.id, t.key, t.decided_at).where(t.storefront_id == shop.storefront.id)).all()
    rows = [
        {
            "experiment_id": row.id, "decided_at": row.decided_at, "data_until": row.decided_at, "fingerprint": "f",
            "code_version": "1", "report": {"reason": "x" * 1000}, "gist": gist(int(row.key.rpartition("-")[2])),
        }
        for row in ids
        if row.decided_at is not None
    ]  # fmt: skip
    _many(conn, tables.decision, rows)


def fill_experiments(conn: Connection, shop: Shop, number: int, now: Micros, met: int = MET) -> None:
    """Experiments in every state; so many units have met the first one, twenty of them each other that has started."""
    begun, here = Micros(now - 20 * DAY), shop.storefront.id
    made = [_experiment_row(shop, n, Micros(begun - n)) for n in range(number)]
    _many(conn, tables.experiment, made)
    t = tables.experiment.c
    ids = {row.key: row.id for row in conn.execute(select(t.id, t.key).where(t.storefront_id == here))}
    units, told, trail = [], [], []
    for n, row in enumerate(made):
        if row["started_at"] is not None:
            units += _units(
                shop, ids[row["key"]], [f"v-{(n * MET + u) % met}" for u in range(MET if n else met)], begun
            )
        told.append({
            "storefront_id": here, "experiment_id": ids[row["key"]], "kind": "sample_ratio_mismatch", "about": "",
            "detail": "p = 0", "raised_at": now - n, "cleared_at": None if n % 3 else now, "acted_at": None,
        })  # fmt: skip
        trail += [
            {"storefront_id": here, "at": begun + k, "actor": "ann@shop.example", "action": "edit",
             "subject": f"experiment:{row['key']}", "before": row["definition"] | {"name": "Before"},
             "after": row["definition"]}
            for k in range(5)
        ]  # fmt: skip
    for table, some in ((tables.exposure, units), (tables.alert, told), (tables.audit, trail)):
        _many(conn, table, some)
    bump_revision(conn)


def _experiment_row(shop: Shop, number: int, begun: Micros) -> dict[str, Any]:
    state = STATES[number % len(STATES)]
    placement = TOUCHPOINTS[number // len(STATES) % 2]
    schedule = {"start_at": "2099-01-01T00:00:00+00:00"} if state == "scheduled" else {}
    definition = parse(experiment(f"e-{number}", name=f"Experiment {number}", placement=placement, schedule=schedule))
    ended = begun + 10 * DAY if state in {"stopped", "decided", "archived"} else None
    decided = {"decision": "ship", "variant": "bundle", "reason": f"Reason {number}", "by": "ann@shop.example"}
    return {
        "storefront_id": shop.storefront.id, "key": definition.key, "placement": placement, "state": state,
        "seed": definition.key, "definition": to_json(definition), "fingerprint": definition.fingerprint,
        "version": 1, "created_at": begun, "started_at": None if state in {"draft", "scheduled"} else begun,
        "stopped_at": ended, "decided_at": ended if state == "decided" else None,
        "decision": decided if state == "decided" else None,
    }  # fmt: skip


def fill_orders(conn: Connection, shop: Shop, number: int, now: Micros) -> None:
    """An order of two lines by every nineteenth unit of the first experiment, the one that started last."""
    blank = dict.fromkeys([c.name for c in tables.conversion.columns if c.name != "id"])
    at = Micros(now - 9 * DAY)
    orders, lines = [], []
    for n in range(number):
        orders.append(blank | {
            "storefront_id": shop.storefront.id, "visitor_id": f"v-{n * 19}", "order_id": f"o{n}", "currency": "EUR",
            "received_at": at, "at": at, "day": day_number(at, shop.storefront.zone), "version": 0, "type": "order",
            "event_key": f"order:o{n}", "revenue": 1000 + n % 997, "cost": 500, "item_count": 2,
        })  # fmt: skip
        lines += [
            {"storefront_id": shop.storefront.id, "order_id": f"o{n}", "number": k, "product_id": f"p-{n % 97 + k}",
             "quantity": 1, "price": 500, "cost": 250, "offer": None}
            for k in range(2)
        ]  # fmt: skip
    _many(conn, tables.conversion, orders)
    _many(conn, tables.order_line, lines)


def fill_products(conn: Connection, shop: Shop, number: int, now: Micros) -> None:
    """Products of 500 categories, and what is bought with the first one."""
    rows = [
        {
            "storefront_id": shop.storefront.id, "product_id": f"p-{n}", "title": f"Product {n}",
            "category": f"c-{n % 500}", "price": 1000 + n % 700, "cost": 400, "url": "", "image": "",
            "attributes": {}, "updated_at": now,
        }
        for n in range(number)
    ]  # fmt: skip
    _many(conn, tables.product, rows)
    met = {"orders": 9, "support": 0.1, "confidence": 0.2, "lift": 3.0, "p_value": 0.001}
    first = {"storefront_id": shop.storefront.id, "segment": "", "product_id": "p-1"}
    met_with = [first | met | {"rank": k, "companion_id": f"p-{k + 2}"} for k in range(min(20, number - 2))]
    _many(conn, tables.companion, met_with)
    touch_products(conn, shop.storefront.id, now)
    bump_revision(conn)


def fill_settings(conn: Connection, shop: Shop, number: int, now: Micros) -> None:
    """So many of whatever else a storefront keeps."""
    here = shop.storefront
    for n in range(number):
        settings.create_placement(conn, here.id, f"place-{n}", f"Place {n}", "cart", now, "test")
        group = {"key": f"who-{n}", "name": f"Who {n}", "type": "condition", "condition": {"country": f"C{n}"}}
        settings.create_audience(conn, here.id, group, "test", now)
        layering.create_layer(conn, here, {"key": f"layer-{n}", "name": f"Layer {n}"}, "test", now)
        library.save_offer(conn, here.id, {"key": f"offer-{n}", "offer": BUNDLE}, "test", now)
        metric = {"key": f"metric-{n}", "name": f"Metric {n}", "type": "mean", "numerator": "revenue"}
        measuring.save_metric(conn, here.id, metric, "test", now)
        settings.create_key(conn, here.id, "public", f"key-{n}-of-the-storefront", now, "test")
        add_person(conn, f"person-{n}@shop.example", "viewer", f"token-{n}", now)
        drafting.begin(conn, here, None, f"Draft {n}", {"name": [f"Draft {n}"]}, "editor@shop.example", now)
    refused = [Refused("conversions", b'{"n": %d}' % n, ("invalid", "late")[n % 2], "no") for n in range(REFUSED)]
    append_refused(conn, here.id, refused, now)


def _units(shop: Shop, experiment_id: int, names: Sequence[str], begun: Micros) -> Iterator[dict[str, Any]]:
    for u, name in enumerate(names):
        at = Micros(begun + DAY + u % 10 * DAY + u)
        yield {
            "experiment_id": experiment_id, "kind": "assigned", "unit_id": name,
            "variant": ("control", "upsell", "cross-sell", "bundle")[u % 4], "at": at,
            "day": day_number(at, shop.storefront.zone), "fingerprint": "0" * 16, "received_at": at,
        }  # fmt: skip


def _many(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    for begin in range(0, len(rows), 5000):
        conn.execute(insert(table), rows[begin : begin + 5000])
