"""Whether a serving process grows: resident memory while it answers a million assignments of different visitors.

Needs wrk (Debian's package of that name). Run: .venv/bin/python -m tests.benchmarks.memory [thousands of requests]
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from experiments.storage.database import connect, upgrade
from tests.benchmarks.serving import ASKED, LUA
from tests.serving import add_tenant, start_server
from tests.shop import experiment

SECONDS = 10
TENTHS = 10


def children(pid: int) -> list[int]:
    """The process and all that it started."""
    said = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in said for found in children(int(child)))]


def resident(pids: list[int]) -> float:
    """Megabytes that the processes hold."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return sum(pages) * 4096 / 1e6


def main(thousands: int = 1000) -> None:
    """Print the memory at every tenth of the way."""
    with tempfile.TemporaryDirectory() as directory:
        database_url = f"sqlite:///{directory}/memory.sqlite"
        engine = connect(database_url)
        upgrade(engine)
        engine.dispose()
        server = start_server(database_url, Path(directory), workers=2)
        tenant = add_tenant(server, "memory")
        tenant.admin.post("/api/v1/experiments", experiment())
        tenant.admin.post("/api/v1/experiments/offers/start")
        answered, tenth, turn = 0, 0, 0
        print("| assignments answered | resident, all processes, MB |\n|---|---|")
        try:
            while tenth <= TENTHS:
                script = Path(directory) / f"{turn}.lua"
                script.write_text(LUA.format(path="/v1/assignments", key=tenant.public.key, rest=ASKED, salt=turn))
                command = ["wrk", "-t1", "-c32", f"-d{SECONDS}s", "-s", str(script), server.url]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                if "Non-2xx" in said or not (found := re.search(r"(\d+) requests in", said)):
                    raise RuntimeError(said)
                answered, turn = answered + int(found[1]), turn + 1
                if answered >= tenth * thousands * 1000 / TENTHS:
                    print(f"| {answered:,} | {resident(children(server.process.pid)):,.0f} |", flush=True)
                    tenth = int(answered / (thousands * 1000 / TENTHS)) + 1
        finally:
            server.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
