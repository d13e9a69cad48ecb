"""The decision rule as fields of the define page: a preset, or what must hold, one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from experiments.errors import Invalid
from experiments.rules import PRESETS, DecisionRule
from webapp.ui.rule_words import said
from webapp.ui.typed import Typed

OWN = "own"


@dataclass
class RuleForm:
    """All fields as texts; the preset decides unless it is `own`."""

    preset: str = "clear_signals"
    metric: str = ""
    proof: str = "better"
    lift: str = ""
    max_loss: str = ""
    secondaries: bool = True
    guardrails: bool = True
    precision: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "RuleForm":
        """As the browser sent it."""
        preset = given.get("rule_preset") or "clear_signals"
        if preset in PRESETS:
            return cls.of(PRESETS[preset])
        return cls(
            OWN, given.get("rule_metric", ""), given.get("rule_proof", "better"), given.get("rule_lift", ""),
            given.get("rule_max_loss", ""), "rule_secondaries" in given, "rule_guardrails" in given,
            given.get("rule_precision", ""),
        )  # fmt: skip

    @classmethod
    def of(cls, rule: DecisionRule) -> "RuleForm":
        """From a rule."""
        lift = rule.lift
        proof = "harmless" if lift is None else "better" if not lift else "more" if lift > 0 else "not_worse"
        return cls(
            rule.preset or OWN, rule.metric or "", proof, f"{abs(lift) * 100:g}%" if lift else "", rule.max_loss or "",
            rule.secondaries_forbid, rule.prove_guardrails,
            "" if rule.precision is None else f"{rule.precision * 100:g}%",
        )  # fmt: skip

    def to_json(self, typed: Typed) -> dict[str, Any]:
        """The rule's JSON; what could not be read is told to `typed`."""
        if self.preset in PRESETS:
            return dict(msgspec.to_builtins(PRESETS[self.preset]))
        amount = _percent(self.lift)
        if self.proof in {"more", "not_worse"} and not amount:
            typed.refuse("rule.least_lift", "say by how much, such as 2%")
        least = {"harmless": None, "more": amount or "0%", "not_worse": f"-{amount or '0%'}"}.get(self.proof, "0%")
        return {
            "metric": self.metric or None,
            "least_lift": least,
            "max_loss": self.max_loss.strip().replace(",", ".") or None,
            "secondaries_forbid": self.secondaries,
            "prove_guardrails": self.guardrails,
            "minimum_precision": _percent(self.precision) or None,
        }

    def sentences(self, primary: str, sequential: bool, monitoring: str, confidence: str, days: str) -> list[str]:
        """The rule in words, with what the rest of the page says so far; none where it is not complete."""
        method = (monitoring or "confidence_sequence") if sequential else "fixed"
        typed = Typed(ZoneInfo("UTC"))
        try:
            rule = msgspec.convert(self.to_json(typed), DecisionRule)
            if typed.errors:
                return []
            alpha = round(1 - float(confidence.removesuffix("%").replace(",", ".")) / 100, 12)
            return said(rule, primary, method, alpha, int(days or 0))
        except (Invalid, ValueError):  # msgspec's own errors are ValueErrors
            return []


def _percent(text: str) -> str:
    """`2`, `2%` and `-2 %` are 2%: which way it counts is said beside it."""
    plain = text.strip().removesuffix("%").strip().lstrip("+-").replace(",", ".")
    return f"{plain}%" if plain else ""
