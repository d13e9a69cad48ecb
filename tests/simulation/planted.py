"""Shops with a planted truth, drawn as the ledger that a store would give: ten kinds, thousands of visitors a call.

Everything that a report is made of runs on them, from the ledger on: moments, tests, verdict, sentences.
Run: .venv/bin/python -m tests.simulation.planted [runs]
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.stats import binom, norm

from analysis.analysis_plan import AnalysisPlan
from analysis.compose import Facts, compose
from analysis.ledger import ACCEPTED, ORDER, REFUND, Events, Ledger, Lines, Units
from analysis.parts import Method
from analysis.report import Report
from experiments.metrics import BUILT_IN
from experiments.moment import DAY, Micros
from experiments.offers import CrossSell, NoOffer

DAYS, WINDOW, FIRST = 28, 14, 20_000
UNITS = 6_000
BUYS, VALUE, SPREAD = 0.20, 4_000.0, 0.6
COST_SHARE = 0.5
PLAN = ("conversion", "aov", "refund_rate", "net_aov")
METHOD = Method("visitor", WINDOW, 0.95, False, "holm", None, (), 1, "0" * 16, "planted", "test")


@dataclass
class Drawn:
    """One simulated test before it becomes a ledger: units by variant, and their orders; minor units."""

    variant: np.ndarray
    day: np.ndarray
    unit: np.ndarray
    since: np.ndarray
    revenue: np.ndarray
    returned: np.ndarray
    offered: np.ndarray
    crossed: np.ndarray
    views: np.ndarray
    refused: dict[tuple[str, str], int]
    counted: bool = False


def people(rng: Generator, units: int = UNITS, share: float = 0.5) -> Drawn:
    """Two variants with no difference at all."""
    variant = (rng.random(units) < share).astype(np.int64)
    orders = rng.poisson(-np.log1p(-BUYS), units)
    unit = np.repeat(np.arange(units), orders)
    nothing = np.zeros(len(unit), dtype=bool)
    return Drawn(
        variant, FIRST + rng.integers(0, DAYS, units), unit, rng.random(len(unit)) * WINDOW, _values(rng, len(unit)),
        rng.random(len(unit)) < 0.04, nothing, np.zeros(units, dtype=bool), np.zeros(units, dtype=np.int64), {},
    )  # fmt: skip


def _values(rng: Generator, n: int) -> np.ndarray:
    return np.rint(np.exp(rng.normal(np.log(VALUE) - SPREAD**2 / 2, SPREAD, n))).astype(np.int64)


def treated(d: Drawn) -> np.ndarray:
    """Which orders are the variant's."""
    return d.variant[d.unit] == 1


def keep(d: Drawn, orders: np.ndarray) -> Drawn:
    """Only these orders."""
    return replace(
        d, unit=d.unit[orders], since=d.since[orders], revenue=d.revenue[orders], returned=d.returned[orders],
        offered=d.offered[orders],
    )  # fmt: skip


def true_lift(rng: Generator) -> Drawn:
    """Six in ten of the variant's orders have something for half an order on top."""
    d = people(rng)
    takes = treated(d) & (rng.random(len(d.unit)) < 0.6)
    return replace(d, revenue=d.revenue + np.where(takes, int(VALUE / 2), 0), offered=takes)


def no_lift(rng: Generator) -> Drawn:
    """Nothing."""
    return people(rng)


def selection(rng: Generator) -> Drawn:
    """The variant drives away those who would have bought little; nobody buys more."""
    d = people(rng, 2 * UNITS)
    small = d.revenue < np.quantile(d.revenue, 0.35)
    return keep(d, ~(treated(d) & small & (rng.random(len(d.unit)) < 0.7)))


def cannibalised(rng: Generator) -> Drawn:
    """A third of the variant's orders come by the offer, and all of them would have been placed anyway."""
    d = people(rng)
    return replace(d, offered=treated(d) & (rng.random(len(d.unit)) < 0.5))


def brought_forward(rng: Generator) -> Drawn:
    """A third more orders in the first week after entry, a third fewer in the second."""
    d = people(rng, 2 * UNITS)
    late = treated(d) & (d.since >= WINDOW / 2) & (rng.random(len(d.unit)) < 0.5)
    return replace(d, since=np.where(late, d.since - WINDOW / 2, d.since))


def tiring(rng: Generator) -> Drawn:
    """An offer that helps at the first two views and harms from the third on."""
    d = people(rng, 2 * UNITS)
    views = rng.integers(1, 6, len(d.variant))
    dose = views[d.unit]
    gone = treated(d) & (dose >= 3) & (rng.random(len(d.unit)) < 0.35)
    more = treated(d) & (dose < 3)
    raised = np.where(more, np.rint(d.revenue * 1.2), d.revenue).astype(np.int64)
    return keep(replace(d, views=views, counted=True, revenue=raised), ~gone)


def steady_views(rng: Generator) -> Drawn:
    """The same lift at every number of views."""
    d = true_lift(rng)
    return replace(d, views=rng.integers(1, 6, len(d.variant)), counted=True)


def returned(rng: Generator) -> Drawn:
    """A quarter more is sold, and all of that comes back."""
    d = people(rng, 3 * UNITS)
    extra = np.flatnonzero(treated(d) & (rng.random(len(d.unit)) < 0.3))
    return replace(
        d, unit=np.concatenate([d.unit, d.unit[extra]]), since=np.concatenate([d.since, d.since[extra]]),
        revenue=np.concatenate([d.revenue, d.revenue[extra]]),
        returned=np.concatenate([d.returned, np.ones(len(extra), dtype=bool)]),
        offered=np.concatenate([d.offered, np.zeros(len(extra), dtype=bool)]),
    )  # fmt: skip


def sold_out(rng: Generator) -> Drawn:
    """A true lift, and a tenth of who asked met an empty shelf, alike for both variants."""
    d = true_lift(rng)
    refused = rng.multinomial(UNITS // 10, [0.5, 0.5])
    return replace(
        d, refused={("control", "out_of_stock"): int(refused[0]), ("offer", "out_of_stock"): int(refused[1])}
    )


def broken_split(rng: Generator) -> Drawn:
    """Two in eleven of the variant's visitors without an order are never recorded."""
    d = people(rng, 2 * UNITS)
    lost = (d.variant == 1) & (rng.random(len(d.variant)) < 0.18)
    lost[d.unit] = False
    place = np.cumsum(~lost) - 1
    return replace(
        d, variant=d.variant[~lost], day=d.day[~lost], crossed=d.crossed[~lost], views=d.views[~lost],
        unit=place[d.unit],
    )  # fmt: skip


def crossing(rng: Generator) -> Drawn:
    """One in twenty logs in and meets the other variant, in either direction."""
    d = true_lift(rng)
    return replace(d, crossed=rng.random(len(d.variant)) < 0.05)


TRUTHS: dict[str, Callable[[Generator], Drawn]] = {
    "true lift": true_lift, "no lift": no_lift, "selection only": selection, "cannibalised": cannibalised,
    "pull-forward": brought_forward, "fatigue": tiring, "refund-heavy": returned, "stock contention": sold_out,
    "broken randomisation": broken_split, "crossover at login": crossing, "lift at every view": steady_views,
}  # fmt: skip
"""The ten of the page, and a lift that does not tire, for the sentence on fatigue to be wrong about."""


def ledger(d: Drawn) -> Ledger:
    """The columns as the store would give them: units that did nothing are only counted."""
    k, days = 2, DAYS
    entered = np.zeros((days, k), dtype=np.int64)
    np.add.at(entered, (d.day - FIRST, d.variant), 1)
    listed = np.zeros(len(d.variant), dtype=bool)
    listed[d.unit] = True
    listed |= d.crossed
    who = np.flatnonzero(listed)
    who = who[np.argsort(d.variant[who], kind="stable")]
    place = np.zeros(len(d.variant), dtype=np.int64)
    place[who] = np.arange(len(who))
    crossed = np.zeros_like(entered)
    np.add.at(crossed, (d.day[d.crossed] - FIRST, d.variant[d.crossed]), 1)
    units = Units(
        np.array([f"u{i}" for i in who], dtype=object), d.variant[who], d.day[who], d.variant[who] == 1,
        d.crossed[who], d.views[who],
    )  # fmt: skip
    viewed = entered * np.array([0, 1])
    doses = None
    if d.counted:
        doses = np.zeros((k, 21), dtype=np.int64)
        np.add.at(doses, (d.variant, d.views), 1)
    order = np.arange(len(d.unit))
    product = np.where(d.offered, 1, 0)
    lines = Lines(order, product, np.ones_like(order), d.revenue, d.offered, (("A", "Mug"), ("B", "Tea")))
    return Ledger(
        ("control", "offer"), FIRST, entered, viewed, crossed, units, _events(d, place), WINDOW * DAY,
        FIRST + DAYS + WINDOW + 1, 2, lines if d.offered.any() else Lines.none(), doses, d.refused,
    )  # fmt: skip


def _events(d: Drawn, place: np.ndarray) -> Events:
    order = np.arange(len(d.unit))
    taken, back = np.unique(d.unit[d.offered], return_index=True)[1], np.flatnonzero(d.returned)
    taken = np.flatnonzero(d.offered)[taken]
    rows = np.concatenate([order, back, taken])
    kind = np.repeat([ORDER, REFUND, ACCEPTED], [len(order), len(back), len(taken)])
    since = np.rint(d.since[rows] * DAY).astype(np.int64)
    is_order, is_refund = kind == ORDER, kind == REFUND
    revenue = np.where(is_order, d.revenue[rows], 0)
    nothing = np.zeros(len(rows), dtype=np.int64)
    cost = np.rint(revenue * COST_SHARE).astype(np.int64)
    return Events(
        unit=place[d.unit[rows]], kind=kind, day=d.day[d.unit[rows]] + since // DAY + is_refund * 3, since=since,
        order=np.where(kind == ACCEPTED, -1, order[rows]), revenue=revenue, cost=cost, usual_cost=cost,
        discount=nothing, refunded=np.where(is_refund, d.revenue[rows], 0), items=is_order.astype(np.int64),
        priced=np.ones(len(rows), dtype=bool), costed=np.ones(len(rows), dtype=bool),
        settled=np.zeros(len(rows), dtype=bool),
    )  # fmt: skip


def facts(book: Ledger) -> Facts:
    """A finished test, read once: revenue per visitor decides."""
    keys = ("revenue_per_visitor", *PLAN)
    plan = AnalysisPlan(
        tuple(BUILT_IN[key] for key in keys), "control", {"revenue_per_visitor": "primary"},
        weights={"control": 5000.0, "offer": 5000.0}, experiment="planted",
    )  # fmt: skip
    met = dict(zip(book.variants, map(int, book.crossed.sum(axis=0)), strict=True))
    offers = {"control": NoOffer(), "offer": CrossSell(pick="bestsellers")}
    ends = Micros((FIRST + DAYS + WINDOW + 1) * DAY)
    return Facts(
        plan, METHOD, "stopped", "EUR", ends, offers, Micros(FIRST * DAY), ends, crossovers=met,
        shares={"control": 0.5, "offer": 0.5},
    )  # fmt: skip


def read(truth: str, seed: int, brief: bool = True) -> Report:
    """The report of one simulated test, without its groups and daily series: neither is part of a sentence."""
    book = ledger(TRUTHS[truth](np.random.default_rng([seed, *truth.encode()])))
    return compose(book, facts(book), brief=brief)


def said(report: Report) -> frozenset[str]:
    """What the page says, by the names of its sentences: the verdict's decision and the remarks' kinds."""
    return frozenset({report.verdict.decision, *(r.kind for r in report.remarks)})


RIGHT: dict[str, frozenset[str]] = {
    "true lift": frozenset({"ship", "extra"}), "no lift": frozenset({"do_not_ship"}),
    "selection only": frozenset({"do_not_ship", "selection"}),
    "cannibalised": frozenset({"do_not_ship", "cannibalised"}),
    "pull-forward": frozenset({"do_not_ship", "brought_forward"}), "fatigue": frozenset({"fatigue"}),
    "refund-heavy": frozenset({"returned"}), "stock contention": frozenset({"ship", "sold_out"}),
    "broken randomisation": frozenset({"fix_first"}), "crossover at login": frozenset({"ship", "crossovers"}),
    "lift at every view": frozenset({"ship"}),
}  # fmt: skip
"""What the page must say of each truth."""

WRONG: dict[str, dict[str, float]] = {
    "true lift": {"cannibalised": 0.025, "displaced": 0.025, "selection": 0.025, "brought_forward": 0.025,
                  "returned": 0.025, "fix_first": 0.002, "sold_out": 0.0, "crossovers": 0.0},
    "no lift": {"ship": 0.025, "selection": 0.001, "brought_forward": 0.001, "returned": 0.001, "fix_first": 0.002},
    "selection only": {"ship": 0.025, "larger_baskets": 0.025, "extra": 0.025, "fix_first": 0.002},
    "cannibalised": {"ship": 0.025, "extra": 0.025, "fix_first": 0.002},
    "pull-forward": {"ship": 0.025, "fix_first": 0.002},
    "fatigue": {"fix_first": 0.002},
    "refund-heavy": {"fix_first": 0.002, "selection": 0.025},
    "stock contention": {"cannibalised": 0.025, "displaced": 0.025, "fix_first": 0.002},
    "broken randomisation": {"ship": 0.0, "do_not_ship": 0.0},
    "crossover at login": {"cannibalised": 0.025, "displaced": 0.025, "fix_first": 0.002},
    "lift at every view": {"fatigue": 0.025},
}  # fmt: skip
"""What it must not say, and at most how often chance may make it say so: alpha / 2 for one direction of one test."""


@dataclass(frozen=True)
class Tally:
    """One truth over many runs."""

    truth: str
    runs: int
    right: int
    wrong: dict[str, int]

    def allowed(self, sentence: str) -> int:
        """The most runs in which a wrong sentence may come: more have a chance below that of five standard deviations.

        By the binomial distribution itself: with few runs of a rare sentence the normal one is far too narrow.
        """
        rate = WRONG[self.truth][sentence]
        return int(binom.isf(norm.sf(5), self.runs, rate)) if rate else 0


def tally(truth: str, seeds: Iterable[int]) -> Tally:
    """How often the page said what it must, and what it must not."""
    runs = [said(read(truth, seed)) for seed in seeds]
    counts = Counter(word for words in runs for word in words)
    return Tally(
        truth, len(runs), sum(words >= RIGHT[truth] for words in runs), {w: counts[w] for w in WRONG[truth]}
    )  # fmt: skip


def main(runs: int = 200) -> None:
    """Print the table of the docs."""
    print("| planted truth | what the page says | in runs of " + str(runs) + " | wrong sentence: runs (nominal) |")  # noqa: T201 - a program's output
    print("|---|---|---|---|")  # noqa: T201 - a program's output
    for truth in TRUTHS:
        found = tally(truth, range(runs))
        wrong = ", ".join(f"{w} {n} ({WRONG[truth][w]:.1%})" for w, n in found.wrong.items())
        print(f"| {truth} | {', '.join(sorted(RIGHT[truth]))} | {found.right} | {wrong} |", flush=True)  # noqa: T201 - a program's output


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
