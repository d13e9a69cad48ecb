"""Shops where the offer works on phones alone, or alike everywhere: the interaction is found, or as rarely as said."""

import numpy as np
from numpy.typing import NDArray

from analysis.analysis_plan import AnalysisPlan
from analysis.breakdown import by_segment
from analysis.moments import Moments
from analysis.sample import Population, Sample
from experiments.metrics import BUILT_IN

METRIC = BUILT_IN["conversion"]
LEVELS = ("desktop", "mobile", "tablet")
SHARES = (0.45, 0.45, 0.1)
RATES = (0.08, 0.05, 0.06)
RUNS = 300
UNITS = 6_000
"""In each variant."""


def runs(lift: tuple[float, ...], seed: int, shops: int = RUNS) -> NDArray[np.float64]:
    """The interaction's p-value in each simulated shop, where the offer lifts conversion so much by level."""
    rng = np.random.default_rng(seed)
    units = rng.multinomial(UNITS, SHARES, size=(shops, 2))
    rates = np.array(RATES) * np.stack([np.ones(3), 1 + np.array(lift)])
    bought = rng.binomial(units, rates)
    plan = AnalysisPlan((METRIC,), "control", segments=("device",))
    return np.array([_p(n, k, plan) for n, k in zip(units, bought, strict=True)])


def _p(units: NDArray[np.int64], bought: NDArray[np.int64], plan: AnalysisPlan) -> float:
    samples = {}
    for i, level in enumerate(LEVELS):
        arms = dict(zip(("control", "offer"), zip(units[:, i], bought[:, i], strict=True), strict=True))
        found = {arm: _moments(int(n), int(k)) for arm, (n, k) in arms.items()}
        samples[level] = Sample({arm: int(n) for arm, (n, _) in arms.items()}, {METRIC.key: Population(found)})
    whole = Sample({"control": UNITS, "offer": UNITS}, {}, segments={"device": samples})
    (group,) = by_segment(whole, plan, ("control", "offer"))
    assert group["planned"]
    return float(group["interaction"]["p_value_adjusted"])


def _moments(n: int, bought: int) -> Moments:
    return Moments.from_aggregates(n, {METRIC.numerator: bought}, {(METRIC.numerator, METRIC.numerator): bought})


def test_an_effect_on_phones_alone_is_found() -> None:
    found = (runs((0.0, 0.8, 0.0), 1, 40) < 0.05).mean()
    assert found > 0.9, f"of 40 shops {found:.0%} showed it"


def test_one_effect_everywhere_is_called_an_interaction_no_oftener_than_said() -> None:
    """Five standard deviations of a binomial around the nominal 5%: a lift alike on the scale of the test, and none."""
    wrong = (runs((0.0, 0.0, 0.0), 2) < 0.05).mean()
    assert abs(wrong - 0.05) < 5 * np.sqrt(0.05 * 0.95 / RUNS), f"{wrong:.1%}"
