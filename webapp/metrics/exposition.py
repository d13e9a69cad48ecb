"""What Prometheus reads: the counts of all processes added up, the gauges of each that lives."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from experiments.moment import SECOND, Micros
from webapp.metrics import pulse
from webapp.metrics.cells import Name, Reading
from webapp.metrics.counts import (
    ASSIGNMENTS,
    BATCHES,
    EVENTS,
    REJECTED,
    REQUESTS,
    ROWS,
    SECOND_NS,
    SECONDS,
    WAITS,
)

Totals = dict[Name, tuple[int, ...]]


class Exposition(Collector):
    """The readings of all processes as Prometheus' families."""

    def __init__(self, readings: Sequence[Reading], at: Micros) -> None:
        self._readings, self._at = readings, at

    def registry(self) -> CollectorRegistry:
        """What is written out for one scrape."""
        registry = CollectorRegistry(auto_describe=False)
        PlatformCollector(registry=registry)
        registry.register(self)
        return registry

    def collect(self) -> Iterator[Metric]:
        """Each family."""
        totals = _added(self._readings)
        yield from _requests(totals)
        labels = "storefront placement reason"
        yield _counter(totals, ASSIGNMENTS, "offerlab_assignments", "Decisions, and why.", labels)
        yield _counter(totals, EVENTS, "offerlab_events", "Events written.", "kind outcome")
        yield _counter(totals, REJECTED, "offerlab_rejected_events", "Events put into quarantine.", "source code")
        waits = HistogramMetricFamily("offerlab_commit_wait_seconds", "From an event's arrival to its commit.")
        _add_histogram(waits, (), totals.get((WAITS,)), SECONDS, SECOND_NS)
        batches = HistogramMetricFamily("offerlab_commit_rows", "Rows that one transaction wrote.")
        _add_histogram(batches, (), totals.get((BATCHES,)), ROWS, 1)
        yield from (waits, batches, *self._gauges(), *self._processes())
        built = GaugeMetricFamily("offerlab_build_info", "The version that runs.", labels=["version"])
        built.add_metric([version("offerlab")], 1)
        yield built

    def _gauges(self) -> Iterator[Metric]:
        alive = [reading for reading in self._readings if reading.alive]
        yield GaugeMetricFamily("offerlab_workers", "Processes that serve.", value=len(alive))
        for gauge, (name, described) in GAUGES.items():
            family = GaugeMetricFamily(name, described, labels=["worker"])
            for reading in alive:
                value = reading.values.get((gauge,))
                if value is not None:
                    shown = (self._at - value[0]) / SECOND if gauge == pulse.LOOKED else value[0]
                    family.add_metric([str(reading.number)], max(0, shown))
            yield family

    def _processes(self) -> Iterable[Metric]:
        """Memory, time and files of every process that lives; nothing where there is no /proc."""
        families: dict[str, Metric] = {}
        for reading in self._readings:
            held = reading.values.get((pulse.PID,))
            if not reading.alive or held is None:
                continue
            for family in _process(held[0]):
                kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                kept.samples += [
                    Sample(s.name, {**s.labels, "worker": str(reading.number)}, s.value) for s in family.samples
                ]
        return families.values()


GAUGES = {
    pulse.QUEUED: ("offerlab_commit_queue_rows", "Rows that wait to be written."),
    pulse.REVISION: ("offerlab_snapshot_revision", "The revision that is assigned from."),
    pulse.LOOKED: ("offerlab_snapshot_age_seconds", "Since the database last said that the snapshot is the newest."),
    pulse.UP: ("offerlab_database_up", "1 while the database answers."),
    pulse.STREAMS: ("offerlab_streams_held", "Update streams held open."),
}


def _process(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def _added(readings: Sequence[Reading]) -> Totals:
    totals: Totals = {}
    for reading in readings:
        for name, values in reading.values.items():
            before = totals.get(name)
            totals[name] = values if before is None else tuple(a + b for a, b in zip(before, values, strict=True))
    return totals


def _of(totals: Totals, family: str) -> Iterator[tuple[Name, tuple[int, ...]]]:
    yield from sorted((name[1:], values) for name, values in totals.items() if name[0] == family)


def _counter(totals: Totals, family: str, name: str, described: str, labels: str) -> Metric:
    counter = CounterMetricFamily(name, described, labels=labels.split())
    for values, (count,) in _of(totals, family):
        counter.add_metric(values, count)
    return counter


def _requests(totals: Totals) -> Iterator[Metric]:
    """One family of cells, shown twice: how many by status, and how long they took whatever the status."""
    answered = CounterMetricFamily("offerlab_http_requests", "Requests answered.", labels=["route", "method", "status"])
    took = HistogramMetricFamily(
        "offerlab_http_request_duration_seconds", "Until the answer's first byte.", labels=["route", "method"]
    )
    by_route: dict[Name, tuple[int, ...]] = {}
    for labels, cells in _of(totals, REQUESTS):
        answered.add_metric(labels, sum(cells[:-1]))
        before = by_route.get(labels[:2], (0,) * len(cells))
        by_route[labels[:2]] = tuple(a + b for a, b in zip(before, cells, strict=True))
    for labels, cells in by_route.items():
        _add_histogram(took, labels, cells, SECONDS, SECOND_NS)
    yield from (answered, took)


def _add_histogram(
    family: HistogramMetricFamily, labels: Name, cells: tuple[int, ...] | None, ends: Sequence[float], unit: int
) -> None:
    """Counts by range and their sum, as Prometheus has it: each range holds those below it."""
    *counts, total = cells or (0,) * (len(ends) + 2)
    buckets, reached = [], 0
    for end, count in zip((*map(str, map(float, ends)), "+Inf"), counts, strict=True):
        reached += count
        buckets.append((end, float(reached)))
    family.add_metric(labels, buckets, total / unit)
