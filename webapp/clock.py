"""The one clock: everything below takes `now` as an argument."""

import time

from experiments.moment import Micros


def now() -> Micros:
    """Microseconds since 1970 in UTC."""
    return Micros(time.time_ns() // 1000)
