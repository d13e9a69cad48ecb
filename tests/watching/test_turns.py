"""One process watches: of several at once one, and after its death another, as soon as its lease has run out."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from experiments.errors import Unavailable
from experiments.moment import SECOND, Micros
from experiments.service.settings import create_key
from experiments.storage.alerts import alerts
from experiments.storage.database import connect, reading, writing
from experiments.storage.leases import give_back, holder_of, take
from tests.serving import Client, start_server
from tests.shop import NOW, Shop, a_a, open_shop
from tests.watching.receivers import web_server
from tests.watching.worlds import at, run
from webapp.clock import now
from webapp.lab import new_token
from webapp.watching.watcher import LEASE, WATCH_EVERY, Turns, take_turn


class Clock:
    def __init__(self, now: Micros) -> None:
        self.now = now

    def __call__(self) -> Micros:
        return self.now


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


def turns(shop: Shop, clock: Clock, holder: str) -> Turns:
    return Turns(shop.engine, lambda message, now: None, clock, holder=holder)


def told(shop: Shop) -> list[str]:
    with reading(shop.engine) as conn:
        return [a.kind for a in alerts(conn, shop.storefront.id)]


def test_of_many_who_try_at_once_one_has_the_lease(engine: Engine) -> None:
    def attempt(name: str) -> bool:
        with writing(engine) as conn:
            return take(conn, "watch", name, Micros(NOW + LEASE), NOW)

    names = [f"p{i}" for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        first = [name for name, got in zip(names, pool.map(attempt, names), strict=True) if got]
    assert len(first) == 1
    with writing(engine) as conn:
        give_back(conn, "watch", first[0], NOW)
        assert holder_of(conn, "watch") == (first[0], NOW)
    with ThreadPoolExecutor(8) as pool:
        second = [name for name, got in zip(names, pool.map(attempt, names), strict=True) if got]
    assert len(second) == 1


def test_another_takes_over_when_the_lease_of_a_dead_one_has_run_out(shop: Shop) -> None:
    clock = Clock(at(0.1))
    first, second = turns(shop, clock, "first"), turns(shop, clock, "second")
    run(shop)
    assert first.take()
    assert not second.take()
    run(shop, "later")
    clock.now = Micros(clock.now + LEASE - SECOND)
    assert not second.take(), "the first may still be alive"
    assert told(shop) == ["started"]
    clock.now = Micros(clock.now + SECOND)
    assert second.take()
    assert not first.take(), "back from the dead, it is not the one any more"
    assert told(shop) == ["started", "started"]


def test_a_living_holder_keeps_it_and_one_that_ends_gives_it_back(shop: Shop) -> None:
    clock = Clock(at(0.1))
    first, second = turns(shop, clock, "first"), turns(shop, clock, "second")
    for _ in range(10):
        assert first.take()
        clock.now = Micros(clock.now + LEASE // 3)
        assert not second.take()
    first.end()
    assert second.take()


def test_it_looks_once_a_minute_and_goes_on_after_a_failure(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(at(0.1))
    mine = turns(shop, clock, "me")
    assert mine.take()
    run(shop)
    clock.now = Micros(clock.now + WATCH_EVERY - SECOND)
    assert take_turn(mine) == ""
    assert told(shop) == []

    class Away:
        def take(self) -> bool:
            raise Unavailable("The database does not answer")

    said = take_turn(Away())  # type: ignore[arg-type]  # it takes turns
    assert take_turn(Away(), said) == said  # type: ignore[arg-type]  # it takes turns
    assert caplog.text.count("the watch waits") == 1, "said once, not at every turn"
    clock.now = Micros(clock.now + SECOND)
    assert take_turn(mine, said) == ""
    assert told(shop) == ["started"]


def eventually(shop: Shop, kind: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        if kind in told(shop):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(log.read_text())


def test_a_server_watches_by_itself(sqlite_url: str, tmp_path: Path) -> None:
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    shop.define(a_a("same"), now=now())
    server = start_server(sqlite_url, tmp_path, workers=2)
    try:
        eventually(shop, "started", server.process, server.log)
    finally:
        assert server.stop() == 0
    assert told(shop) == ["started"]
    engine.dispose()


def test_the_command_watches_once_or_until_it_is_told_to_end(sqlite_url: str, tmp_path: Path) -> None:
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    shop.define(a_a("same"), now=now())
    command = [sys.executable, "-m", "webapp.cli", "watch", "--database", sqlite_url]
    once = subprocess.run([*command, "--once"], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert once.returncode == 0, once.stderr
    assert told(shop) == ["started"]
    shop.define(a_a("more"), now=now())
    log = tmp_path / "watch.log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out) as process:
        for _ in range(600):
            if told(shop) == ["started", "started"]:
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert told(shop) == ["started", "started"]
    with reading(engine) as conn:
        held = holder_of(conn, "watch")
    assert held is not None
    assert held[1] <= now(), "who ends gives the lease back"
    engine.dispose()


def test_a_server_sends_what_a_request_left_for_it(sqlite_url: str, tmp_path: Path) -> None:
    """The whole way: a test asked for over the API is posted by the server's watch, not by the request."""
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    with writing(engine) as conn:
        key = create_key(conn, shop.storefront.id, "admin", new_token(), now(), "test")
    with web_server(200) as got:
        server = start_server(sqlite_url, tmp_path, OFFERLAB_PRIVATE_WEBHOOKS="1")
        client = Client(server.url, key)
        try:
            changed = client.call("PATCH", "/api/v1/alerts/settings", {"webhook_url": got.url})
            assert changed.ok, changed.text
            assert client.post("/api/v1/alerts/test").json() == {"messages": 1}
            for _ in range(600):
                if got.posts:
                    break
                time.sleep(0.1)
        finally:
            client.session.close()
            assert server.stop() == 0
    ((headers, body),) = got.posts
    assert json.loads(body)["type"] == "test"
    assert headers["webhook-signature"].startswith("v1,")
    engine.dispose()


def test_a_watch_that_is_killed_keeps_nobody_for_longer_than_its_lease(sqlite_url: str, tmp_path: Path) -> None:
    engine = connect(sqlite_url)
    shop = open_shop(engine)
    shop.define(a_a("same"), now=now())
    command = [sys.executable, "-m", "webapp.cli", "watch", "--database", sqlite_url]
    log = tmp_path / "watch.log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out) as process:
        eventually(shop, "started", process, log)
        process.kill()
        process.wait(60)
    with reading(engine) as conn:
        held = holder_of(conn, "watch")
    assert held is not None
    killed, until = held
    assert until <= now() + LEASE, "it is never held for longer than that"
    shop.define(a_a("more"), now=now())
    after = Clock(Micros(until - SECOND))
    assert not turns(shop, after, "next").take(), "nobody knows yet that it is dead"
    after.now = until
    assert turns(shop, after, "next").take()
    assert told(shop) == ["started", "started"]
    with reading(engine) as conn:
        held = holder_of(conn, "watch")
    assert held is not None
    assert (held[0], killed != "next") == ("next", True)
    engine.dispose()
