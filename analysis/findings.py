"""What a metric says of a variant, in a word and in a sentence."""

from collections.abc import Mapping

from analysis import multiplicity, threshold
from analysis.analysis_plan import AnalysisPlan
from analysis.decision import Finding, Movement
from analysis.parts import Band
from analysis.report import Comparison, MetricResult
from analysis.tables import coded, signed, signed_percent, span_of, spanned
from experiments.wording import Term, figure, worded

_WORDS = {
    "better": Term("movement", "better"),
    "worse": Term("movement", "worse"),
    "flat": Term("movement", "no change shown"),
}


def findings(result: MetricResult, plan: AnalysisPlan) -> list[Finding]:
    """One finding for each variant compared on the metric."""
    role = plan.deciding_role(result.metric)
    out = []
    shown = threshold.corrected([c.exceeds.p_value if c.exceeds else None for c in result.comparisons], plan)
    for c, p, beyond in zip(result.comparisons, _deciding_p(result, plan), shown, strict=True):
        movement = _movement(c, p, result.direction, plan)
        estimate = c.difference.estimate
        if c.band is not None:  # the cautious end, so that it is shipped for no more than it earns for certain
            estimate = c.band.zero_margin.estimate
        gain = None if estimate is None else (estimate if result.direction == "increase" else -estimate)
        out.append(
            Finding(
                result.metric, role, c.variant, movement, _sentence(result, c, p, movement, plan), gain,
                _guarded(result.metric, c, plan), _proven(movement, beyond, plan), c.expected_loss,
            )
        )  # fmt: skip
    return out


def _guarded(metric: str, c: Comparison, plan: AnalysisPlan) -> bool | None:
    """Whether a guardrail is shown to hold: one that cannot be estimated is not. None for what is none."""
    if c.non_inferiority is not None:
        return c.non_inferiority.holds
    return False if plan.role(metric) == "guardrail" and metric in plan.margins else None


def _proven(movement: Movement, beyond: float | None, plan: AnalysisPlan) -> bool:
    """Whether the lift that the rule asks for is shown; who is shown to be better is not worse by any margin."""
    asked, better = plan.rule.lift, movement == "better"
    if not asked:
        return better
    exceeds = beyond is not None and beyond < plan.alpha
    return exceeds and better if asked > 0 else exceeds or better


def _movement(c: Comparison, p: float | None, direction: str, plan: AnalysisPlan) -> Movement:
    if c.band is not None:
        return _banded(c.band, plan)
    if not c.estimable or c.difference.estimate is None or p is None:
        return "unknown"
    if p >= plan.alpha:
        return "flat"
    return "better" if (c.difference.estimate > 0) == (direction == "increase") else "worse"


def _banded(band: Band, plan: AnalysisPlan) -> Movement:
    """What both readings of the missing costs say alike."""
    ends = ((band.zero_margin, band.zero_margin_p), (band.category_margin, band.category_margin_p))
    if any(p is None or e.estimate is None for e, p in ends):
        return "unknown"
    shown = {0 if (p or 0.0) >= plan.alpha else 1 if (e.estimate or 0.0) > 0 else -1 for e, p in ends}
    return "better" if shown == {1} else "worse" if shown == {-1} else "flat"


def _deciding_p(result: MetricResult, plan: AnalysisPlan) -> tuple[float | None, ...]:
    """The p-value that decides on each variant: corrected over them whether it is read once or at any time."""
    if not plan.monitored:
        return tuple(c.deciding_p_value for c in result.comparisons)
    read = [c.sequential.p_value if c.sequential else None for c in result.comparisons]
    # always-valid p-values are p-values: Holm holds whatever their dependence
    spared = result.role == "guardrail" and result.metric != plan.rule.metric
    alone = plan.correction == "none" or spared
    return multiplicity.adjust(read, "none" if alone else "holm")


def _sentence(result: MetricResult, c: Comparison, p: float | None, movement: Movement, plan: AnalysisPlan) -> str:
    currency = plan.currency_of(result.metric)
    where = {"variant": c.variant, "metric": result.metric}
    if c.band is not None and movement != "unknown":
        return _of_band(where, c.band, movement, currency)
    if movement == "unknown" or c.difference.estimate is None:
        return worded(
            "%(variant)s on %(metric)s: not estimable, %(reason)s",
            reason="None" if c.reason is None else c.reason,
            **where,
        )
    if c.lift.estimate is not None and c.lift.low is not None and c.lift.high is not None:
        size: str = spanned(*map(signed_percent, (c.lift.estimate, c.lift.low, c.lift.high)))
    else:
        size = figure(coded(signed(c.difference.estimate, currency), currency))
    facts: dict[str, str] = {**where, "size": size, "word": _WORDS[movement], "p": figure(f"{p:.2g}")}
    if c.non_inferiority is None:
        return worded("%(variant)s on %(metric)s: %(size)s, %(word)s (p = %(p)s)", **facts)
    facts["margin"] = figure(f"{c.non_inferiority.margin:g}")
    if c.non_inferiority.holds:
        return worded(
            "%(variant)s on %(metric)s: %(size)s, %(word)s (p = %(p)s); stays within its margin of %(margin)s", **facts
        )
    return worded(
        "%(variant)s on %(metric)s: %(size)s, %(word)s (p = %(p)s); is not shown to stay within its margin of "
        "%(margin)s",
        **facts,
    )


def _of_band(where: Mapping[str, str], band: Band, movement: Movement, currency: str | None) -> str:
    """Of a profit whose costs are not all known: both readings of what is missing."""
    least, usual = (span_of(effect, currency) for effect in (band.zero_margin, band.category_margin))
    facts: dict[str, str] = {**where, "least": least, "usual": usual, "word": _WORDS[movement]}
    if band.coverage is None:
        return worded(
            "%(variant)s on %(metric)s: %(least)s with no margin, %(usual)s with its usual one, %(word)s", **facts
        )
    return worded(
        "%(variant)s on %(metric)s: %(least)s with no margin on the %(share)s of revenue without a known cost, "
        "%(usual)s with its usual one, %(word)s",
        share=figure(f"{1 - band.coverage:.0%}"), **facts,
    )  # fmt: skip
