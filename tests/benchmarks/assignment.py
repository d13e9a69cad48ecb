"""What an assignment costs in this process, with one live experiment and with a thousand; ratios of one run.

Each round asks every case for the same visitors, so that a busy machine is busy for all of them.
Run: .venv/bin/python -m tests.benchmarks.assignment [rounds]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from experiments.definition import parse
from experiments.identifiers import ExperimentId
from experiments.layers import Layer
from experiments.service.rows import Rows
from experiments.service.serving import AssignmentRequest, answer, decide
from experiments.service.snapshot import Snapshot, StorefrontView
from experiments.storage.database import connect, reading, upgrade
from experiments.storage.registry import Experiment
from tests.shop import NOW, Shop, experiment, open_shop

LIVE = 1000
VISITORS = 2000
BODY = b'{"visitor_id":"v%d","placement":"cart","attributes":{"country":"DE"},"context":{"product_id":"A1"}}'


def record(shop: Shop, number: int, **changes: Any) -> Experiment:
    """A running experiment that no database has seen."""
    definition = parse(experiment(f"e{number}", **changes))
    return Experiment(
        ExperimentId(number), shop.storefront.id, "running", definition.key, definition, definition.fingerprint, 1, NOW,
        NOW, None, None, None,
    )  # fmt: skip


def view_of(shop: Shop, rows: Rows, live: list[Experiment], layers: dict[str, Layer] | None = None) -> StorefrontView:
    """The storefront with these experiments instead of its own."""
    here = replace(rows.storefronts[0], experiments=live, layers=layers or {})
    return Snapshot.of(replace(rows, storefronts=[here])).storefronts[shop.storefront.id]


def cases(shop: Shop, rows: Rows) -> dict[str, StorefrontView]:
    """By name, what is live."""
    german: dict[str, Any] = {"targeting": {"country": "DE"}}
    numbers = range(1, LIVE + 1)
    elsewhere = [record(shop, n, placement=f"p{n}", **german) for n in numbers[1:]]
    slices = [record(shop, n, layer={"key": "all", "start": (n - 1) * 10, "end": n * 10}, **german) for n in numbers]
    whole = record(shop, 1, layer={"key": "all", "start": 0, "end": 10_000}, **german)
    layers = {"all": Layer("all", "all", "visitor", "layer/all")}
    return {
        "one live experiment": view_of(shop, rows, [record(shop, 1, **german)]),
        "1,000, each in its own placement": view_of(shop, rows, [record(shop, 1, **german), *elsewhere]),
        "1,000 in this placement": view_of(shop, rows, [record(shop, n, **german) for n in numbers]),
        "one live experiment in a layer": view_of(shop, rows, [whole], layers),
        "1,000 in this placement, sharing one layer": view_of(shop, rows, slices, layers),
    }


def asked(view: StorefrontView) -> Callable[[], None]:
    """Ask for every visitor once."""

    def ask() -> None:
        for number in range(VISITORS):
            request = msgspec.json.decode(BODY % number, type=AssignmentRequest)
            answer(request, decide(view, request, NOW, lambda rule, unit_id: None))

    return ask


def main(rounds: int = 9) -> None:
    """Print a table of medians and ratios."""
    with tempfile.TemporaryDirectory() as directory:
        engine = connect(f"sqlite:///{directory}/bench.sqlite")
        upgrade(engine)
        shop = open_shop(engine)
        with reading(engine) as conn:
            rows = Snapshot.load(conn).rows
        engine.dispose()
    ways = {name: asked(view) for name, view in cases(shop, rows).items()}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():
        ask()  # offers are resolved once for each context
    for _ in range(rounds):
        for name, ask in ways.items():
            begun = time.process_time()
            ask()
            spent[name].append((time.process_time() - begun) / VISITORS * 1e6)
    first: list[float] = []
    print("| live | microseconds an assignment (median) | ratio to one |\n|---|---|---|")
    for name, times in spent.items():
        first = times if name.startswith("one") else first
        ratio = statistics.median(t / f for t, f in zip(times, first, strict=True))
        print(f"| {name} | {statistics.median(times):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
