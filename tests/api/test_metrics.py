"""What Prometheus reads: true counts of all workers, bounded names, nobody's id."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from tests.conftest import sqlite_copy
from tests.serving import Server, Tenant, add_tenant, start_server
from tests.shop import a_a, order
from webapp.metrics.cells import CELLS, SCRATCH, Cells, readings
from webapp.metrics.counts import UNKNOWN, Counts
from webapp.metrics.exposition import Exposition
from webapp.metrics.serving import route_of

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: Server) -> Samples:
    text = requests.get(f"{server.url}/metrics", timeout=30).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in classic(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def telling(found: Samples) -> set[str]:
    """The workers that say how they are."""
    return {dict(labels)["worker"] for name, labels in found if name == "offerlab_snapshot_age_seconds"}


def until(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to hold")


def ask(tenant: Tenant, visitor: str, placement: str = "cart") -> requests.Response:
    """Each over a connection of its own, so that all workers get some."""
    headers = {"X-API-Key": tenant.secret.key}
    body = {"visitor_id": visitor, "placement": placement}
    return requests.post(f"{tenant.secret.url}/v1/assignments", json=body, headers=headers, timeout=30)


def serving(tenant: Tenant) -> None:
    assert tenant.admin.post("/api/v1/experiments", a_a()).status_code == 201
    assert tenant.admin.post("/api/v1/experiments/same/start").status_code == 200
    until(lambda: all(ask(tenant, "probe").json()["reason"] == "assigned" for _ in range(6)))


def test_one_scrape_tells_of_all_workers_exactly(template: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = start_server(sqlite_copy(template, tmp_path), tmp_path, workers=2, TMPDIR=str(temporary))
    try:
        tenant = add_tenant(server, "shop")
        serving(tenant)
        until(lambda: telling(scrape(server)) == {"0", "1"})
        before = scrape(server)
        asked = [ask(tenant, f"secret-visitor-{i}") for i in range(40)]
        asked += [ask(tenant, "secret-visitor-1", "made-up-by-a-caller")]
        assert all(answer.ok for answer in asked)
        tenant.secret.post("/v1/conversions", [order("o1", "v1", "9.00"), order("o1", "v1", "9.00"), {"type": "order"}])
        requests.get(f"{server.url}/nowhere/secret-visitor-1", timeout=30)
        after = scrape(server)

        def grew(name: str, **labels: str) -> float:
            return value(after, name, **labels) - value(before, name, **labels)

        hot = {"route": "/v1/assignments", "method": "POST"}
        assert grew("offerlab_http_requests_total", status="200", **hot) == 41
        assert grew("offerlab_http_request_duration_seconds_count", **hot) == 41
        assert grew("offerlab_http_request_duration_seconds_bucket", le="+Inf", **hot) == 41
        assert grew("offerlab_http_requests_total", route=UNKNOWN, method="GET", status="404") == 1
        assert grew("offerlab_assignments_total", storefront="shop", placement="cart", reason="assigned") == 40
        assert grew("offerlab_assignments_total", storefront="shop", placement=UNKNOWN, reason="no_experiment") == 1
        assert grew("offerlab_events_total", kind="exposure", outcome="accepted") == 40
        assert grew("offerlab_events_total", kind="order", outcome="accepted") == 1
        assert grew("offerlab_events_total", kind="order", outcome="duplicate") == 1
        assert grew("offerlab_rejected_events_total", source="conversions", code="invalid") == 1
        assert grew("offerlab_commit_rows_sum") == 43
        assert 0 < grew("offerlab_commit_rows_count") <= 41
        assert grew("offerlab_commit_wait_seconds_count") == 41
        assert value(after, "offerlab_workers") == 2
        for worker in telling(after):
            assert value(after, "offerlab_database_up", worker=worker) == 1
            assert 0 <= value(after, "offerlab_snapshot_age_seconds", worker=worker) < 30
            assert value(after, "offerlab_snapshot_revision", worker=worker) > 0
            assert value(after, "process_resident_memory_bytes", worker=worker) > 1_000_000
        text = requests.get(f"{server.url}/metrics", timeout=30).text
        for private in ("secret-visitor", "made-up-by-a-caller", *(c.key for c in (tenant.public, tenant.admin))):
            assert private not in text
    finally:
        assert server.stop() == 0
    assert not list(temporary.iterdir())


def test_a_dead_workers_counts_stand_and_its_gauges_do_not(template: Path, tmp_path: Path) -> None:
    directory = tmp_path / "counts"
    directory.mkdir()
    server = start_server(
        sqlite_copy(template, tmp_path), tmp_path, workers=1, OFFERLAB_METRICS_DIR=str(directory)
    )  # fmt: skip
    try:
        requests.get(f"{server.url}/livez", timeout=30)
        before = scrape(server)
        [(pid,)] = [reading.values["pid",] for reading in readings(directory)]
        os.kill(pid, 9)

        def renewed() -> bool:
            try:
                found = [reading.values.get(("pid",)) for reading in readings(directory) if reading.alive]
                return found not in ([], [(pid,)]) and requests.get(f"{server.url}/livez", timeout=5).ok
            except requests.RequestException:
                return False

        until(renewed)
        after = scrape(server)
        livez = {"route": "/livez", "method": "GET", "status": "200"}
        assert value(after, "offerlab_http_requests_total", **livez) > value(
            before, "offerlab_http_requests_total", **livez
        )
        assert value(after, "offerlab_workers") == 1
        assert len(list(directory.glob("*.cells"))) == 1
    finally:
        assert server.stop() == 0
    [left] = readings(directory)
    assert not left.alive
    shown = {family.name for family in Exposition([left], left.values["looked",][0]).collect() if family.samples}
    assert "offerlab_http_requests" in shown
    assert "offerlab_database_up" not in shown


def test_both_formats_are_what_their_own_parsers_read(server: Server) -> None:
    plain = requests.get(f"{server.url}/metrics", timeout=30)
    assert plain.headers["Content-Type"].startswith("text/plain")
    names = {family.name for family in classic(plain.text)}
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    told = requests.get(f"{server.url}/metrics", headers=asked, timeout=30)
    assert told.headers["Content-Type"].startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(told.text)} >= {"offerlab_http_requests", "offerlab_workers"}
    assert {"offerlab_http_requests", "offerlab_commit_rows", "offerlab_build_info"} <= names


def test_counting_in_threads_loses_nothing(tmp_path: Path) -> None:
    counts = Counts(tmp_path)

    def work() -> None:
        for i in range(5_000):
            counts.answered("/v1/assignments", "POST", 200, 0 if i % 2 else time.perf_counter_ns())
            counts.committed(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = counts.cells.read().values
    assert sum(found["requests", "/v1/assignments", "POST", "200"][:-1]) == 40_000
    assert found["batches",][-1] == 40_000


def test_cells_are_taken_over_read_back_and_bounded(tmp_path: Path) -> None:
    first = Cells(tmp_path)
    counted = {("family", f"label {i}"): 1 + i % 8 for i in range(50)}
    for name, size in counted.items():
        first.values[first.first(name, size) + size - 1] += 5
    second = Cells(tmp_path)
    assert (first.number, second.number) == (0, 1)
    expected = {name: (*(0,) * (size - 1), 5) for name, size in counted.items()}
    assert [reading.values for reading in readings(tmp_path)] == [expected, {}]
    assert all(reading.alive for reading in readings(tmp_path))
    left = first.number
    os.close(first._file)
    del first
    third = Cells(tmp_path)
    assert third.number == left
    assert third.read().values == expected
    assert third.first(("family", "label 7"), counted["family", "label 7"]) < CELLS - SCRATCH
    assert third.first(("too", "large"), CELLS) == CELLS - SCRATCH


def test_what_callers_make_up_never_becomes_a_name() -> None:
    counts = Counts()
    for i in range(500):
        counts.answered(UNKNOWN, f"METHOD{i}", 405, 0)
    names = [name for name in counts.cells.read().values if name[0] == "requests"]
    assert names == [("requests", UNKNOWN, "other", "405")]


def test_routes_are_named_as_the_description_names_them() -> None:
    assert route_of("/api/v1/products/<path:product_id>/versions") == "/api/v1/products/{product_id}/versions"
    assert route_of("/x/<any(close, stop):action>/<int:number>") == "/x/{action}/{number}"
