"""The verdict: a rule fixed before the start, applied to what the report found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from analysis.checks import Check
from experiments.looks import Monitoring
from experiments.rules import DecisionRule, clauses
from experiments.wording import figure, worded

Decision = Literal["ship", "do_not_ship", "keep_running", "fix_first"]
Movement = Literal["better", "worse", "flat", "unknown"]
Ground = Literal[
    "checks", "units", "days", "precision", "unknown", "harm", "proof", "guardrails", "loss", "no_harm", "none"
]
"""What decided: a clause that does not hold, or of a variant that is shipped the one by which it is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A decision rule in force: read at `alpha` on corrected p-values, by the method that allows looking early.

    `primary` is the plan's metric; `complete` says that no more data will come, and `days` how many must have passed.
    """

    alpha: float = 0.05
    method: Monitoring = "fixed"
    complete: bool = True
    minimum_units: int = 0
    asked: DecisionRule = field(default_factory=DecisionRule)
    primary: str = "the primary metric"
    days: int = 0

    def sentence(self) -> str:
        """The rule in words."""
        said = [clause.sentence for clause in clauses(self.asked, self.primary, self.method, self.alpha, self.days)]
        best = self.asked.metric or self.primary
        return " ".join(
            [f"A variant is shipped when all of this holds; of several, the one with the best {best}.", *said]
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What one metric says of one variant: which way it moved, and the sentence that says so.

    `gain` is the effect in the good direction, `guarded` whether a guardrail is shown to hold, `proven` whether the
    lift that the rule asks of the deciding metric is shown, `loss` what is lost on average, in units of the metric.
    """

    metric: str
    role: str | None
    variant: str
    movement: Movement
    sentence: str
    gain: float | None = None
    guarded: bool | None = None
    proven: bool = False
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, for which variant, by which rule, why, and what it turned on."""

    decision: Decision
    variant: str | None
    rule: str
    because: tuple[str, ...]
    ground: Ground = "none"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "decision": self.decision, "variant": self.variant, "rule": self.rule, "because": list(self.because),
            "ground": self.ground,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unmet:
    """A clause that does not hold of a variant, and the metric that it is about."""

    ground: Ground
    metric: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an experiment is: whether it is still measured, days since its first entry, share of the units needed."""

    measuring: bool
    days: float
    minimum_days: int
    precision: float | None = None


def deciding(asked: DecisionRule, findings: Sequence[Finding]) -> list[Finding]:
    """The findings on the metric that the rule decides by."""
    return [f for f in findings if (f.metric == asked.metric if asked.metric else f.role == "primary")]


def unmet(asked: DecisionRule, mine: Sequence[Finding]) -> tuple[Unmet, ...]:
    """The clauses that do not hold of one variant, by its findings; none where it would be shipped."""
    found = []
    decides = deciding(asked, mine)
    goals = {f.metric for f in decides}
    for f in mine:
        forbids = asked.secondaries_forbid or f.metric in goals or f.role in {"primary", "guardrail"}
        if f.movement == "worse" and forbids:
            found.append(Unmet("harm", f.metric))
    if not any(_convinces(asked, f) for f in decides):
        found += [Unmet("unknown" if f.movement == "unknown" else "proof", f.metric) for f in decides]
    if asked.prove_guardrails:
        found += [Unmet("guardrails", f.metric) for f in mine if f.guarded is False]
    return tuple(found)


def _convinces(asked: DecisionRule, f: Finding) -> Ground | None:
    """By which clause the deciding metric is good enough, if it is."""
    if f.movement == "unknown":
        return None
    if asked.lift is None:
        return "no_harm" if f.movement != "worse" else None
    if f.proven:
        return "proof"
    small = asked.loss is not None and f.loss is not None and f.loss <= asked.loss
    return "loss" if small and f.movement != "worse" else None


def decide(rule: Rule, findings: Sequence[Finding], checks: Sequence[Check], units: Mapping[str, int]) -> Verdict:
    """Apply the rule: broken data first, then harm, then proof, then time."""

    def verdict(decision: Decision, variant: str | None, because: Sequence[str], ground: Ground) -> Verdict:
        return Verdict(decision, variant, rule.sentence(), tuple(because), ground)

    failed = [c for c in checks if c.status == "fail"]
    if failed:
        return verdict(
            "fix_first",
            None,
            [worded("check %(check)s failed: %(detail)s", check=c.check, detail=c.detail) for c in failed],
            "checks",
        )
    if sum(units.values()) < rule.minimum_units:
        said = worded(
            "%(units)s units so far, at least %(planned)s were planned",
            units=figure(f"{sum(units.values()):,}"), planned=figure(f"{rule.minimum_units:,}"),
        )  # fmt: skip
        return verdict("keep_running", None, [said], "units")
    decides = deciding(rule.asked, findings)
    if not decides or all(f.movement == "unknown" for f in decides):
        reasons = [f.sentence for f in decides] or [worded("there is nothing to compare")]
        return verdict("do_not_ship" if rule.complete else "keep_running", None, reasons, "unknown")
    missing = {
        variant: unmet(rule.asked, [f for f in findings if f.variant == variant])
        for variant in dict.fromkeys(f.variant for f in decides)
    }
    clear = [variant for variant, left in missing.items() if not left]
    gain = {f.variant: f.gain or 0.0 for f in reversed(decides)}
    if clear:
        best = max(clear, key=lambda v: gain[v])
        return verdict("ship", best, _because(findings, [best]), _shipped_by(rule.asked, decides, best))
    ground = missing[max(missing, key=lambda v: gain[v])][0].ground
    because = _because(findings, list(missing))
    waiting = any(all(left.ground == "guardrails" for left in some) for some in missing.values())
    if not rule.complete and (waiting or not any(f.movement == "worse" for f in decides)):
        return verdict("keep_running", None, because, ground)
    return verdict("do_not_ship", None, because, ground)


def _shipped_by(asked: DecisionRule, decides: Sequence[Finding], variant: str) -> Ground:
    return next(ground for f in decides if f.variant == variant and (ground := _convinces(asked, f)))


def held_back(verdict: Verdict, asked: DecisionRule, standing: Standing) -> Verdict:
    """The verdict, or none yet: before the minimum run time only a failed check is said.

    What would be shipped waits for the precision that the rule asks for, and is not shipped where that never came.
    """
    if verdict.decision == "fix_first":
        return verdict
    if standing.measuring and standing.days < standing.minimum_days:
        least = standing.minimum_days
        because = worded(
            "%(days)s of at least %(least)s days have passed: weekdays and weekends must both be in",
            days=figure(f"{standing.days:.1f}"), least=least,
        )  # fmt: skip
        return replace(verdict, decision="keep_running", variant=None, because=(because,), ground="days")
    if verdict.decision != "ship" or asked.precision is None or (standing.precision or 0.0) >= asked.precision:
        return verdict
    because = worded(
        "%(share)s of the units that the planned lift needs are in, and the rule asks for %(asked)s",
        share=worded("not known") if standing.precision is None else figure(f"{standing.precision:.0%}"),
        asked=figure(f"{asked.precision:.0%}"),
    )
    decision: Decision = "keep_running" if standing.measuring else "do_not_ship"
    return replace(
        verdict, decision=decision, variant=None, because=(because, *verdict.because), ground="precision"
    )  # fmt: skip


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
    facts = {"variant": variant, "down": _listed(down), "up": _listed(up)}
    if not flat:
        return worded("%(variant)s trades %(down)s for %(up)s: %(up)s better, %(down)s worse", **facts)
    return worded(
        "%(variant)s trades %(down)s for %(up)s: %(up)s better, %(down)s worse, no change shown in %(flat)s",
        flat=_listed(flat), **facts,
    )  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    return (
        names[0] if len(names) == 1 else worded("%(others)s and %(last)s", others=", ".join(names[:-1]), last=names[-1])
    )
