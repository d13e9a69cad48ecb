"""The rows and numbers that several tests of the estimates read."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import Moments

REFERENCE = Path(__file__).parents[2] / "reference"
NUMBERS = ("orders", "revenue", "orders_pre", "revenue_pre", "converted")
ARMS = ("control", "t1", "t2")


@pytest.fixture(scope="session")
def cases() -> dict:
    """What independent implementations returned, by the case's id."""
    return {case["id"]: case for case in json.loads((REFERENCE / "estimates.json").read_text())["cases"]}


@pytest.fixture(scope="session")
def micro() -> Callable[[str | None], dict[str, Moments]]:
    """The Moments of the reference rows by variant, of all strata or of one."""
    with (REFERENCE / "microdata.csv").open() as stream:
        rows = list(csv.DictReader(stream))

    def of(stratum: str | None = None) -> dict[str, Moments]:
        here = [r for r in rows if stratum is None or r["stratum"] == stratum]
        return {
            arm: Moments.from_rows({c: np.array([float(r[c]) for r in here if r["variant"] == arm]) for c in NUMBERS})
            for arm in ARMS
        }

    return of


@pytest.fixture(scope="session")
def arms(micro) -> list[Moments]:
    """The reference variants, control first."""
    return list(micro(None).values())


@pytest.fixture(scope="session")
def pair(cases) -> Callable[[str], list[Moments]]:
    """Control and treatment of a case, from its sums; a product that the case leaves out must not be used."""
    return lambda name: [_from_sums(cases[name]["inputs"][arm]) for arm in ("control", "treatment")]


def _from_sums(sums: dict) -> Moments:
    names = [c for c in NUMBERS if f"sum_{c}" in sums]
    products = {}
    for i, a in enumerate(names):
        for b in names[i:]:
            products[a, b] = sums.get(f"sum_{a}_{b}", sums.get(f"sum_{b}_{a}", 0))
    return Moments.from_aggregates(sums["n"], {a: sums[f"sum_{a}"] for a in names}, products)
