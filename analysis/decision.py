"""The verdict: a rule fixed before the start, applied to what the report found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.checks import Check

Decision = Literal["ship", "do_not_ship", "keep_running", "fix_first"]
Movement = Literal["better", "worse", "flat", "unknown"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold to ship: `alpha` on corrected p-values, and the method by which it may be looked at early."""

    alpha: float = 0.05
    method: str = "fixed"
    complete: bool = True
    minimum_units: int = 0

    def sentence(self) -> str:
        """The rule in words."""
        looked = {
            "fixed": f"its corrected p-value is below {self.alpha:g}",
            "group_sequential": "its interval at a planned look excludes 0",
        }.get(self.method, "its always-valid interval excludes 0")
        return (
            f"Ship the variant with the best primary metric when {looked} in the good direction, no other metric is "
            "worse by the same rule, every guardrail is shown to stay within its margin, and every check passes."
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What one metric says of one variant: which way it moved, and the sentence that says so."""

    metric: str
    role: str | None
    variant: str
    movement: Movement
    sentence: str
    gain: float | None = None
    guarded: bool | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, for which variant, by which rule, and why."""

    decision: Decision
    variant: str | None
    rule: str
    because: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "decision": self.decision, "variant": self.variant, "rule": self.rule, "because": list(self.because)
        }  # fmt: skip


def decide(rule: Rule, findings: Sequence[Finding], checks: Sequence[Check], units: Mapping[str, int]) -> Verdict:
    """Apply the rule: broken data first, then harm, then proof, then time."""

    def verdict(decision: Decision, variant: str | None, because: Sequence[str]) -> Verdict:
        return Verdict(decision, variant, rule.sentence(), tuple(because))

    failed = [c for c in checks if c.status == "fail"]
    if failed:
        return verdict("fix_first", None, [f"check {c.check} failed: {c.detail}" for c in failed])
    primary = [f for f in findings if f.role == "primary"]
    if sum(units.values()) < rule.minimum_units:
        return verdict(
            "keep_running", None,
            [f"{sum(units.values()):,} units so far, at least {rule.minimum_units:,} were planned"],
        )  # fmt: skip
    if not primary or all(f.movement == "unknown" for f in primary):
        reasons = [f.sentence for f in primary] or ["there is nothing to compare"]
        return verdict("do_not_ship" if rule.complete else "keep_running", None, reasons)
    variants = dict.fromkeys(f.variant for f in primary)
    clear, waiting = [], []
    for variant in variants:
        mine = [f for f in findings if f.variant == variant]
        wins = any(f.role == "primary" and f.movement == "better" for f in mine)
        harmed = any(f.movement == "worse" for f in mine)
        unguarded = any(f.guarded is False for f in mine)
        if wins and not harmed and not unguarded:
            clear.append(variant)
        elif wins and not harmed:
            waiting.append(variant)
    if clear:
        best = max(clear, key=lambda v: next(f.gain or 0.0 for f in primary if f.variant == v))
        return verdict("ship", best, _because(findings, [best]))
    if not rule.complete and (waiting or not any(f.movement == "worse" for f in primary)):
        return verdict("keep_running", None, _because(findings, list(variants)))
    return verdict("do_not_ship", None, _because(findings, list(variants)))


def _because(findings: Sequence[Finding], variants: Sequence[str]) -> list[str]:
    out = []
    for variant in variants:
        mine = [f for f in findings if f.variant == variant]
        trade = trade_off(variant, mine)
        out += [trade] if trade else []
        out += [f.sentence for f in mine]
    return out


def trade_off(variant: str, findings: Sequence[Finding]) -> str | None:
    """The sentence that says one metric was bought with another; None where nothing pulls against anything."""
    up = [f.metric for f in findings if f.movement == "better"]
    down = [f.metric for f in findings if f.movement == "worse"]
    flat = [f.metric for f in findings if f.movement == "flat"]
    if not (up and down):
        return None
    said = f"{variant} trades {_listed(down)} for {_listed(up)}: {_listed(up)} better, {_listed(down)} worse"
    return said + (f", no change shown in {_listed(flat)}" if flat else "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
