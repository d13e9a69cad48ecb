"""The decision rule in the reader's language: the same clauses that the report applies, as whole sentences."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _

from experiments.definition import Definition
from experiments.rules import DecisionRule, clauses
from webapp.ui.words import metric_name

PRESET_WORDS: Mapping[str, tuple[Any, Any]] = {
    "clear_signals": (
        _("Clear signals"),
        _("Ship what is shown to be better, where nothing is shown to be worse. The usual one."),
    ),
    "do_no_harm": (
        _("Do no harm"),
        _("Ship what is shown to be safe, better or not: for what is wanted anyway. It needs a guardrail."),
    ),
    "profit_first": (
        _("Profit first"),
        _("Ship what is shown to earn more; other metrics may fall, but not the primary one or a guardrail."),
    ),
}
"""Each preset's name, and when it is the right one."""

SENTENCES: Mapping[str, Any] = {
    "proof_fixed": _("%(metric)s is shown to be better: its corrected p-value is below %(alpha)s."),
    "proof_always": _("%(metric)s is shown to be better: its always-valid interval leaves 0 out."),
    "proof_looks": _("%(metric)s is shown to be better: its interval at a planned look leaves 0 out."),
    "more_than": _("%(metric)s is shown to be better by more than %(lift)s."),
    "not_worse": _("%(metric)s is shown to be no worse than control by %(lift)s or more."),
    "not_harmed": _("%(metric)s is not shown to be worse; it need not be shown to be better."),
    "or_loss": _("Instead of that it is enough that %(metric)s loses at most %(loss)s a visitor on average if wrong."),
    "harm_any": _("No other metric is shown to be worse."),
    "harm_goals": _("Neither the primary metric nor a guardrail is shown to be worse; secondary metrics may be."),
    "guardrails": _("Every guardrail is shown to stay within its margin."),
    "precision": _("At least %(share)s of the visitors that the planned lift needs are in."),
    "days": _("At least %(days)s days have passed."),
    "checks": _("Every check passes."),
}
"""What `experiments.rules.CLAUSES` says, to be translated."""

GROUNDS: Mapping[str, Any] = {
    "checks": _("What decided: a check failed."),
    "units": _("What decided: fewer visitors than planned."),
    "days": _("What decided: the minimum run time is not over."),
    "precision": _("What decided: the precision that the rule asks for is not reached."),
    "unknown": _("What decided: the metric that decides cannot be estimated."),
    "harm": _("What decided: a metric is shown to be worse."),
    "proof": _("What decided: the metric that decides is not shown to be good enough."),
    "proven": _("What decided: the metric that decides is shown to be good enough."),
    "guardrails": _("What decided: a guardrail is not shown to stay within its margin."),
    "loss": _("What decided: the expected loss is small enough."),
    "no_harm": _("What decided: nothing is shown to be worse, and the guardrails are shown to hold."),
}
"""The clause that a verdict turned on; `proven` where a variant is shipped by its proof."""


def rule_sentences(definition: Definition) -> list[str]:
    """The definition's rule, a sentence for each clause, in the order in which they are asked."""
    plan = definition.analysis
    alpha = round(1 - plan.confidence, 12)
    return said(definition.rule, definition.metrics.primary, plan.method, alpha, plan.minimum_days)


def said(rule: DecisionRule, primary: str, method: Any, alpha: float, days: int) -> list[str]:
    """Any rule in sentences, with the metrics' names."""
    out = []
    for clause in clauses(rule, primary, method, alpha, days):
        facts = dict(clause.facts)
        if "metric" in facts:
            facts["metric"] = str(metric_name(facts["metric"]))
        out.append(str(SENTENCES[clause.name]) % facts)
    return out


def rule_name(rule: DecisionRule) -> str:
    """Its preset's name; that it is one of its own where it has none."""
    return str(PRESET_WORDS[rule.preset][0] if rule.preset else _("A rule of its own"))


GLOBALS = {
    "rule_sentences": rule_sentences, "rule_name": rule_name, "GROUNDS": GROUNDS, "PRESET_WORDS": PRESET_WORDS,
}  # fmt: skip
"""What templates know of rules."""
