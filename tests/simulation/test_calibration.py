"""Every cell of the calibration table with a few of its tests, and the table that stands in the docs.

Each has a fixed seed and a band of five standard errors, so a red test is a fault and not bad luck.
"""

import re
from pathlib import Path

import pytest

from tests.simulation.calibration import MARKS, cells

PAGE = Path(__file__).parents[2] / "docs" / "STATISTICS.md"
SHARE = 0.1


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.part}: {cell.name}")
def test_the_rate_is_inside_its_band(cell):
    tests, rate = cell.measure(min(SHARE, 160 / cell.tests))
    low, high = cell.band(tests)
    assert low <= rate <= high


def test_the_table_of_the_docs_has_every_cell_inside_its_band():
    """Its numbers come from `python -m tests.simulation.calibration --write docs/STATISTICS.md`."""
    written = PAGE.read_text().split(MARKS[0])[1].split(MARKS[1])[0]
    rows = [line.split("|") for line in written.splitlines() if re.search(r"\d%", line)]
    found = [(row[1].strip(), int(row[2].replace(",", "")), float(row[4].strip().rstrip("%")) / 100) for row in rows]
    assert [name for name, _, _ in found] == [cell.name for cell in cells()]
    for cell, (name, tests, rate) in zip(cells(), found, strict=True):
        low, high = cell.band(tests)
        assert tests == cell.tests
        assert low - 0.0005 <= rate <= high + 0.0005, name
