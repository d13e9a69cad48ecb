"""From a Ledger and what is known of the experiment to its whole report: a pure function."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analysis import balance
from analysis.analysis_plan import AnalysisPlan
from analysis.bands import bands
from analysis.cannibalisation import cannibalisation
from analysis.checks import Check
from analysis.decision import Standing, held_back
from analysis.fatigue import fatigue
from analysis.findings import findings
from analysis.lasted import Shipped
from analysis.lasting import lasting
from analysis.ledger import Ledger
from analysis.ledger_sample import NEEDS_REVENUE, levels, sample_of
from analysis.maturity import maturity
from analysis.offer_panel import offer_panels
from analysis.outlook import outlook
from analysis.overlaps import Neighbour, overlaps
from analysis.parts import Entry, Method, Progress, Time
from analysis.progress import progress
from analysis.reading import analyze_sample
from analysis.remarks import remarks
from analysis.report import Report
from analysis.sample import Sample
from analysis.sensitivity import sensitivity
from analysis.series import cumulative, daily
from analysis.since_entry import since_entry
from analysis.traffic import Traffic, traffic
from analysis.traits import Trait, trait_levels
from analysis.worth import worth
from experiments.errors import NotFound
from experiments.lifecycle import MEASURING, State
from experiments.moment import DAY, Micros, iso
from experiments.offers import Offer
from experiments.wording import Listed, figure, worded

TOO_MANY_LEVELS = 50


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report needs to know of an experiment besides what happened in it.

    `reach` is the share of all eligible units that may enter; `shares` each variant's share of them. `first_at` and
    `last_at` are the first and the last entry.
    """

    plan: AnalysisPlan
    method: Method
    state: State
    currency: str
    as_of: Micros
    offers: Mapping[str, Offer]
    first_at: Micros | None = None
    last_at: Micros | None = None
    minimum_days: int = 0
    return_days: int = 30
    target: float | None = None
    planned_end: str | None = None
    reach: float = 1.0
    shares: Mapping[str, float] = field(default_factory=dict)
    crossovers: Mapping[str, int] = field(default_factory=dict)
    strays: int = 0
    neighbours: tuple[Neighbour, ...] = ()
    timeline: tuple[Entry, ...] = ()
    shipped: Shipped | None = None
    """Of a holdback, what it follows."""
    traits: tuple[Trait, ...] = ()

    @property
    def days(self) -> float:
        """Days since the first entry."""
        return 0.0 if self.first_at is None else (self.as_of - self.first_at) / DAY


def compose(ledger: Ledger, facts: Facts, only: str | None = None, brief: bool = False) -> Report:
    """The report; with `only` (`segment:level`) that of one level, which nobody planned and which decides nothing.

    A `brief` one says the same, and leaves out the groups and the daily series. Raises NotFound for a level that is not
    there.
    """
    plan = facts.plan
    found = () if brief else (*trait_levels(ledger, facts.traits), *levels(ledger))
    cut = {f"{segment}:{level}": part for segment, level, part in found}
    if only is not None:
        if only not in cut:
            raise NotFound(f"There is no {only!r} to look at: there are {', '.join(cut)}")
        ledger, cut = cut[only], {}
    profit = bands(ledger, plan)
    planned = sample_of(ledger, plan.metrics, {band.variant: band for band in profit})
    sample = replace(planned, checks=tuple(_checks(ledger, facts)), segments=_segments(cut, plan))
    report = analyze_sample(sample, plan)
    flow = traffic(ledger, facts.reach)
    known = {m.key: m for m in plan.metrics}
    primary = next((key for key, role in plan.roles.items() if role == "primary"), plan.metrics[0].key)
    metric, ahead = known[primary], _progress(ledger, report, primary, facts, flow)
    said = [f for r in report.metrics for f in findings(r, plan)]
    since = since_entry(ledger, metric, plan.alpha)
    sold, tired = cannibalisation(ledger, plan.alpha), fatigue(ledger, metric, plan.alpha)
    rows, met = (
        sensitivity(ledger, metric, plan),
        overlaps(ledger, metric, facts.neighbours if only is None else (), plan.alpha),
    )
    measuring = facts.state in MEASURING and facts.first_at is not None
    standing = Standing(measuring, facts.days, facts.minimum_days, ahead.precision)
    verdict = held_back(report.verdict, plan.rule, standing)
    return replace(
        report,
        verdict=verdict, state=facts.state, currency=facts.currency, only=only,
        data_from=_when(facts.first_at), last_exposure=_when(facts.last_at),
        outlook=outlook(verdict, plan, said, report.metrics, ahead),
        remarks=remarks(ledger, plan, facts.currency, report.checks, sold, tired, since, rows, met),
        progress=ahead, worth=worth(report.metrics, profit, flow, dict(facts.shares)), bands=profit,
        offers=offer_panels(ledger, facts.offers), cannibalisation=sold, fatigue=tired,
        time=Time(daily(ledger), () if brief else cumulative(ledger, plan, report.metrics), since),
        maturity=maturity(ledger, facts.return_days), sensitivity=rows, overlaps=met, method=facts.method,
        timeline=facts.timeline,
        lasting=None if facts.shipped is None or only else lasting(ledger, metric, facts.shipped, plan.alpha),
    )  # fmt: skip


def _when(at: Micros | None) -> str | None:
    return None if at is None else iso(at)


def _segments(cut: Mapping[str, Ledger], plan: AnalysisPlan) -> dict[str, dict[str, Sample]]:
    found: dict[str, dict[str, Sample]] = {}
    for name, part in cut.items():
        segment, _, level = name.partition(":")
        found.setdefault(segment, {})[level] = sample_of(part, plan.metrics)
    return {segment: of for segment, of in found.items() if 2 <= len(of) <= TOO_MANY_LEVELS}


def _progress(ledger: Ledger, report: Report, primary: str, facts: Facts, flow: Traffic) -> Progress:
    return progress(
        ledger, report[primary], facts.plan, flow, facts.days, facts.minimum_days, facts.target, facts.planned_end
    )


def _checks(ledger: Ledger, facts: Facts) -> list[Check]:
    units = dict(zip(ledger.variants, map(int, ledger.totals), strict=True))
    crossed = {v: min(int(facts.crossovers.get(v, 0)), units[v]) for v in units}
    found = [balance.crossovers(crossed, units)]
    if any(NEEDS_REVENUE & set(metric.columns) for metric in facts.plan.metrics):
        found.append(balance.missing_data(_by_variant(ledger), units, "revenue"))
    if facts.strays:
        detail = worded(
            "%(units)s units were exposed to variants that the definition does not have",
            units=figure(f"{facts.strays:,}"),
        )
        found.append(Check("variants", "fail", None, None, detail))
    return [*found, *_eligibility(ledger, units)]


def _by_variant(ledger: Ledger) -> dict[str, int]:
    lost = [int((ledger.unpriced & (ledger.units.variant == i)).sum()) for i in range(len(ledger.variants))]
    return dict(zip(ledger.variants, lost, strict=True))


def _eligibility(ledger: Ledger, units: Mapping[str, int]) -> list[Check]:
    """Whether variants differ in who was let in, where anybody was not."""
    asked, reasons = dict(units), dict[str, int]()
    for (variant, reason), refused in ledger.refused.items():
        if variant in asked:
            asked[variant] += refused
            reasons[reason] = reasons.get(reason, 0) + refused
    if not reasons:
        return []
    found = balance.eligibility(units, asked)
    why = ", ".join(f"{reason} {n:,}" for reason, n in sorted(reasons.items(), key=lambda r: -r[1]))
    return [replace(found, detail=Listed([found.detail, worded("units refused: %(reasons)s", reasons=why)], "; "))]
