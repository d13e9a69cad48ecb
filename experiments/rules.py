"""The decision rule: when a variant is shipped, written down before the start. A preset is a name for one rule."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from types import MappingProxyType
from typing import Annotated

import msgspec

from experiments.errors import FieldError
from experiments.looks import Monitoring
from experiments.metrics import MONEY_COLUMNS, Metric
from experiments.share import check_share, parse_share
from experiments.wording import Worded, worded

Short = Annotated[str, msgspec.Meta(max_length=40)]

LARGEST_LIFT = Decimal(10)
SMALLEST_PRECISION = Decimal("0.01")


class DecisionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold of a variant to be shipped, beside passing checks and the plan's minimum run time.

    `metric` decides, the primary one where none is named. It must be shown to be better by more than `least_lift`
    (`-2%`: worse by less than that; None: only not shown to be worse), or else lose at most `max_loss` on average, in
    money a unit. A metric that is shown to be worse forbids: of the secondary ones only where `secondaries_forbid`.
    `minimum_precision` is the share of the units that the plan's target needs.
    """

    metric: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    least_lift: Short | None = "0%"
    max_loss: Short | None = None
    secondaries_forbid: bool = True
    prove_guardrails: bool = True
    minimum_precision: Short | None = None

    @property
    def lift(self) -> float | None:
        """The lift that must be exceeded, as a number; None where nothing must be shown."""
        return None if self.least_lift is None else float(parse_share(self.least_lift, "rule.least_lift"))

    @property
    def loss(self) -> float | None:
        """The expected loss that is small enough, in money a unit."""
        return None if self.max_loss is None else float(self.max_loss)

    @property
    def precision(self) -> float | None:
        """The share of the planned units that must be in."""
        if self.minimum_precision is None:
            return None
        return float(parse_share(self.minimum_precision, "rule.minimum_precision"))

    @property
    def preset(self) -> str | None:
        """The name of this rule, where it has one."""
        return next((name for name, rule in PRESETS.items() if rule._values == self._values), None)

    @property
    def _values(self) -> tuple[object, ...]:
        others = (self.secondaries_forbid, self.prove_guardrails)
        return (self.metric, self.lift, self.loss, self.precision, *others)


PRESETS: Mapping[str, DecisionRule] = MappingProxyType(
    {
        "clear_signals": DecisionRule(),
        "do_no_harm": DecisionRule(least_lift=None),
        "profit_first": DecisionRule(metric="contribution_per_visitor", secondaries_forbid=False),
    }
)
"""The rules that have a name."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence of a rule: its name, and what stands in it."""

    name: str
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """In words."""
        return Worded(CLAUSES[self.name], self.facts)


CLAUSES: Mapping[str, str] = MappingProxyType(
    {
        "proof_fixed": "%(metric)s is shown to be better: its corrected p-value is below %(alpha)s.",
        "proof_always": "%(metric)s is shown to be better: its always-valid interval leaves 0 out.",
        "proof_looks": "%(metric)s is shown to be better: its interval at a planned look leaves 0 out.",
        "more_than": "%(metric)s is shown to be better by more than %(lift)s.",
        "not_worse": "%(metric)s is shown to be no worse than control by %(lift)s or more.",
        "not_harmed": "%(metric)s is not shown to be worse; it need not be shown to be better.",
        "or_loss": "Instead of that it is enough that %(metric)s loses at most %(loss)s a visitor on average if wrong.",
        "harm_any": "No other metric is shown to be worse.",
        "harm_goals": "Neither the primary metric nor a guardrail is shown to be worse; secondary metrics may be.",
        "guardrails": "Every guardrail is shown to stay within its margin.",
        "precision": "At least %(share)s of the visitors that the planned lift needs are in.",
        "days": "At least %(days)s days have passed.",
        "checks": "Every check passes.",
    }
)
"""What each clause says; pages say the same in their own languages."""


def clauses(rule: DecisionRule, primary: str, method: Monitoring, alpha: float, days: int = 0) -> tuple[Clause, ...]:
    """All that must hold to ship a variant, in the order in which it is asked; `primary` is the plan's metric."""
    metric = {"metric": rule.metric or primary}
    found = [_proof(rule, metric, method, alpha)]
    if rule.max_loss is not None:
        found.append(Clause("or_loss", metric | {"loss": rule.max_loss}))
    found.append(Clause("harm_any" if rule.secondaries_forbid else "harm_goals"))
    if rule.prove_guardrails:
        found.append(Clause("guardrails"))
    if rule.precision is not None:
        found.append(Clause("precision", {"share": f"{rule.precision * 100:g}%"}))
    if days:
        found.append(Clause("days", {"days": str(days)}))
    return (*found, Clause("checks"))


def _proof(rule: DecisionRule, metric: Mapping[str, str], method: Monitoring, alpha: float) -> Clause:
    if rule.lift is None:
        return Clause("not_harmed", metric)
    if rule.lift:
        return Clause(
            "more_than" if rule.lift > 0 else "not_worse", {**metric, "lift": f"{abs(rule.lift) * 100:g}%"}
        )  # fmt: skip
    if method == "fixed":
        return Clause("proof_fixed", {**metric, "alpha": f"{alpha:g}"})
    return Clause("proof_looks" if method == "group_sequential" else "proof_always", metric)


def check_rule(
    rule: DecisionRule, metrics: Mapping[str, Metric], primary: str, margins: Collection[Decimal], planned: bool
) -> Iterator[FieldError]:
    """What is wrong with it beside these guardrails' margins; `planned` says whether the plan names a lift to find."""
    key = rule.metric or primary
    if rule.metric is not None and rule.metric not in metrics:
        yield FieldError(
            "rule.metric",
            worded("%(key)s is not a metric; there are %(known)s", key=repr(key), known=", ".join(sorted(metrics))),
        )
    bounds = (("least_lift", Decimal(-1), LARGEST_LIFT), ("minimum_precision", SMALLEST_PRECISION, Decimal(1)))
    for name, least, most in bounds:
        yield from check_share(getattr(rule, name), f"rule.{name}", least, most)
    if rule.least_lift is None and not (rule.prove_guardrails and any(0 < margin < 1 for margin in margins)):
        yield FieldError(
            "rule.least_lift",
            worded("where nothing need be better, something must be shown to be safe: name a guardrail with a margin"),
        )
    if rule.max_loss is not None:
        yield from _check_loss(rule, metrics.get(key))
    if rule.minimum_precision is not None and not planned:
        yield FieldError(
            "rule.minimum_precision", worded("needs the smallest lift worth finding, which it is a share of")
        )


def _check_loss(rule: DecisionRule, metric: Metric | None) -> Iterator[FieldError]:
    try:
        loss = Decimal(rule.max_loss or "")
    except DecimalException:
        loss = Decimal("NaN")
    if not loss.is_finite() or not 0 < loss <= 10**9:
        yield FieldError(
            "rule.max_loss",
            worded("%(given)s is no amount of money: write for example 0.02", given=repr(rule.max_loss)),
        )
    if metric is not None and not (metric.type == "mean" and metric.numerator in MONEY_COLUMNS):
        yield FieldError(
            "rule.max_loss", worded("needs a metric of money a visitor, and %(key)s is none", key=repr(metric.key))
        )
    if rule.least_lift is None:
        yield FieldError("rule.max_loss", worded("says nothing where the metric need not be shown to be better"))
