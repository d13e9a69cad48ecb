"""What is counted, as the code that does it says it: each call costs well under a microsecond."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import get_args

from experiments.events import Conversion
from experiments.storage.eventlog import Outcome
from experiments.storage.eventwriter import Intake
from webapp.metrics.cells import Cells, Name

SECOND_NS = 1_000_000_000

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
DURATIONS = tuple(round(seconds * SECOND_NS) for seconds in SECONDS)
"""Upper ends of the ranges that durations are counted in, nanoseconds."""
SPENT = len(DURATIONS) + 1
"""Behind the ranges, and the one above them all, stands the sum."""
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
"""The same for the rows of one transaction."""
WRITTEN = len(ROWS) + 1

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CONVERSIONS = frozenset({
    "order", "refund", "order_cancelled", "offer_accepted", "offer_dismissed", "page_view",
})  # fmt: skip
"""The types with a name of their own; a shop's own names are `custom`, as there may be any number of them."""
UNKNOWN = "(unknown)"
"""Stands for a route or a placement that there is none of: callers must not be able to make names."""

REQUESTS, ASSIGNMENTS, EVENTS, REJECTED = "requests", "assignments", "events", "rejected"
WAITS, BATCHES = "waits", "batches"


class Counts:
    """What this process has done."""

    def __init__(self, directory: Path | None = None) -> None:
        self.cells = Cells(directory)
        self._values = self.cells.values
        self._first: dict[tuple[object, ...], int] = {}
        self._exposure = {outcome: self.cells.first((EVENTS, "exposure", outcome)) for outcome in get_args(Outcome)}
        self._waits = self.cells.first((WAITS,), SPENT + 1)
        self._batches = self.cells.first((BATCHES,), WRITTEN + 1)

    def answered(self, route: str, method: str, status: int, started: int) -> None:
        """A request was answered; `started` by `perf_counter_ns`."""
        key = (REQUESTS, route, method, status)
        first = self._first.get(key) or self._request(key)
        spent = perf_counter_ns() - started
        self._values[first + bisect_left(DURATIONS, spent)] += 1
        self._values[first + SPENT] += spent

    def _request(self, key: tuple[str, str, str, int]) -> int:
        family, route, method, status = key
        method = method if method in METHODS else "other"
        name = (family, route, method, str(status))
        first = self.cells.first(name, SPENT + 1)
        if method != "other":  # what a caller made up is looked up anew each time, and never remembered
            self._first[key] = first
        return first

    def assigned(self, storefront: str, placement: str, reason: str) -> None:
        """A visitor asked what to see, and this is why it was what it was."""
        self._add((ASSIGNMENTS, storefront, placement, reason), 1)

    def wrote(self, given: Intake, outcomes: Sequence[Outcome], spent: int) -> None:
        """Events are durable: which of them were new, and how many nanoseconds their sender waited for that."""
        self._values[self._waits + bisect_left(DURATIONS, spent)] += 1
        self._values[self._waits + SPENT] += spent
        if len(given.exposures) == len(outcomes) == 1 and not given.refused:  # as each recorded assignment writes
            self._values[self._exposure[outcomes[0]]] += 1
            return
        kinds = ("exposure",) * len(given.exposures) + tuple(map(_kind, given.conversions))
        kinds += ("link",) * len(given.links)
        for (kind, outcome), number in Counter(zip(kinds, outcomes, strict=True)).items():
            self._add((EVENTS, kind, outcome), number)
        for refused in given.refused:
            self._add((REJECTED, refused.source, refused.code), 1)

    def committed(self, rows: int) -> None:
        """One transaction wrote so many rows, of one sender or of many."""
        self._values[self._batches + bisect_left(ROWS, rows)] += 1
        self._values[self._batches + WRITTEN] += rows

    def _add(self, name: Name, number: int) -> None:
        first = self._first.get(name)
        if first is None:
            first = self._first[name] = self.cells.first(name)
        self._values[first] += number

    def hold(self, gauge: str, value: int) -> None:
        """What something is at this moment."""
        self._values[self.cells.first((gauge,))] = value


def _kind(conversion: Conversion) -> str:
    return conversion.type if conversion.type in CONVERSIONS else "custom"
