"""How fast assignments are over HTTP: against a bare Flask route on the same server, in interleaved rounds.

Needs wrk (Debian's package of that name). Run: .venv/bin/python -m tests.benchmarks.serving [rounds]
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from flask import Flask, Response, jsonify, request

from experiments.storage.database import connect, upgrade
from tests.serving import add_tenant, free_port, start_server
from tests.shop import experiment

WORKERS = 2

LUA = """
local counter = 0
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
request = function()
  counter = counter + 1
  local body = string.format('{{"visitor_id":"v%d-%d-%d",{rest}}}', {salt}, id, counter)
  return wrk.format("POST", "{path}", {{["Content-Type"]="application/json",["Authorization"]="Bearer {key}"}}, body)
end
"""
HERE = '"attributes":{"country":"DE"},"context":{"product_id":"A1","cart":[]}'
ASKED = f'"placement":"cart",{HERE},"record":false'
RECORDED = f'"placement":"cart",{HERE},"record":true'
REPORTED = f'"experiment":"offers","variant":"upsell","kind":"assigned",{HERE}'
"""What the body says besides of whom."""

ANSWER = {
    "placement": "cart", "visitor_id": "v1", "experiment": "offers", "variant": "bundle", "in_experiment": True,
    "reason": "assigned", "offer": {"type": "bundle", "offer_id": "of_0123456789abcdef0123", "price": "17.55",
    "regular_price": "19.50", "saving": "1.95", "currency": "EUR", "products": [
        {"product_id": "A2", "title": "Big mug", "price": "14.00", "quantity": 1, "url": "", "image": ""},
        {"product_id": "B1", "title": "Tea", "price": "5.50", "quantity": 1, "url": "", "image": ""}]},
}  # fmt: skip


def bare() -> Flask:
    """The least that Flask does: read the JSON, answer JSON of the same size."""
    app = Flask("bare")

    @app.post("/bare")
    def answer() -> Response:
        return jsonify(ANSWER | {"visitor_id": request.get_json()["visitor_id"]})

    return app


def start_bare() -> tuple[subprocess.Popen[bytes], str]:
    """The bare route on the same server with the same settings."""
    port = free_port()
    code = (
        "from granian import Granian; from granian.constants import Interfaces; from granian.log import LogLevels; "
        f"Granian('tests.benchmarks.serving:bare', port={port}, interface=Interfaces.WSGI, workers={WORKERS}, "
        "blocking_threads=32, backpressure=512, factory=True, log_level=LogLevels.error).serve()"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            requests.get(url, timeout=1)
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    return process, url


def measure(url: str, script: str, connections: int, seconds: int = 4) -> tuple[float, float, float]:
    """Requests per second, p50 and p99 in milliseconds; no answer may be an error."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", file.name, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p50, p99 = (re.search(rf"{q}%\s+([\d.]+)(us|ms|s)", said) for q in (50, 99))
    assert rate
    assert p50
    assert p99
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    return float(rate[1]), float(p50[1]) * unit[p50[2]], float(p99[1]) * unit[p99[2]]


def main(rounds: int = 5) -> None:
    """Print a table of medians and ratios."""
    with tempfile.TemporaryDirectory() as directory:
        database_url = f"sqlite:///{directory}/bench.sqlite"
        engine = connect(database_url)
        upgrade(engine)
        engine.dispose()
        server = start_server(database_url, Path(directory), workers=WORKERS)
        tenant = add_tenant(server, "bench")
        tenant.admin.post("/api/v1/experiments", experiment())
        tenant.admin.post("/api/v1/experiments/offers/start")
        process, bare_url = start_bare()
        time.sleep(0.5)
        cases = {
            "bare Flask route": (bare_url, "/bare", ASKED),
            "assignment, record false": (server.url, "/v1/assignments", ASKED),
            "assignment, recorded": (server.url, "/v1/assignments", RECORDED),
            "exposure, one event": (server.url, "/v1/exposures", REPORTED),
        }
        found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
        try:
            for number in range(rounds):
                for connections in (16, 64):
                    for case, (name, (url, path, rest)) in enumerate(cases.items()):
                        salt = number * 10_000 + connections * 10 + case  # nobody is met twice
                        script = LUA.format(path=path, key=tenant.public.key, rest=rest, salt=salt)
                        found.setdefault((name, connections), []).append(measure(url, script, connections))
        finally:
            process.terminate()
            process.wait(10)
            server.stop()
    print("| case | connections | requests/s (median) | p50 ms | p99 ms | ratio to bare Flask |")
    print("|---|---|---|---|---|---|")
    for (name, connections), runs in found.items():
        rate, p50, p99 = (statistics.median(column) for column in zip(*runs, strict=True))
        ratios = [r[0] / b[0] for r, b in zip(runs, found["bare Flask route", connections], strict=True)]
        print(f"| {name} | {connections} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
