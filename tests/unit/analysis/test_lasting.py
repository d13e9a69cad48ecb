"""Does it last? Each span against a plain count over all visitors, and the words against planted truths."""

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from analysis.effect import NOTHING, Effect
from analysis.lasted import Lasting, Shipped
from analysis.lasting import lasting
from analysis.ledger import ORDER, REFUND, Events, Ledger, Units
from experiments.holdback import MARKS
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import DAY

FIRST = 20_000
SPANS = tuple(zip((0, *MARKS), MARKS, strict=False))
REVENUE = BUILT_IN["revenue_per_visitor"]
NET = Metric("net", "mean", "net_revenue")
SHIPPED_BY = Effect(0.30, 0.15, 0.45)


class Shop:
    """Visitors who arrive over 90 days and come back; a tenth of them is held back. Money in minor units."""

    def __init__(
        self, rng: Generator, units: int = 3000, share: float = 0.1, lifts: tuple[float, ...] = (0.3,)
    ) -> None:
        self.variant = (rng.random(units) >= share).astype(np.int64)
        self.day = FIRST + rng.integers(0, 90, units)
        visits = rng.poisson(1.2, units)
        self.unit = np.repeat(np.arange(units), visits)
        n = len(self.unit)
        self.on = self.day[self.unit] + (rng.random(n) ** 2 * 60).astype(np.int64)
        span = np.searchsorted(np.array(MARKS), self.on - FIRST, side="right")
        lift = np.array([*lifts, *[lifts[-1]] * (len(MARKS) + 1 - len(lifts))])[span]
        # more of the variant's visits end in an order, by the lift of the time
        buys = rng.random(n) < 0.4 * np.where(self.variant[self.unit] == 1, 1 + lift, 1.0)
        self.unit, self.on = self.unit[buys], self.on[buys]
        self.revenue = np.rint(np.exp(rng.normal(8, 0.5, len(self.unit)))).astype(np.int64)
        self.refunded_after = np.where(rng.random(len(self.unit)) < 0.1, 20, 0)

    def ledger(self, until: int = 200) -> Ledger:
        """As the store gives it: those who did nothing are only counted, and later days have not come yet."""
        entered = np.zeros((90, 2), dtype=np.int64)
        np.add.at(entered, (self.day - FIRST, self.variant), 1)
        listed = np.unique(self.unit)
        listed = listed[np.argsort(self.variant[listed], kind="stable")]
        place = np.zeros(len(self.variant), dtype=np.int64)
        place[listed] = np.arange(len(listed))
        nothing = np.zeros(len(listed), dtype=np.int64)
        units = Units(
            np.array([f"u{i}" for i in listed], dtype=object), self.variant[listed], self.day[listed],
            nothing.astype(bool), nothing.astype(bool), nothing,
        )  # fmt: skip
        back = np.flatnonzero(self.refunded_after)
        both = np.concatenate([np.arange(len(self.unit)), back])
        kind = np.where(np.arange(len(both)) < len(self.unit), ORDER, REFUND)
        on = self.on[both] + np.where(kind == REFUND, self.refunded_after[both], 0)
        since = (self.on[both] - self.day[self.unit[both]]) * DAY  # a refund has its order's time
        money, yes = np.where(kind == ORDER, self.revenue[both], 0), np.ones(len(both), dtype=bool)
        events = Events(
            unit=place[self.unit[both]], kind=kind, day=on, since=since, order=both, revenue=money, cost=money * 0,
            usual_cost=money * 0, discount=money * 0, refunded=np.where(kind == REFUND, self.revenue[both], 0),
            items=yes.astype(np.int64), priced=yes, costed=yes, settled=yes,
        )  # fmt: skip
        made = Ledger(
            ("control", "bundle"), FIRST, entered, entered * 0, entered * 0, units, events, 90 * DAY, FIRST + until, 2
        )
        return made if until >= 90 else self._until(made, until)

    def _until(self, whole: Ledger, until: int) -> Ledger:
        rows = np.arange(90) < until
        keep = rows[whole.units.day - FIRST]
        some = whole.only(keep, whole.entered * rows[:, None], whole.viewed)
        heard = some.events.day < FIRST + until
        return Ledger(
            some.variants, FIRST, some.entered, some.viewed, some.crossed, some.units,
            some.events.at(heard, np.arange(len(some.units))), some.window, FIRST + until, 2,
        )  # fmt: skip

    def by_hand(self, first: int, end: int, net: bool = False) -> tuple[list[int], list[float]]:
        """Units and mean money of both variants: one visitor after the other."""
        units, money = [0, 0], [0.0, 0.0]
        inside = {i for i in range(len(self.variant)) if self.day[i] < FIRST + end}
        for i in inside:
            units[self.variant[i]] += 1
        for i, on, cents, back in zip(self.unit, self.on, self.revenue, self.refunded_after, strict=True):
            if i in inside and FIRST + first <= on < FIRST + end and on - self.day[i] < 90 and not (net and back):
                money[self.variant[i]] += cents / 100
        return units, [m / n for m, n in zip(money, units, strict=True)]


def read(shop: Shop, until: int = 200, metric: Metric = REVENUE, by: Effect = SHIPPED_BY) -> Lasting:
    return lasting(shop.ledger(until), metric, Shipped("bundle", FIRST, {metric.key: by}), 0.05)


@pytest.mark.parametrize("metric", [REVENUE, NET])
def test_each_span_is_what_a_count_by_hand_gives(metric: Metric) -> None:
    shop = Shop(default_rng(7), 800)
    found = read(shop, metric=metric)
    assert [(s.first_day, s.last_day) for s in found.spans] == [(1, 7), (8, 30), (31, 60), (61, 90)]
    for span, (first, end) in zip(found.spans, SPANS, strict=True):
        units, means = shop.by_hand(first, end, net=metric is NET)
        assert [span.control_units, span.units] == units
        assert span.difference.estimate == pytest.approx(means[1] - means[0])
        assert span.lift.estimate == pytest.approx(means[1] / means[0] - 1)


def test_what_is_not_over_has_no_reading_and_what_has_not_begun_no_number() -> None:
    found = read(Shop(default_rng(3)), until=40)
    assert [s.over for s in found.spans] == [True, True, False, False]
    assert found.spans[2].units > 0
    assert (found.spans[2].reading, found.spans[3].lift, found.spans[3].units) == ("not_known", NOTHING, 0)
    early = read(Shop(default_rng(3)), until=5)
    assert early.reading == "not_known"
    assert early.sentence == "Not yet known: the first 7 days end with 2024-10-10."


TRUTHS = {"lasts": (0.3,), "faded": (0.3, 0.3, -0.1), "none": (0.0,)}


def readings(truth: str, runs: int, by: Effect = SHIPPED_BY) -> list[Lasting]:
    return [read(Shop(default_rng([11, seed]), 8000, lifts=TRUTHS[truth], share=0.3), by=by) for seed in range(runs)]


def within(found: int, runs: int, rate: float) -> bool:
    """Whether so many are no more than chance allows, by five standard deviations."""
    return found <= runs * rate + 5 * (runs * rate * (1 - rate)) ** 0.5


def test_a_lift_that_lasts_is_hardly_ever_said_to_have_faded_and_intervals_hold() -> None:
    found = readings("lasts", 200)
    assert within(sum(r.reading == "faded" for r in found), 200, 0.025)
    assert sum(r.reading == "lasts" for r in found) > 150
    for i in range(len(MARKS)):
        missed = sum(not (r.spans[i].lift.low or -1) <= 0.3 <= (r.spans[i].lift.high or 9) for r in found)
        assert within(missed, 200, 0.05), (i, missed)


def test_a_lift_that_is_gone_is_said_to_have_faded_and_not_to_last() -> None:
    found = readings("faded", 60)
    assert sum(r.reading == "faded" for r in found) > 40
    assert within(sum(r.reading == "lasts" for r in found), 60, 0.025)
    assert all(r.sentence.startswith("It has faded: in days 61 to 90") for r in found if r.reading == "faded")


def test_without_the_report_that_it_was_shipped_by_only_zero_is_asked() -> None:
    found = readings("none", 120, by=NOTHING)
    wrong = sum(r.reading != "not_known" for r in found)
    assert within(wrong, 120, 0.05)
    assert "what it was before is not known" in found[0].sentence


def test_for_a_metric_of_which_less_is_better_the_signs_are_turned() -> None:
    shop = Shop(default_rng(5), 6000, share=0.3, lifts=(0.4,))
    less = Metric("revenue_lost", "mean", "revenue", direction="decrease")
    assert read(shop, metric=less, by=Effect(-0.3, -0.45, -0.15)).reading == "faded"
    assert read(shop, metric=REVENUE).reading == "lasts"


def test_a_metric_that_a_holdback_cannot_have_is_read_by_revenue() -> None:
    assert read(Shop(default_rng(5)), metric=BUILT_IN["offer_acceptance"]).metric == "revenue_per_visitor"
