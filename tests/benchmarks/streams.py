"""What held event streams cost the requests beside them: wrk with none and with 500, on the real server.

Run: python -m tests.benchmarks.streams [streams]. It needs wrk.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments.storage.database import connect, upgrade
from tests.protocols.starting import act, start
from tests.serving import Tenant, add_tenant, start_server
from tests.shop import a_a

SECONDS = 5


def load(tenant: Tenant, directory: Path, *, record: bool) -> str:
    """Requests a second and the slowest hundredth, at 64 connections."""
    body = json.dumps({"visitor_id": "VISITOR", "placement": "cart", "record": record})
    script = directory / "load.lua"
    script.write_text(
        f"wrk.method = 'POST'; wrk.headers['Authorization'] = 'Bearer {tenant.secret.key}'\n"
        "wrk.headers['Content-Type'] = 'application/json'\n"
        "math.randomseed(os.time()); local n = math.random(1000000000)\n"
        f"request = function() n = n + 1; return wrk.format(nil, nil, nil, ('{body}'):gsub('VISITOR', 'v' .. n)) end\n"
    )
    command = [
        "wrk",
        "-t1",
        "-c64",
        f"-d{SECONDS}s",
        "--latency",
        "-s",
        str(script),
        f"{tenant.secret.url}/v1/assignments",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate, slowest = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"99%\s+(\S+)", said)
    return f"{float(rate[1]):,.0f} a second, p99 {slowest[1]}" if rate and slowest else said


def hold(tenant: Tenant, count: int) -> list[socket.socket]:
    """So many streams, each of which has greeted."""
    host, port = tenant.public.url.removeprefix("http://").split(":")
    streams = []
    for _ in range(count):
        stream = socket.create_connection((host, int(port)), timeout=30)
        stream.sendall(
            f"GET /sub/{tenant.public.key} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        streams.append(stream)
    for stream in streams:
        read_until(stream, b"}\n\n")
    return streams


def read_until(stream: socket.socket, wanted: bytes) -> None:
    """Read until it has come."""
    text = b""
    while wanted not in text:
        text += stream.recv(65536)


def resident(pid: int) -> float:
    """Megabytes of a process and its children."""
    pids = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    sizes = subprocess.run(
        ["ps", "-o", "rss=", "-p", ",".join([str(pid), *pids])], capture_output=True, text=True, check=True
    )
    return sum(map(int, sizes.stdout.split())) / 1024


def main(count: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url = f"sqlite:///{directory}/benchmark.sqlite"
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        server = start_server(url, directory, workers=2)
        try:
            tenant = add_tenant(server, "shop")
            start(tenant, a_a())
            for held in (0, count, 0, count):
                streams = hold(tenant, held)
                size = resident(server.process.pid)
                plain, recorded = load(tenant, directory, record=False), load(tenant, directory, record=True)
                print(f"{held} streams, {size:,.0f} MB: unrecorded {plain}; recorded {recorded}")
                if streams:
                    act(tenant, "same", "pause")
                    since = time.monotonic()
                    for stream in streams:
                        read_until(stream, b"}\n\n")
                    print(f"  a change reached the last of them after {time.monotonic() - since:.2f} s")
                    act(tenant, "same", "resume")
                    for stream in streams:
                        stream.close()
                    time.sleep(1)
            tenant.engine.dispose()
        finally:
            server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
