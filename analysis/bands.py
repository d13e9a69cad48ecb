"""Profit where costs are missing: a band from no margin to the usual one, never a margin of 100%."""

from collections.abc import Mapping

from analysis import monitoring
from analysis.analysis_plan import AnalysisPlan
from analysis.contrast import Contrast, contrast
from analysis.ledger import ORDER, Ledger, banded
from analysis.ledger_sample import moments_of
from analysis.moments import Moments
from analysis.monitoring import Observed
from analysis.parts import Band
from experiments.metrics import BUILT_IN

METRIC = BUILT_IN["contribution_per_visitor"]


def bands(ledger: Ledger, plan: AnalysisPlan) -> tuple[Band, ...]:
    """Each variant's contribution under both readings of the unknown costs; empty where every cost is known.

    The p-values are those that decide: at any time where the plan allows looks, times the number of variants
    (Bonferroni) where it corrects.
    """
    if not ledger.uncosted.any():
        return ()
    readings = [moments_of(ledger, {"contribution": x}, [METRIC], ~ledger.unpriced) for x in banded(ledger)]
    low, high = (_read(reading[METRIC.key].moments, ledger.variants, plan) for reading in readings)
    e = ledger.events
    orders = ledger.inside & (e.kind == ORDER) & e.priced
    sold = int(e.revenue[orders].sum())
    coverage = int(e.revenue[orders & e.costed].sum()) / sold if sold else None
    return tuple(
        Band(v, coverage, low[v][0].difference, high[v][0].difference, low[v][1], high[v][1])
        for v in ledger.variants[1:]
    )


def _read(
    moments: Mapping[str, Moments], variants: tuple[str, ...], plan: AnalysisPlan
) -> dict[str, tuple[Contrast, float | None]]:
    family = 1 if plan.correction == "none" else len(variants) - 1
    control, found = moments[variants[0]], {}
    for variant in variants[1:]:
        c = contrast(METRIC, (control, moments[variant]), plan.alpha)
        p = c.p_value
        if plan.monitored and c.difference.estimate is not None and c.difference.standard_error:
            seen = Observed(
                c.difference.estimate, c.difference.standard_error, float(control.mean[control.index("contribution")]),
                float(control.restrict(["contribution"]).cov[0, 0]), float(control.n), float(moments[variant].n),
            )  # fmt: skip
            p = monitoring.read(plan.monitoring, seen, plan.alpha).p_value
        found[variant] = c, None if p is None else min(1.0, p * family)
    return found
