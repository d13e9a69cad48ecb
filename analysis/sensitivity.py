"""The primary metric read in other ways that one might have planned: does the conclusion hold?"""

from collections.abc import Mapping

import numpy as np

from analysis.analysis_plan import AnalysisPlan
from analysis.contrast import Contrast, contrast, of_metric
from analysis.effect import NOTHING, Effect
from analysis.ledger import Ints, Ledger
from analysis.ledger_sample import NEEDS_COST, NEEDS_REVENUE, moments_of
from analysis.parts import Sensitivity
from experiments.metrics import Metric

CAP = 0.99
FEWEST_VIEWERS = 30
WORDS = {1: "higher", -1: "lower", 0: "no difference shown"}

Asked = Mapping[str, int]


def sensitivity(ledger: Ledger, metric: Metric, plan: AnalysisPlan) -> tuple[Sensitivity, ...]:
    """One row for each reading and variant, the planned one first; all at one look and without correction."""
    if NEEDS_COST & set(metric.columns) and ledger.uncosted.any():
        return ()
    planned = of_metric(ledger, metric, plan.alpha)
    rows = _rows("as planned", planned, planned, plan)
    if ledger.crossed.any():
        rows += _rows("without crossovers", of_metric(ledger.without_crossovers(), metric, plan.alpha), planned, plan)
    else:
        rows += _unread("without crossovers", ledger, "nobody met two variants")
    if metric.type in {"mean", "ratio"}:
        rows += _rows("capped at the 99th percentile of buyers", _capped(ledger, metric, plan), planned, plan)
    rows += _all_visitors(ledger, metric, planned, plan)
    rows += _per_protocol(ledger, metric, planned, plan)
    return tuple(rows)


def _rows(
    reading: str, found: Mapping[str, Contrast], planned: Mapping[str, Contrast], plan: AnalysisPlan
) -> list[Sensitivity]:
    rows = []
    for variant, c in found.items():
        if c.p_value is None:
            reason = c.difference.reason or "not estimable"
            rows.append(Sensitivity(reading, variant, 0, NOTHING, NOTHING, None, None, None, reason))
            continue
        says, said = c.shows(plan.alpha), planned[variant].shows(plan.alpha)
        units = c.units + c.control_units
        rows.append(
            Sensitivity(reading, variant, units, c.difference, c.lift, c.p_value, WORDS[says], says == said)
        )  # fmt: skip
    return rows


def _unread(reading: str, ledger: Ledger, reason: str) -> list[Sensitivity]:
    return [Sensitivity(reading, v, 0, NOTHING, NOTHING, None, None, None, reason) for v in ledger.variants[1:]]


def _capped(ledger: Ledger, metric: Metric, plan: AnalysisPlan) -> Mapping[str, Contrast]:
    """One cap for all variants, a quantile of the pooled units that have something (Wang & Burke 2019)."""
    keep = ~ledger.unpriced if NEEDS_REVENUE & set(metric.columns) else None
    columns = {name: ledger.columns[name] for name in metric.columns}
    values = columns[metric.numerator]
    some = values[values > 0] if keep is None else values[(values > 0) & keep]
    if len(some):
        cap = int(np.floor(np.quantile(some, CAP)))
        columns[metric.numerator] = np.minimum(values, cap)
    found = moments_of(ledger, columns, [metric], keep)[metric.key].moments
    return {v: contrast(metric, (found[ledger.variants[0]], found[v]), plan.alpha) for v in ledger.variants[1:]}


def _all_visitors(
    ledger: Ledger, metric: Metric, planned: Mapping[str, Contrast], plan: AnalysisPlan
) -> list[Sensitivity]:
    """Those who were not eligible add as many units to each side of a mean, and no difference."""
    name = "all visitors, eligible or not"
    refused = _refused(ledger)
    if not refused.any():
        return _unread(name, ledger, "everybody who asked was eligible")
    if metric.type == "ratio":
        return _unread(name, ledger, "what visitors who were not eligible ordered is not in this report")
    control, rows = ledger.variants[0], []
    for i, variant in enumerate(ledger.variants[1:], start=1):
        c = planned[variant]
        units = c.units + c.control_units + int(refused[0] + refused[i])
        share = (c.units + c.control_units) / units
        if c.p_value is None:
            rows += [r for r in _unread(name, ledger, f"no planned reading against {control}") if r.variant == variant]
            continue
        effect = c.difference.times(share)
        rows.append(
            Sensitivity(name, variant, units, effect, Effect(None, None, None), c.p_value,
                        WORDS[c.shows(plan.alpha)], True,
                        "the planned difference spread over all who asked: who saw no variant cannot differ by it")
        )  # fmt: skip
    return rows


def _refused(ledger: Ledger) -> Ints:
    found = np.zeros(len(ledger.variants), dtype=np.int64)
    for (variant, _), units in ledger.refused.items():
        if variant in ledger.variants:
            found[ledger.variants.index(variant)] += units
    return found


def _per_protocol(
    ledger: Ledger, metric: Metric, planned: Mapping[str, Contrast], plan: AnalysisPlan
) -> list[Sensitivity]:
    """Those who saw it: by restriction where control's views are reported, else by Wald's ratio.

    Without control's views nobody knows who of control would have looked: the difference is divided by the share that
    looked (Wald 1940; Angrist, Imbens & Rubin 1996), which holds where the offer works only by being seen.
    """
    viewed = ledger.viewed.sum(axis=0)
    if viewed[0] >= FEWEST_VIEWERS and (viewed[1:] >= FEWEST_VIEWERS).all():
        return _rows("only who saw the offer", of_metric(_viewers(ledger), metric, plan.alpha), planned, plan)
    name, rows = "per visitor who saw the offer", []
    for i, variant in enumerate(ledger.variants[1:], start=1):
        c, share = planned[variant], viewed[i] / ledger.totals[i] if ledger.totals[i] else 0.0
        if viewed[i] < FEWEST_VIEWERS or metric.type == "ratio" or c.p_value is None:
            reason = "no views are reported" if viewed[i] < FEWEST_VIEWERS else "a ratio is not spread over viewers"
            rows += [r for r in _unread(name, ledger, reason) if r.variant == variant]
            continue
        rows.append(
            Sensitivity(name, variant, int(viewed[i]), c.difference.times(float(1 / share)), NOTHING, c.p_value,
                        WORDS[c.shows(plan.alpha)], True,
                        f"the planned difference divided by the {share:.0%} who saw it (Wald's ratio)")
        )  # fmt: skip
    return rows


def _viewers(ledger: Ledger) -> Ledger:
    return ledger.only(ledger.units.viewed, ledger.viewed, ledger.viewed)
