"""How soon the system lets a woken thread run: at once in place of another, or when that one has had its turn.

Under load a server's threads wake each other for every request, and each that is put in another's place costs both.
On Linux a thread may say that it can wait; elsewhere, and where a sandbox forbids it, nothing changes.
"""

import os
import sys
from contextlib import suppress


def patient() -> None:
    """From here on this thread, and all that it starts, run when their turn comes."""
    if sys.platform == "linux":
        _change(os.SCHED_OTHER, os.SCHED_BATCH)


def prompt() -> None:
    """From here on this thread runs as soon as it is woken: for one that others wait for."""
    if sys.platform == "linux":
        _change(os.SCHED_BATCH, os.SCHED_OTHER)


def _change(usual: int, policy: int) -> None:
    with suppress(OSError):
        if os.sched_getscheduler(0) == usual:  # anything else is an operator's wish
            os.sched_setscheduler(0, policy, os.sched_param(0))
