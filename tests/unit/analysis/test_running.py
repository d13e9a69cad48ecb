"""Sums that are taken in one pass, against the same sums taken anew over the units and events that they are about."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from analysis.contrast import contrast, of_column
from analysis.ledger import KINDS, ORDER, REFUND, Events, Ledger, Units, columns
from analysis.ledger_sample import moments_of
from analysis.monitoring import Monitoring, Observed, intervals, read
from analysis.running import Running
from analysis.since_entry import since_entry
from experiments.metrics import BUILT_IN, COLUMNS, MONEY_COLUMNS
from experiments.moment import DAY

FIRST, DAYS, WINDOW = 20_000, 12, 6
NAMES = (*COLUMNS, "event:signup", "with_event:signup")
REVENUE = BUILT_IN["revenue_per_visitor"]


def drawn(seed: int, units: int, events: int) -> Ledger:
    """Units of three variants and what they may do: orders of no known amount, refunds twice, views, late events."""
    rng = default_rng(seed)
    variant = np.sort(rng.integers(0, 3, units))
    day = FIRST + rng.integers(0, DAYS, units)
    viewed = rng.random(units) < 0.4
    entered, seen = np.zeros((2, DAYS, 3), dtype=np.int64)
    np.add.at(entered, (day - FIRST, variant), 1)
    np.add.at(seen, (day[viewed] - FIRST, variant[viewed]), 1)
    idle = rng.integers(0, 5, (DAYS, 3))
    unit = rng.integers(0, units, events) if units else np.zeros(0, dtype=np.int64)
    n = len(unit)
    kind = rng.integers(0, len(KINDS) + 1, n)
    since = rng.integers(-2 * DAY, (WINDOW + 2) * DAY, n)
    order = np.where(kind == ORDER, np.arange(n), np.where(kind == REFUND, n + 2 * unit + rng.integers(0, 2, n), -1))
    known = rng.random(n) < 0.9
    money = np.where((kind == ORDER) & known, rng.integers(0, 10**6, n), 0)
    made = Events(
        unit=unit, kind=kind, day=day[unit] + since // DAY + rng.integers(0, 4, n), since=since, order=order,
        revenue=money, cost=money // 3, usual_cost=money // 3, discount=money * 0,
        refunded=np.where(kind == REFUND, rng.integers(0, 10**5, n), 0), items=rng.integers(0, 4, n),
        priced=known | (kind != ORDER), costed=known, settled=known,
    )  # fmt: skip
    crossed, nothing = np.zeros(units, dtype=bool), np.zeros(units, dtype=np.int64)
    return Ledger(
        ("control", "upsell", "bundle"), FIRST, entered + idle, seen + idle // 2, entered * 0,
        Units(np.array([f"u{i}" for i in range(units)], dtype=object), variant, day, viewed, crossed, nothing), made,
        WINDOW * DAY, FIRST + DAYS + 3, 2, kinds=(*KINDS, "signup"),
    )  # fmt: skip


ledgers = st.builds(drawn, st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(0, 120))


@given(ledgers, st.integers(1, 5))
def test_running_sums_are_those_over_the_events_until_each_day(ledger: Ledger, step: int) -> None:
    days = np.arange(FIRST + DAYS + 4, FIRST - 1, -step)[::-1]
    found = Running.of(ledger, days, NAMES)
    u, scale = ledger.units, np.array([100.0 if name in MONEY_COLUMNS else 1.0 for name in NAMES])
    for d, day in enumerate(days):
        row = min(int(day) - FIRST, DAYS - 1)
        told = columns(ledger, ledger.inside & (ledger.events.day <= day))
        told["viewed_offer"] = (u.viewed & (u.day <= day)).astype(np.int64)
        for i in range(3):
            mine = u.variant == i
            lost = int((mine & ledger.unpriced & (u.day <= day)).sum())
            assert found.n[d, i] == ledger.entered[: row + 1, i].sum()
            assert found.priced[d, i] == found.n[d, i] - lost
            for at, some in enumerate((mine, mine & ~ledger.unpriced)):
                x = np.stack([told[name][some] for name in NAMES], axis=1) / scale
                idle = ledger.viewed[: row + 1, i].sum() - (mine & u.viewed & (u.day <= day)).sum()
                more = np.where(np.array(NAMES) == "viewed_offer", idle, 0)
                np.testing.assert_allclose(found.sums[at, d, i], x.sum(axis=0) + more, rtol=1e-12, atol=1e-9)
                np.testing.assert_allclose(found.gram[at, d, i], x.T @ x + np.diag(more), rtol=1e-12, atol=1e-6)


@given(ledgers)
def test_an_effect_by_day_since_entry_is_that_of_the_units_that_had_the_day(ledger: Ledger) -> None:
    for one in since_entry(ledger, REVENUE, 0.05):
        for point in one.points:
            rows = np.arange(DAYS) + FIRST + point.day + 1 < ledger.until_day
            had = ledger.only(rows[ledger.units.day - FIRST], ledger.entered * rows[:, None], ledger.viewed)
            then = had.inside & (had.events.since // DAY == point.day)
            values = {"revenue": columns(had, then)["revenue"]}
            alone = moments_of(had, values, [REVENUE], ~had.unpriced)[REVENUE.key].moments
            by_hand = contrast(REVENUE, (alone["control"], alone[one.variant]), 0.05)
            assert point.difference == by_hand.difference
            assert point.units == by_hand.units + by_hand.control_units


@given(ledgers)
def test_a_contrast_of_one_column_is_that_of_its_moments(ledger: Ledger) -> None:
    keep = ~ledger.unpriced
    alone = moments_of(ledger, {"revenue": ledger.columns["revenue"]}, [REVENUE], keep)[REVENUE.key].moments
    found = of_column(ledger, ledger.columns["revenue"], REVENUE, 0.05, keep, ["bundle"])
    assert found == {"bundle": contrast(REVENUE, (alone["control"], alone["bundle"]), 0.05)}


def test_the_intervals_of_many_looks_are_those_of_each() -> None:
    rng = default_rng(1)
    seen = [
        Observed(*map(float, (rng.normal(), rng.uniform(0.1, 2), rng.uniform(0, 3), rng.uniform(0, 9), n, n + 7)))
        for n in rng.integers(1, 10_000, 40)
    ]
    plans = [
        Monitoring(), Monitoring(planned_units=900), Monitoring(target_lift=0.1),
        Monitoring("msprt", target_lift=0.1), Monitoring("group_sequential", 5000, looks=3),
    ]  # fmt: skip
    for plan in plans:
        alone = [(one.low, one.high) for one in (read(plan, look, 0.05) for look in seen)]
        np.testing.assert_allclose(
            np.array(intervals(plan, seen, 0.05), dtype=float), np.array(alone, dtype=float), rtol=1e-13
        )
