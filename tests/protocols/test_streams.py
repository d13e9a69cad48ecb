"""Event streams: held without starving requests, told of every change within two seconds, opened by short tokens."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import sqlite_copy
from tests.protocols.starting import act, settle, start
from tests.serving import Server, Tenant, add_tenant, start_server
from tests.shop import a_a
from webapp.config import Settings
from webapp.errors import Unauthorized
from webapp.lab import Lab
from webapp.protocols.streams import RESERVED, TOKEN_FOR, Streams

MANY = 150


class Stream:
    """An event stream, read from its socket."""

    def __init__(self, tenant: Tenant, path: str, **headers: str) -> None:
        host, port = tenant.public.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.text = ""

    def until(self, wanted: str) -> str:
        """What has come, once it contains this."""
        while wanted not in self.text:
            more = self.socket.recv(65536)
            if not more:
                raise AssertionError(f"the stream ended: {self.text}")
            self.text += more.decode()
        return self.text

    def forget(self) -> None:
        """Start afresh."""
        self.text = ""


@pytest.fixture
def opened(tenant: Tenant) -> Iterator[Callable[..., Stream]]:
    made: list[Stream] = []

    def open_one(path: str, **headers: str) -> Stream:
        made.append(Stream(tenant, path, **headers))
        return made[-1]

    yield open_one
    for stream in made:
        stream.socket.close()


def address(tenant: Tenant) -> str:
    answer = tenant.public.post("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "v1"}}).json()
    [entry] = answer["eventStreams"]
    assert (entry["type"], entry["inactivityDelaySec"]) == ("sse", 120)
    path: str = entry["endpoint"]["requestUri"]
    return path


def test_many_idle_streams_do_not_starve_requests_and_all_hear_of_a_change(
    tenant: Tenant, opened: Callable[..., Stream]
) -> None:
    start(tenant, a_a())
    paths = (address(tenant), f"/sub/{tenant.public.key}")
    streams = [opened(paths[i % 2]) for i in range(MANY)]
    for stream in streams:
        stream.until("\n\n")
        stream.forget()
    for i in range(50):
        body = {"visitor_id": f"v{i}", "placement": "cart"}
        assert tenant.public.post("/v1/assignments", body).status_code == 200
    act(tenant, "same", "pause")
    changed_at = time.monotonic()
    for i, stream in enumerate(streams):
        told = stream.until('"refetchEvaluation"' if i % 2 == 0 else "event: features")
        assert "event: message" in told or "event: features" in told
    assert time.monotonic() - changed_at < 4  # two seconds are promised; the next heartbeat, after five, would not do


def test_openfeatures_message_is_as_its_specification_has_it(tenant: Tenant, opened: Callable[..., Stream]) -> None:
    start(tenant, a_a())
    stream = opened(address(tenant))
    first = stream.until("\n\n\r\n")
    assert "HTTP/1.1 200" in first
    assert "text/event-stream" in first
    assert "event:" not in first  # nothing has changed
    stream.forget()
    act(tenant, "same", "pause")
    told = stream.until("}\n\n")
    fields = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    assert fields["event"] == "message"
    data = json.loads(fields["data"])
    assert data["type"] == "refetchEvaluation"
    assert data["etag"] == fields["id"]
    assert abs(data["lastModified"] - time.time_ns() / 1e9) < 60


def test_a_stream_needs_no_header_but_a_token_that_is_ours(tenant: Tenant) -> None:
    path = address(tenant)
    for wrong in ("", "x", path.partition("token=")[2][:-2] + "xx"):
        answer = requests.get(f"{tenant.public.url}/ofrep/v1/stream", params={"token": wrong}, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


def test_the_address_is_the_same_for_a_while_and_then_opens_nothing(sqlite_url: str) -> None:
    """A provider opens another stream for another address, so it must not change with every answer."""
    lab = Lab(Settings(database_url=sqlite_url, secret_key="test"))
    streams = Streams(lab, 1)
    issued: Any = 5 * TOKEN_FOR
    token = streams.address(1, issued).partition("token=")[2]  # type: ignore[arg-type]
    assert streams.address(1, issued + TOKEN_FOR - 1).endswith(token)  # type: ignore[arg-type]
    assert not streams.address(1, issued + TOKEN_FOR).endswith(token)  # type: ignore[arg-type]
    with pytest.raises(Unauthorized, match="too old"):
        streams.opened_by(token, issued + 2 * TOKEN_FOR)
    lab.close()


def test_one_who_comes_back_hears_what_was_missed(tenant: Tenant, opened: Callable[..., Stream]) -> None:
    start(tenant, a_a())
    subscription, path = f"/sub/{tenant.public.key}", address(tenant)
    first = opened(subscription).until("event: features")
    seen = next(line[4:] for line in first.splitlines() if line.startswith("id: "))
    again = opened(subscription, **{"Last-Event-ID": seen}).until("\n\n\r\n")
    assert "event: features" not in again  # it has that
    assert "event: features" in opened(subscription, **{"Last-Event-ID": "older"}).until("}\n\n")
    assert "refetchEvaluation" in opened(path, **{"Last-Event-ID": "older"}).until("}\n\n")


def test_where_no_more_can_be_held_browsers_return_and_servers_are_held(template: Path, tmp_path: Path) -> None:
    """An EventSource comes back after `retry`; other clients come back at once, for ever, so they have places kept."""
    server = start_server(sqlite_copy(template, tmp_path), tmp_path, workers=1, OFFERLAB_STREAMS="1")
    browser = {"Accept": "text/event-stream"}
    try:
        full = add_tenant(server, "full")
        path = f"/sub/{full.public.key}"
        held = Stream(full, path, **browser)
        assert "event: features" in held.until("event: features")
        for _ in range(3):
            turned_away = requests.get(server.url + path, headers=browser, timeout=10)  # it ends
            assert turned_away.text.startswith("retry: 1500\nid: ")
            assert "event: features" in turned_away.text
        kept = [Stream(full, path) for _ in range(RESERVED)]
        for stream in kept:
            stream.until("event: features")
        refused = requests.get(server.url + path, timeout=10)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        for stream in (held, *kept):
            stream.socket.close()
        settle(lambda: is_held(server.url + path))  # their places are free again
        close(full)
    finally:
        assert server.stop() == 0


def is_held(url: str) -> bool:
    with requests.get(url, timeout=10, stream=True) as answer:
        return answer.ok


def test_a_stop_ends_the_streams_at_once(template: Path, tmp_path: Path) -> None:
    server = start_server(sqlite_copy(template, tmp_path), tmp_path, workers=1)
    shop = add_tenant(server, "stopping")
    streams = [Stream(shop, f"/sub/{shop.public.key}") for _ in range(5)]
    for stream in streams:
        stream.until("event: features")
    stopped_at = time.monotonic()
    assert server.stop() == 0, server.log.read_text()
    assert time.monotonic() - stopped_at < 15  # it would be killed after 20
    for stream in streams:
        stream.socket.close()
    close(shop)


def close(tenant: Tenant) -> None:
    for client in (tenant.public, tenant.secret, tenant.admin):
        client.session.close()
    tenant.engine.dispose()


def test_the_server_says_nothing_worrying(server: Server) -> None:
    assert "Error" not in server.log.read_text()
    settle(lambda: requests.get(f"{server.url}/livez", timeout=10).ok)
