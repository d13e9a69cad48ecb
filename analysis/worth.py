"""What a variant would bring in money if everybody saw it, what waiting costs, and what is lost if it is wrong."""

from collections.abc import Sequence

from analysis.effect import Effect
from analysis.parts import Band, Worth
from analysis.report import Comparison, MetricResult
from analysis.traffic import Traffic
from experiments.wording import worded

YEAR = 365
METRICS = ("contribution_per_visitor", "revenue_per_visitor")


def worth(
    results: Sequence[MetricResult], bands: Sequence[Band], flow: Traffic, shares: dict[str, float]
) -> tuple[Worth, ...]:
    """By variant, of profit and of revenue; `shares` is each variant's share of all eligible units by now.

    Where costs are not all known, the profit's interval reaches from the low end without a margin on what is unknown
    to the high end with its usual margin, and there is no one estimate.
    """
    banded = {band.variant: band for band in bands}
    found = []
    for metric in METRICS:
        result = next((r for r in results if r.metric == metric), None)
        for c in result.comparisons if result else ():
            band = banded.get(c.variant) if metric == "contribution_per_visitor" else None
            effect = c.difference if c.estimable else _span(band) if band else None
            if effect is not None:
                found.append(_worth(c, metric, effect, flow, shares.get(c.variant, 0.0)))
    return tuple(found)


def _worth(c: Comparison, metric: str, effect: Effect, flow: Traffic, share: float) -> Worth:
    units = flow.everybody
    loss = None if c.expected_loss is None else c.expected_loss * units
    waiting = None if effect.estimate is None else effect.estimate * units * (1 - share)
    return Worth(
        c.variant, metric, units, effect.times(units), effect.times(units * YEAR), loss, waiting
    )  # fmt: skip


def _span(band: Band) -> Effect:
    """From the lowest to the highest of the two readings."""
    lows = [e.low for e in (band.zero_margin, band.category_margin) if e.low is not None]
    highs = [e.high for e in (band.zero_margin, band.category_margin) if e.high is not None]
    reason = worded("costs are not all known: from no margin on what is unknown to its usual margin")
    return Effect(None, min(lows, default=None), max(highs, default=None), None, reason)
