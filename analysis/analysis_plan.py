"""How a test will be read, said before it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from analysis.bayes import NormalPrior
from analysis.monitoring import Monitoring
from experiments.errors import FieldError, Invalid
from experiments.looks import Monitoring as Method
from experiments.looks import Spending
from experiments.metrics import Metric
from experiments.rules import DecisionRule

Role = Literal["primary", "secondary", "guardrail"]
Correction = Literal["none", "bonferroni", "holm", "bh", "dunnett"]


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """Metrics and their roles, the control, and the options of the reading; checked at the door.

    `weights` are the planned shares (any scale); `margins` the relative non-inferiority margins of guardrails.
    `sequential` is False for a test read once, True for a confidence sequence, or the method's name; `planned_units`
    (of control and one variant together) or `target_lift`, `looks` and `spending` are as in Monitoring. `complete` says
    that no more data will come; `permutations`, drawn from `seed`, arbitrate where a normal approximation is not safe.
    `rule` says when a variant is shipped; an experiment's report waits until `minimum_days` have passed. `segments` are
    the groups that will be compared whatever the result; others are looked at besides. `currency` is what money is
    written in, in sentences.
    Without roles the first metric is the primary one for the verdict. Raises Invalid.
    """

    metrics: tuple[Metric, ...]
    control: str
    roles: Mapping[str, Role] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] | None = None
    confidence: float = 0.95
    sequential: bool | Method = False
    planned_units: int | None = None
    target_lift: float | None = None
    looks: int | tuple[float, ...] = 5
    spending: Spending = "obrien_fleming"
    correction: Correction = "holm"
    prior: NormalPrior | None = None
    complete: bool = True
    minimum_units: int = 0
    minimum_days: int = 0
    rule: DecisionRule = field(default_factory=DecisionRule)
    permutations: int = 9_999
    seed: int = 0
    experiment: str | None = None
    as_of: str | None = None
    segments: tuple[str, ...] = ()
    currency: str | None = None

    def __post_init__(self) -> None:
        keys = [m.key for m in self.metrics]
        errors = [FieldError("metrics", f"{key!r} is named twice") for key in set(keys) if keys.count(key) > 1]
        if not keys:
            errors.append(FieldError("metrics", "at least one is needed"))
        errors += [FieldError("roles", f"no metric {key!r}") for key in self.roles if key not in keys]
        errors += [FieldError("margins", f"no metric {key!r}") for key in self.margins if key not in keys]
        errors += [
            FieldError("margins", f"{m!r} is not between 0 and 1") for m in self.margins.values() if not 0 < m < 1
        ]
        if not 0.5 <= self.confidence < 1:
            errors.append(FieldError("confidence", f"{self.confidence!r} is not from 0.5 to below 1"))
        if self.correction not in get_args(Correction):
            errors.append(FieldError("correction", f"{self.correction!r} is none of {', '.join(get_args(Correction))}"))
        if not 0 <= self.permutations <= 10**6:
            errors.append(FieldError("permutations", f"{self.permutations!r} is not between 0 and a million"))
        errors += self.monitoring.broken()
        if self.rule.metric is not None and self.rule.metric not in keys:
            errors.append(FieldError("rule.metric", f"no metric {self.rule.metric!r}"))
        if self.weights is not None and any(not w >= 0 for w in self.weights.values()):
            errors.append(FieldError("weights", "no weight is below 0"))
        if errors:
            raise Invalid(errors)

    @property
    def alpha(self) -> float:
        """The error rate that the confidence leaves."""
        # 1 - 0.95 is 0.050000000000000044: the decimal that was meant
        return round(1 - self.confidence, 12)

    @property
    def monitoring(self) -> Monitoring:
        """How the test is looked at while it runs."""
        if isinstance(self.sequential, bool):
            method: Method = "confidence_sequence" if self.sequential else "fixed"
        else:
            method = self.sequential
        return Monitoring(method, self.planned_units, self.target_lift, self.looks, self.spending)

    @property
    def monitored(self) -> bool:
        """Whether it may be looked at before its end."""
        return self.monitoring.method != "fixed"

    def role(self, metric: str) -> Role | None:
        """A metric's role, None where none was given."""
        return self.roles.get(metric)

    def currency_of(self, metric: str) -> str | None:
        """The currency that a metric's values are in; None where they are no money, or nobody said which."""
        return self.currency if any(m.key == metric and m.unit == "money" for m in self.metrics) else None

    def decides(self, metric: str) -> bool:
        """Whether the rule ships by this metric."""
        return metric == self.rule.metric if self.rule.metric else self.deciding_role(metric) == "primary"

    def deciding_role(self, metric: str) -> Role:
        """The role the verdict reads: the one given, else the first metric is primary and the others secondary."""
        if self.roles:
            return self.roles.get(metric, "secondary")
        return "primary" if metric == self.metrics[0].key else "secondary"
