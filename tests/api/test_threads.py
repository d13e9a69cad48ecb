"""A worker's threads wait for their turn of the processor, but for the one for whom all others wait."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.serving import Server, Tenant
from tests.shop import order

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread say so")


def prompt_threads(pid: int) -> int:
    """How many threads of a process run as soon as they are woken."""
    number = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # ended since
            number += os.sched_getscheduler(int(task.name)) != os.SCHED_BATCH
    return number


def test_only_the_thread_that_writes_runs_as_soon_as_it_is_woken(server: Server, tenant: Tenant) -> None:
    workers = [child.pid for child in psutil.Process(server.process.pid).children() if child.num_threads() > 4]
    assert len(workers) == 2
    seen = {pid: set[int]() for pid in workers}
    for number in range(40):  # each over a connection of its own, so that both workers write
        assert tenant.secret.post("/v1/conversions", order(f"o{number}", "v", 5)).status_code == 200
        tenant.secret.session.close()
        for pid, numbers in seen.items():
            numbers.add(prompt_threads(pid))
    assert {pid: numbers - {0} for pid, numbers in seen.items()} == {pid: {1} for pid in workers}
