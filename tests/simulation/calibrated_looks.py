"""Tests that are looked at while they run: 1,000 looks at any time, and planned ones."""

from functools import partial

import numpy as np
from numpy.random import Generator

from analysis import Metric, lift
from analysis.group_sequential import boundaries
from analysis.monitoring import TOO_SKEWED
from analysis.power import Design, planned_drift
from analysis.quantiles import summarise
from analysis.sequential import confidence_sequence, msprt
from analysis.sequential_srm import sequential_srm
from analysis.stopped import stopped
from experiments.looks import Spending
from tests.simulation.calibration import Cell
from tests.simulation.worlds import AOV, RPV, Shop, running, third_moments

CONVERSION = Metric("conversion", "mean", "converted")
LOOKS = 1_000
BATCH = 100
CHUNK = 100
RIPE = 100
"""Conversions in each variant from which on the asymptotic readings are meant to be read."""


def any_time(rng: Generator, tests: int, metric: Metric, adjust: bool = False, how: str = "plan") -> float:
    """A/A tests in which some look of a thousand calls an effect."""
    called, end = 0, 2.0 * BATCH * LOOKS
    for _ in range(-(-tests // CHUNK)):
        pair = running(rng, (Shop(), Shop()), (BATCH, BATCH), CHUNK, LOOKS)
        ripe = np.minimum(*(m.sums[..., 0] for m in pair)) >= RIPE
        with np.errstate(divide="ignore", invalid="ignore"):
            estimates = lift.estimate(metric, pair, adjust)
            found = lift.difference(estimates, 1)
        effect, error = np.where(ripe, found.estimate, 0.0), np.where(ripe, found.standard_error, 1.0)
        n = estimates.units.sum(axis=-1)
        if how == "msprt":
            p = msprt(effect, error, np.broadcast_to((0.1 * 3.0) ** 2, effect.shape)).p_value
        elif how == "target":
            p = _tuned_by_control(estimates, effect, error, n, ripe)
        else:
            p = confidence_sequence(effect, error, n, end if how == "plan" else 5_000.0).p_value
        called += int(((p < 0.05) & ripe).any(axis=1).sum())
    return called / (-(-tests // CHUNK) * CHUNK)


def _tuned_by_control(
    estimates: lift.Estimates, effect: np.ndarray, error: np.ndarray, n: np.ndarray, ripe: np.ndarray
) -> np.ndarray:
    """Tuned anew at each look to the units that find a lift of 10% at what control has shown so far."""
    drift = planned_drift(Design(monitoring="sequential"))
    variance = np.where(ripe, estimates.own[..., 0] * estimates.units[..., 0], 1.0)
    value = np.where(ripe, estimates.values[..., 0], 1.0)
    planned = drift**2 * variance * 4 / (0.1 * value) ** 2
    rho2 = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / planned
    ratio = n * rho2
    log_e = 0.5 * (effect / error) ** 2 * ratio / (1 + ratio) - np.log1p(ratio) / 2
    return np.exp(-np.maximum(log_e, 0))


def uneven(rng: Generator, tests: int, batches: tuple[int, int], refuse: bool) -> float:
    """Heavy tails in an uneven split: no reading while the difference is too skewed."""
    called, chunk = 0, 20
    for _ in range(-(-tests // chunk)):
        sums, units = third_moments(rng, Shop(sigma=1.2, repeat=0.0), batches, chunk, LOOKS)
        n = np.stack(units)[:, None, :]
        s1, s2, s3 = (np.stack([each[k] for each in sums]) for k in range(3))
        mean = s1 / n
        error = np.sqrt(((s2 - s1 * mean) / (n - 1) / n).sum(axis=0))
        third = s3 / n - 3 * mean * s2 / n + 2 * mean**3
        pooled = (third * n).sum(axis=0) / n.sum(axis=0)
        ripe = error > 0
        safe = np.where(ripe, error, 1.0)
        gamma = pooled * (1 / n[1] ** 2 - 1 / n[0] ** 2) / safe**3
        if refuse:
            ripe &= np.abs(gamma) <= TOO_SKEWED
        total = np.broadcast_to(n.sum(axis=0), mean[0].shape)
        p = confidence_sequence(mean[1] - mean[0], safe, total, float(total[0, -1])).p_value
        called += int(((p < 0.05) & ripe).any(axis=1).sum())
    return called / (-(-tests // chunk) * chunk)


def planned(rng: Generator, tests: int, spending: Spending, metric: Metric = RPV, late: bool = False) -> float:
    """Ten planned looks, the second half of which come late by up to a twentieth of the plan."""
    pair = running(rng, (Shop(), Shop()), (100, 100), tests, 200)
    at = np.arange(1, 11) * 20 - 1
    if late:
        at = at + np.array([0, 0, 0, 0, 0, 3, 8, 5, 9, 0])
    with np.errstate(divide="ignore", invalid="ignore"):  # the first of the looks, of which none is used, have no order
        found = lift.difference(lift.estimate(metric, pair), 1)
        z = np.abs(found.estimate / found.standard_error)[:, at]
    called = np.zeros(tests, dtype=bool)
    for k, look in enumerate(at):
        information = [*(j / 10 for j in range(1, k + 1)), (look + 1) / 200]
        bound = boundaries(information, 0.05, spending, times=[j / 10 for j in range(1, k + 2)])[-1]
        called |= z[:, k] >= bound
    return called.mean()


def after_stopping(rng: Generator, tests: int, what: str) -> float:
    """How often the interval after a stop leaves the truth out; how often the estimate is above it."""
    looks, drift = [0.2, 0.4, 0.6, 0.8, 1.0], 2.5
    bounds, wrong = boundaries(looks, 0.05, "pocock"), 0
    for _ in range(tests):
        score = np.cumsum(rng.normal(drift * 0.2, np.sqrt(0.2), 5))
        k = next((i for i in range(5) if abs(score[i]) >= bounds[i] * np.sqrt(looks[i])), 4)
        found = stopped(score[k] / looks[k], 1 / np.sqrt(looks[k]), looks[: k + 1], bounds)
        wrong += found.estimate > drift if what == "above" else not found.low <= drift <= found.high
    return wrong / tests


def quantiles(rng: Generator, tests: int) -> float:
    """Fifty looks at the median of rows that are lognormal."""
    called, looks, batch = 0, 50, 100
    for _ in range(tests):
        rows = rng.lognormal(0, 1.0, (2, looks * batch))
        for look in range(2, looks + 1):
            a, b = (summarise(side[: look * batch], 0.5) for side in rows)
            error = np.hypot(a.standard_error, b.standard_error)
            if confidence_sequence(b.value - a.value, error, 2.0 * look * batch, 10_000.0).p_value < 0.05:
                called += 1
                break
    return called / tests


def sample_ratio(rng: Generator, tests: int) -> float:
    """A sound split, checked after each of 200 batches."""
    called = 0
    for _ in range(tests):
        arrived = rng.binomial(100, 0.5, 200)
        called += sequential_srm([{"a": int(x), "b": 100 - int(x)} for x in arrived], {"a": 1, "b": 1}).status == "fail"
    return called / tests


ANY = "1,000 looks from 100 buyers a variant on, some look calls"
AT = "ten planned looks, heavy tails, some look calls"
CELLS = [
    Cell(ANY, "proportion, confidence sequence", 2_000, 0.05, "at most", partial(any_time, metric=CONVERSION)),
    Cell(ANY, "mean, confidence sequence tuned to the end", 2_000, 0.05, "at most", partial(any_time, metric=RPV)),
    Cell(ANY, "mean, tuned to a fortieth of it", 2_000, 0.05, "at most", partial(any_time, metric=RPV, how="early")),
    Cell(ANY, "mean, tuned by the target lift and what control has shown", 2_000, 0.05, "at most",
         partial(any_time, metric=RPV, how="target")),
    Cell(ANY, "mean, CUPED", 1_000, 0.05, "at most", partial(any_time, metric=RPV, adjust=True)),
    Cell(ANY, "mean, mSPRT", 2_000, 0.05, "at most", partial(any_time, metric=RPV, how="msprt")),
    Cell(ANY, "ratio, confidence sequence", 2_000, 0.05, "at most", partial(any_time, metric=AOV)),
    Cell(ANY, "ratio, CUPED", 1_000, 0.05, "at most", partial(any_time, metric=AOV, adjust=True)),
    Cell(ANY, "quantile, 50 looks", 400, 0.05, "at most", quantiles),
    Cell(ANY, "mean at 95/5, sigma 1.2, none while too skewed", 600, 0.05, "at most",
         partial(uneven, batches=(950, 50), refuse=True)),
    Cell(ANY, "mean at 99/1, sigma 1.2, none while too skewed", 400, 0.05, "at most",
         partial(uneven, batches=(1_980, 20), refuse=True)),
    Cell(AT, "mean, alpha t^2", 4_000, 0.05, "equal", partial(planned, spending="power")),
    Cell(AT, "mean, O'Brien-Fleming", 4_000, 0.05, "equal", partial(planned, spending="obrien_fleming")),
    Cell(AT, "mean, Pocock", 4_000, 0.05, "equal", partial(planned, spending="pocock")),
    Cell(AT, "mean, O'Brien-Fleming, late looks", 4_000, 0.05, "equal",
         partial(planned, spending="obrien_fleming", late=True)),
    Cell(AT, "ratio, O'Brien-Fleming", 4_000, 0.05, "equal", partial(planned, spending="obrien_fleming", metric=AOV)),
    Cell(AT, "proportion, O'Brien-Fleming", 4_000, 0.05, "equal",
         partial(planned, spending="obrien_fleming", metric=CONVERSION)),
    Cell("after a group-sequential stop", "interval misses", 400, 0.05, "equal",
         partial(after_stopping, what="misses")),
    Cell("after a group-sequential stop", "estimate is above the truth", 400, 0.5, "equal",
         partial(after_stopping, what="above")),
    Cell("sample ratio", "sound split, 200 looks, alarm at 0.001", 2_000, 0.001, "at most", sample_ratio),
]  # fmt: skip
