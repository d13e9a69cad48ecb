"""Error rates of every kind of metric and option, as a table: `python -m tests.simulation.calibration` prints it.

With `--write docs/STATISTICS.md` it replaces the table that stands there between its two marks. The suite runs the same
cells with fewer tests, and holds them to the same bands.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator, default_rng

SEED = 20_261_122
MARKS = ("<!-- calibration: begin -->", "<!-- calibration: end -->")


@dataclass(frozen=True)
class Cell:
    """A rate that is simulated: what it should be, and whether it may be lower."""

    part: str
    name: str
    tests: int
    nominal: float
    bound: Literal["equal", "at most", "not ours"]
    rate: Callable[[Generator, int], float]

    def band(self, tests: int) -> tuple[float, float]:
        """Where chance allows it to be: five standard errors about nominal, or below; anywhere if it is not ours."""
        if self.bound == "not ours":
            return 0.0, 1.0
        reach = 5 * np.sqrt(self.nominal * (1 - self.nominal) / tests)
        return (0.0 if self.bound == "at most" else max(self.nominal - reach, 0.0), self.nominal + reach)

    def measure(self, share: float = 1.0) -> tuple[int, float]:
        """Tests run, and the rate: the same seed for the same cell, whatever else is run."""
        tests = max(int(self.tests * share), 40)
        return tests, float(self.rate(default_rng([SEED, *self.name.encode()]), tests))


def cells() -> list[Cell]:
    """All cells, in the order of the table."""
    from tests.simulation import calibrated_families, calibrated_looks, calibrated_tests

    return [*calibrated_tests.CELLS, *calibrated_looks.CELLS, *calibrated_families.CELLS]


def table() -> str:
    """The table as Markdown, with every rate and its band."""
    lines = ["| what | tests | nominal | measured | allowed |", "|---|---|---|---|---|"]
    part = None
    for cell in cells():
        if cell.part != part:
            part = cell.part
            lines.append(f"| **{part}** | | | | |")
        tests, rate = cell.measure()
        low, high = cell.band(tests)
        allowed = {"equal": f"{low:.1%} to {high:.1%}", "at most": f"up to {high:.1%}"}.get(cell.bound, "not used")
        lines.append(f"| {cell.name} | {tests:,} | {cell.nominal:.3g} | {rate:.1%} | {allowed} |")
        sys.stderr.write(f"{cell.part}: {cell.name}: {rate:.2%}\n")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    page = parser.parse_args().write
    found = f"{MARKS[0]}\n\n{table()}\n\n{MARKS[1]}"
    if page is None:
        sys.stdout.write(found + "\n")
        return
    text = page.read_text()
    before, rest = text.split(MARKS[0], 1)
    page.write_text(before + found + rest.split(MARKS[1], 1)[1])


if __name__ == "__main__":
    main()
