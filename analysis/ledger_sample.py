"""From a Ledger to a Sample: each metric's units by variant, and the same for each level of each segment."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from analysis.frames import Numbers
from analysis.ledger import ORDER, Bools, Ints, Ledger
from analysis.parts import Band
from analysis.populations import Cut, populations
from analysis.sample import Population, Sample
from experiments.metrics import MONEY_COLUMNS, Metric
from experiments.wording import figure, worded

NEEDS_COST = frozenset({"contribution"})
BANDED = ("contribution",)
"""Columns of the metric that a band is given of: others with contribution in them are not that one."""
NEEDS_REVENUE = frozenset({"revenue", "contribution", "net_revenue"})
FACTORS = ("converted", "orders", "item_count")
"""Columns that a change of money is split over."""
MOST_WEEKS = 8
_MONDAY = 4
"""Day 4 of 1970 was one: (day - 4) % 7 is 0 on Mondays."""


def sample_of(ledger: Ledger, metrics: Sequence[Metric], bands: Mapping[str, Band] | None = None) -> Sample:
    """The Sample of a ledger, without checks and segments; `bands` are contribution's where costs are missing."""
    found: dict[str, Population] = {}
    groups: dict[bool, list[Metric]] = {}
    for metric in metrics:
        groups.setdefault(bool(NEEDS_REVENUE & set(metric.columns)), []).append(metric)
    for money, some in groups.items():
        found |= _populations(ledger, some, ~ledger.unpriced if money else None)
    refused = cost_refusal(ledger)
    if refused is not None:
        found = {
            m.key: Population(found[m.key].moments, refused=refused, bands=bands or {} if m.columns == BANDED else {})
            if NEEDS_COST & set(m.columns)
            else found[m.key]
            for m in metrics
        }
    units = dict(zip(ledger.variants, map(int, ledger.totals), strict=True))
    return Sample(units, {m.key: found[m.key] for m in metrics})


def cost_refusal(ledger: Ledger) -> str | None:
    """Why there is no one contribution; None where every cost is known.

    A unit with an order of unknown cost cannot be left out: buyers alone have costs, and without them profit would be a
    number about those who did not buy.
    """
    unknown = int(ledger.uncosted.sum())
    if not unknown:
        return None
    buyers = int(ledger.columns["converted"].sum())
    return worded(
        "the cost of an order is not known for %(unknown)s of %(buyers)s buyers; a missing cost is not zero",
        unknown=figure(f"{unknown:,}"), buyers=figure(f"{buyers:,}"),
    )  # fmt: skip


def _populations(ledger: Ledger, metrics: Sequence[Metric], keep: Bools | None) -> dict[str, Population]:
    """A unit with an order of unknown amount is left out of the metrics of money."""
    names = dict.fromkeys([*FACTORS, *(column for metric in metrics for column in metric.columns)])
    return moments_of(ledger, {name: ledger.columns[name] for name in names}, metrics, keep)


def moments_of(
    ledger: Ledger, columns: Mapping[str, Ints], metrics: Sequence[Metric], keep: Bools | None = None
) -> dict[str, Population]:  # fmt: skip
    """The population of each metric over the ledger's units, from columns of the listed ones; idle units have 0s."""
    busy = np.zeros(len(ledger.units), dtype=bool)
    for values in columns.values():
        busy |= values != 0
    k, of = len(ledger.variants), ledger.units.variant
    totals = ledger.totals - (0 if keep is None else np.bincount(of[~keep], minlength=k))
    listed = np.flatnonzero(busy if keep is None else busy & keep)  # a listed unit may still have nothing but 0s
    bounds = np.concatenate([[0], np.cumsum(np.bincount(of[listed], minlength=k))])
    units = dict(zip(ledger.variants, map(int, totals), strict=True))
    cut = Cut(ledger.variants, listed, tuple(map(int, bounds)), units)
    ordered = {
        name: Numbers(values[listed], ledger.places if name in MONEY_COLUMNS else 0, None)
        for name, values in columns.items()
    }
    caps = {m.key: _cap(m, ordered[m.numerator]) for m in metrics if m.cap is not None}
    found = populations(metrics, ordered, cut, caps)
    if "viewed_offer" in columns:
        found = {m.key: _with_idle_viewers(ledger, found[m.key], m) for m in metrics}
    return found


def _cap(metric: Metric, values: Numbers) -> float | None:
    """The value that a metric is cut to: a quantile of what is above 0, over all variants (Wang & Burke 2019)."""
    above = values.floats[values.floats > 0]
    return float(np.quantile(above, metric.cap)) if len(above) and metric.cap is not None else None


def _with_idle_viewers(ledger: Ledger, population: Population, metric: Metric) -> Population:
    """Those who saw the offer and did nothing are not listed, and are added here."""
    if "viewed_offer" not in metric.columns:
        return population
    busy = np.bincount(ledger.units.variant[ledger.units.viewed], minlength=len(ledger.variants))
    idle = ledger.viewed.sum(axis=0) - busy
    out = {}
    for i, variant in enumerate(ledger.variants):
        m = population.moments[variant]
        at = m.index("viewed_offer")
        sums, gram = m.sums.copy(), m.gram.copy()
        sums[at] += int(idle[i])
        gram[at, at] += int(idle[i])
        out[variant] = type(m)(m.names, m.n, sums, gram, m.scales, m.pivot)
    return Population(out, population.cap, population.uncapped, {}, {})


def levels(ledger: Ledger) -> Iterator[tuple[str, str, Ledger]]:
    """The ledger cut by what is known of a unit when it enters: segment, level, and the ledger of that level."""
    day = np.arange(len(ledger.entered)) + ledger.first_day
    weekend = (day - _MONDAY) % 7 >= 5
    for level, days in (("weekday", ~weekend), ("weekend", weekend)):
        yield "entered_on", level, _days(ledger, days)
    week = (day - day[0]) // 7
    last = min(int(week[-1]), MOST_WEEKS - 1)
    for number in range(last + 1 if last else 0):
        name = f"week {number + 1}" + (" and later" if number == last and int(week[-1]) > last else "")
        yield "entered_in", name, _days(ledger, (week == number) | ((week > number) & (number == last)))
    spent = past_spend(ledger)
    bought = spent > 0
    yield "visitor", "new", _rest(ledger, bought)
    yield "visitor", "returning", _listed(ledger, bought)
    if bought.any():
        middle = float(np.median(spent[bought]))
        yield "past_spend", "none", _rest(ledger, bought)
        yield "past_spend", "up to the median", _listed(ledger, bought & (spent <= middle))
        yield "past_spend", "above the median", _listed(ledger, bought & (spent > middle))


def past_spend(ledger: Ledger) -> Ints:
    """What each listed unit ordered in the year before it entered, plus one for each order, in minor units."""
    e = ledger.events
    before = (e.kind == ORDER) & (e.since < 0)
    return np.bincount(e.unit[before], weights=e.revenue[before] + 1, minlength=len(ledger.units)).astype(np.int64)


def _days(ledger: Ledger, days: Bools) -> Ledger:
    keep = days[ledger.units.day - ledger.first_day]
    return ledger.only(keep, ledger.entered * days[:, None], ledger.viewed * days[:, None])


def _listed(ledger: Ledger, mask: Bools) -> Ledger:
    return ledger.only(mask, _counted(ledger, mask), _counted(ledger, mask & ledger.units.viewed))


def _rest(ledger: Ledger, mask: Bools) -> Ledger:
    viewed = ledger.viewed - _counted(ledger, mask & ledger.units.viewed)
    return ledger.only(~mask, ledger.entered - _counted(ledger, mask), viewed)


def _counted(ledger: Ledger, mask: Bools) -> Ints:
    found = np.zeros_like(ledger.entered)
    np.add.at(found, (ledger.units.day[mask] - ledger.first_day, ledger.units.variant[mask]), 1)
    return found
