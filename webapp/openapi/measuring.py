"""Metrics: what those routes take and give."""

from collections.abc import Mapping
from typing import Any

import msgspec

from analysis.metric_preview import MetricPreview
from experiments.lifecycle import State
from experiments.metrics import Direction, MetricType
from experiments.saved_metrics import SavedMetricInput
from webapp.api.measuring import MetricPreviewInput
from webapp.openapi.managed import AuditTrail
from webapp.openapi.operation import Operation

EXAMPLE: dict[str, Any] = {
    "key": "signups", "name": "Sign-ups", "type": "proportion", "numerator": "with_event:newsletter_signup",
}  # fmt: skip


class MetricUser(msgspec.Struct, frozen=True):
    """An experiment whose plan names the metric, and the version that it took."""

    experiment: str
    state: State
    version: int


class MetricFacts(msgspec.Struct, frozen=True):
    """A metric: its columns, and which way is better; one that is built in has one version, and nobody saved it."""

    key: str
    name: str
    description: str
    type: MetricType
    numerator: str
    denominator: str | None
    cap: float | None
    direction: Direction
    built_in: bool
    version: int
    saved_by: str | None
    saved_at: str | None
    used_by: list[MetricUser]


class MetricHistory(MetricFacts, frozen=True):
    """A metric with all its versions, the newest first."""

    versions: list[MetricFacts]


class MetricList(msgspec.Struct, frozen=True):
    """The metrics that an experiment may name."""

    metrics: list[MetricFacts]


class MetricChange(SavedMetricInput, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A metric's next version; its key cannot change."""

    key: str | None = None  # type: ignore[assignment]  # the path says it


METRICS: Mapping[str, Operation] = {
    "measuring.list_metrics": Operation(tag="Experiments", answer=MetricList),
    "measuring.save_metric": Operation(
        tag="Experiments", body=SavedMetricInput, answer=MetricFacts, status=201, refuses=(409,), example=EXAMPLE
    ),
    "measuring.read_metric": Operation(tag="Experiments", answer=MetricHistory, path={"key": "signups"}),
    "measuring.replace_metric": Operation(
        tag="Experiments", body=MetricChange, answer=MetricFacts, refuses=(409,), path={"key": "signups"},
        example={"type": "proportion", "numerator": "with_event:newsletter_signup", "version": 1},
    ),
    "measuring.audit_metric": Operation(tag="Experiments", answer=AuditTrail, path={"key": "signups"}),
    "measuring.preview": Operation(
        tag="Experiments", body=MetricPreviewInput, answer=MetricPreview, name="preview_metric",
        example={"metric": {"type": "mean", "numerator": "event:newsletter_signup"}, "days": 14},
    ),
}  # fmt: skip
