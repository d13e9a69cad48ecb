"""What the numbers allow to be said beyond each metric's own reading: one rule a kind, each with its error rate.

Every rule needs its differences shown at the report's alpha, two-sided, so that a wrong sentence comes at most that
often: alpha / 2 where it needs one direction of one difference, less where it needs two.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from analysis.analysis_plan import AnalysisPlan
from analysis.checks import Check
from analysis.contrast import Contrast, of_column, of_metric
from analysis.ledger import ORDER, Ints, Ledger
from analysis.parts import Cannibalisation, Fatigue, Overlap, Remark, Sensitivity, SinceEntry, Tone
from analysis.tables import amount, signed, span_of
from experiments.metrics import BUILT_IN, Metric
from experiments.wording import Listed, Term, figure, worded

SOLD_OUT = 0.01
"""Share of the units that asked; more than this is worth a sentence."""

ORDERS = Metric("orders_per_visitor", "mean", "orders")
NET_REVENUE = Metric("net_revenue_per_visitor", "mean", "net_revenue")
COUNTED = ("conversion", "aov", "revenue_per_visitor", "refund_rate")


def remarks(
    ledger: Ledger, plan: AnalysisPlan, currency: str, checks: Sequence[Check], sold: Sequence[Cannibalisation],
    tired: Sequence[Fatigue], since: Sequence[SinceEntry], sensitivity: Sequence[Sensitivity],
    overlaps: Sequence[Overlap],
) -> tuple[Remark, ...]:  # fmt: skip
    """All that can be said, what spoils the reading first."""
    read = {key: of_metric(ledger, BUILT_IN[key], plan.alpha) for key in COUNTED}
    net = of_metric(ledger, NET_REVENUE, plan.alpha)
    found = [*_stock(ledger), *_crossovers(ledger, checks, sensitivity), *_selection(ledger, read, plan.alpha)]
    for variant in ledger.variants[1:]:
        found += _returned(
            variant, read["revenue_per_visitor"][variant], read["refund_rate"][variant], net[variant], plan
        )
    found += [r for one in sold for r in _cannibalised(one, currency)]
    found += [r for one in since for r in _brought_forward(one, plan)]
    found += [r for one in tired for r in _tired(one)]
    found += [r for one in overlaps for r in _interacting(one, plan.alpha)]
    return tuple(found)


def _stock(ledger: Ledger) -> Iterator[Remark]:
    refused = sum(units for (_, why), units in ledger.refused.items() if why == "out_of_stock")
    asked = int(ledger.entered.sum()) + sum(ledger.refused.values())
    if not refused or refused / asked < SOLD_OUT:
        return
    yield Remark(
        "sold_out", None, "warn",
        worded(
            "Sold out, not losing: %(refused)s of %(asked)s who asked (%(share)s) could not enter because a product of "
            "an offer was out of stock. They are in no variant; the effect is that of the visitors who could be "
            "served.",
            refused=figure(f"{refused:,}"), asked=figure(f"{asked:,}"), share=figure(f"{refused / asked:.1%}"),
        ),
    )  # fmt: skip


def _crossovers(ledger: Ledger, checks: Sequence[Check], sensitivity: Sequence[Sensitivity]) -> Iterator[Remark]:
    check = next((c for c in checks if c.check == "crossovers"), None)
    if check is None or check.status not in {"warn", "fail"}:
        return
    crossed, units = int(ledger.crossed.sum()), int(ledger.entered.sum())
    without = [s for s in sensitivity if s.reading == "without crossovers" and s.same is not None]
    said: list[str] = [
        worded(
            "%(crossed)s of %(units)s met two variants (%(share)s), as happens where visitors log in or change "
            "devices. Each counts for the variant met first, which waters the effect down.",
            crossed=figure(f"{crossed:,}"), units=figure(f"{units:,}"), share=figure(f"{crossed / units:.1%}"),
        )
    ]  # fmt: skip
    if without:
        same = all(s.same for s in without)
        said.append(
            worded("Without them the conclusion is the same.") if same
            else worded("Without them the conclusion is another one.")
        )  # fmt: skip
    tone: Tone = "bad" if check.status == "fail" else "warn"
    yield Remark("crossovers", None, tone, Listed(said, " "))


def _selection(ledger: Ledger, read: Mapping[str, Mapping[str, Contrast]], alpha: float) -> Iterator[Remark]:
    """Larger orders on average, fewer buyers, no more money: is it what they buy, or only who buys?

    Orders of both halves of the pooled order values are counted per visitor: selection takes small ones away and adds
    no large ones.
    """
    shows = {key: {v: c.shows(alpha) for v, c in found.items()} for key, found in read.items()}
    asked = [
        v for v in ledger.variants[1:]
        if shows["aov"][v] > 0 and shows["conversion"][v] < 0 and shows["revenue_per_visitor"][v] <= 0
    ]  # fmt: skip
    if not asked:
        return
    small, large = (of_column(ledger, counts, ORDERS, alpha) for counts in _halves(ledger))
    for variant in asked:
        if large[variant].shows(alpha) > 0:
            yield Remark(
                "larger_baskets", variant, "warn",
                worded(
                    "%(variant)s: baskets are larger, but fewer visitors buy, and revenue per visitor is not shown to "
                    "rise.", variant=variant,
                ),
            )  # fmt: skip
        elif small[variant].shows(alpha) < 0:
            yield Remark(
                "selection", variant, "bad",
                worded(
                    "%(variant)s: selection, not larger baskets. The average order is larger because fewer small "
                    "orders are placed; more large ones are not shown, and neither is more revenue per visitor.",
                    variant=variant,
                ),
            )  # fmt: skip


def _halves(ledger: Ledger) -> tuple[Ints, Ints]:
    """Orders below the pooled median value, and the others, by unit."""
    e, n = ledger.events, len(ledger.units)
    orders = ledger.inside & (e.kind == ORDER) & e.priced
    middle = float(np.median(e.revenue[orders])) if orders.any() else 0.0
    below = orders & (e.revenue < middle)
    counts = [np.bincount(e.unit[some], minlength=n).astype(np.int64) for some in (below, orders & ~below)]
    return counts[0], counts[1]


def _returned(
    variant: str, revenue: Contrast, refunds: Contrast, net: Contrast, plan: AnalysisPlan
) -> Iterator[Remark]:  # fmt: skip
    """More sold and more returned, and nothing shown to be left of it."""
    if revenue.shows(plan.alpha) > 0 and refunds.shows(plan.alpha) > 0 and net.shows(plan.alpha) <= 0:
        yield Remark(
            "returned", variant, "bad",
            worded(
                "%(variant)s: more is sold, and more comes back. After refunds no gain is shown (%(gain)s per "
                "visitor).",
                variant=variant, gain=span_of(net.difference, plan.currency),
            ),
        )  # fmt: skip


def _cannibalised(one: Cannibalisation, currency: str) -> Iterator[Remark]:
    low, high = one.incremental.low, one.incremental.high
    if low is None or high is None or one.attributed <= 0:
        return
    facts: dict[str, str] = {
        "variant": one.variant, "sold": figure(amount(one.attributed, currency)), "currency": currency,
        "low": figure(signed(low, currency)), "high": figure(signed(high, currency)),
    }  # fmt: skip
    if low > 0:
        said = worded(
            "%(variant)s: %(sold)s %(currency)s were bought with the offer; in all, %(low)s to %(high)s %(currency)s "
            "came on top of what control buys anyway.", **facts,
        )  # fmt: skip
        yield Remark("extra", one.variant, "good", said)
    elif high < 0:
        said = worded(
            "%(variant)s: %(sold)s %(currency)s were bought with the offer, and less in all: against control the "
            "variant made %(low)s to %(high)s %(currency)s. It displaced more than it sold.", **facts,
        )  # fmt: skip
        yield Remark("displaced", one.variant, "bad", said)
    elif high < one.attributed:
        said = worded(
            "%(variant)s: %(sold)s %(currency)s were bought with the offer, but nothing is shown to have come on top: "
            "%(low)s to %(high)s %(currency)s. At least a part of it would have been bought anyway, or displaced "
            "something else.", **facts,
        )  # fmt: skip
        yield Remark("cannibalised", one.variant, "bad", said)
    else:
        said = worded(
            "%(variant)s: %(sold)s %(currency)s were bought with the offer; how much came on top is not clear yet: "
            "%(low)s to %(high)s %(currency)s.", **facts,
        )  # fmt: skip
        yield Remark("unclear", one.variant, "info", said)


def _brought_forward(one: SinceEntry, plan: AnalysisPlan) -> Iterator[Remark]:
    """A gain in the first half of the window and a loss in the second."""
    up = one.early_p is not None and one.early_p < plan.alpha and (one.early.estimate or 0.0) > 0
    down = one.late_p is not None and one.late_p < plan.alpha and (one.late.estimate or 0.0) < 0
    if not (up and down):
        return
    parts = {"early": one.early, "late": one.late, "whole": one.whole}
    currency = plan.currency_of(one.metric)
    facts = {"variant": one.variant} | {name: span_of(effect, currency) for name, effect in parts.items()}
    said = (
        worded(
            "%(variant)s: orders are brought forward. %(early)s per visitor in the first days, %(late)s after them. In "
            "sum the gain remains (%(whole)s).", **facts,
        ) if (one.whole.low or 0.0) > 0
        else worded(
            "%(variant)s: orders are brought forward. %(early)s per visitor in the first days, %(late)s after them. In "
            "sum no gain is shown (%(whole)s).", **facts,
        )
    )  # fmt: skip
    yield Remark("brought_forward", one.variant, "bad", said)


def _tired(one: Fatigue) -> Iterator[Remark]:
    if one.tired_from is not None:
        yield Remark(
            "fatigue", one.variant, "warn",
            worded(
                "%(variant)s: the offer tires. From the %(view)s view on the effect is smaller than before: cap how "
                "often it is shown.", variant=one.variant, view=_ordinal(one.tired_from),
            ),
        )  # fmt: skip


def _interacting(one: Overlap, alpha: float) -> Iterator[Remark]:
    if one.p_value is not None and one.p_value < alpha:
        yield Remark(
            "interaction", None, "warn",
            worded(
                "The effect depends on what %(experiment)s shows the same visitors: read them together, or keep them "
                "apart in a layer.", experiment=one.experiment,
            ),
        )  # fmt: skip


def _ordinal(n: int) -> str:
    return Term("ordinal", {1: "1st", 2: "2nd", 3: "3rd"}.get(n, f"{n}th"))
