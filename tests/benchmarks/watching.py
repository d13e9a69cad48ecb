"""What a minute of the watch costs with 500 experiments that run, beside what one report costs.

`python -m tests.benchmarks.watching [URL]`; without a URL on SQLite in a temporary file.
"""

import sys
import tempfile
from pathlib import Path
from time import perf_counter

from sqlalchemy import event, insert, update

from analysis.watching import LOOK_EVERY, MOST_LOOKS, Watch
from experiments.definition import parse, to_json
from experiments.identifiers import ExperimentId
from experiments.moment import DAY, SECOND, Micros, day_number
from experiments.storage.alerts import note_look
from experiments.storage.database import connect, upgrade, writing
from experiments.storage.tables import conversion, exposure, watched
from experiments.storage.tables import experiment as table
from tests.shop import NOW, Shop, a_a, open_shop

EXPERIMENTS, UNITS, ORDERS = 500, 2_000, 50_000
MINUTE = 60 * SECOND


def fill(shop: Shop) -> None:
    """Experiments that began ten days ago, each with its visitors, and the storefront's orders."""
    begun, day = Micros(NOW - 10 * DAY), day_number(NOW, shop.storefront.zone)
    with writing(shop.engine) as conn:
        for number in range(1, EXPERIMENTS + 1):
            definition = parse(a_a(f"e-{number}"))
            conn.execute(
                insert(table).values(
                    id=number, storefront_id=shop.storefront.id, key=definition.key, placement="cart", state="running",
                    seed=definition.key, definition=to_json(definition), fingerprint=definition.fingerprint, version=1,
                    created_at=begun, started_at=begun,
                )
            )  # fmt: skip
            at = [Micros(begun + (NOW - begun) * unit // UNITS) for unit in range(UNITS)]
            conn.execute(
                insert(exposure),
                [
                    {
                        "experiment_id": number, "kind": "assigned", "unit_id": f"v{unit}",
                        "variant": ("control", "t1")[unit % 2], "at": at[unit], "day": day - 10 + 10 * unit // UNITS,
                        "fingerprint": definition.fingerprint, "received_at": at[unit],
                    }
                    for unit in range(UNITS)
                ],
            )  # fmt: skip
        orders = [
            {
                "storefront_id": shop.storefront.id, "event_key": f"order:{n}", "type": "order", "order_id": f"o{n}",
                "at": Micros(begun + (NOW - begun) * n // ORDERS), "day": day, "received_at": NOW,
                "revenue": 1000 + n % 900,
                "visitor_id": f"v{n % (UNITS * 20)}", "currency": "EUR", "item_count": 1,
            }
            for n in range(ORDERS)
        ]  # fmt: skip
        conn.execute(insert(conversion), orders)


def main() -> None:
    """Fill, watch, print."""
    with tempfile.TemporaryDirectory() as directory:
        engine = connect(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(directory)}/watch.sqlite")
        upgrade(engine)
        home = open_shop(engine)
        fill(home)
        asked = [0]
        event.listen(engine, "before_cursor_execute", lambda *_: asked.__setitem__(0, asked[0] + 1))
        watch, now = Watch(engine), NOW

        def minute(words: str) -> None:
            nonlocal now
            asked[0], begun = 0, perf_counter()
            told = len(watch.round(now))
            print(f"{words:50} {perf_counter() - begun:6.2f} s {asked[0]:6} queries {told:4} alerts")
            now = Micros(now + MINUTE)

        minute(f"looks with a report each, up to {MOST_LOOKS}, {EXPERIMENTS} run")
        with writing(engine) as conn:  # as if the others had been looked at just now
            for number, seen in watch.glances[home.storefront.id][1].items():
                note_look(conn, ExperimentId(number), Micros(now - LOOK_EVERY), seen.mark)
        now = Micros(now + 15 * MINUTE)
        minute("a minute of a silent shop")
        with writing(engine) as conn:
            conn.execute(update(watched).where(watched.c.experiment_id == 1).values(mark=""))
        now = Micros(now + 15 * MINUTE)
        minute("a minute in which one has changed")
        engine.dispose()


if __name__ == "__main__":
    main()
