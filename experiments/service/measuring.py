"""A storefront's own metrics: saved by versions, and taken by definitions as they are when those are saved.

A definition holds the metrics that its plan names whole, so that a later version changes no experiment that has
started; saving a draft again takes the version there is then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from experiments.errors import Conflict, Invalid
from experiments.identifiers import StorefrontId
from experiments.lifecycle import State
from experiments.moment import Micros
from experiments.saved_metrics import SavedMetric, SavedMetricInput, check_saved
from experiments.shape import convert
from experiments.storage.registry import AuditEntry, experiments, write_audit
from experiments.storage.savedmetrics import StoredMetric, add_metric_version, metric_versions, saved_metrics
from experiments.wording import worded


@dataclass(frozen=True, slots=True)
class MetricUse:
    """An experiment whose plan names the metric, and in which version."""

    experiment: str
    state: State
    version: int


def parse_metric(value: object) -> tuple[str, SavedMetric, int | None]:
    """A metric at the door: its key, what it is, and the version that was read; Invalid lists every broken rule."""
    given = convert(value, SavedMetricInput)
    fields = {name: getattr(given, name) for name in SavedMetric.__struct_fields__ if name != "version"}
    saved = SavedMetric(**fields | {"name": given.name or given.key})
    if errors := list(check_saved(given.key, saved)):
        raise Invalid(errors)
    return given.key, saved, given.version


def save_metric(conn: Connection, storefront_id: StorefrontId, value: object, actor: str, now: Micros) -> StoredMetric:
    """A new metric; Conflict where its key is taken."""
    key, saved, _ = parse_metric(value)
    if key in saved_metrics(conn, storefront_id):
        raise Conflict("key_taken", worded("There is a metric %(key)s already", key=repr(key)))
    made = add_metric_version(conn, storefront_id, key, saved, actor, now)
    _audit(conn, storefront_id, actor, "create", None, made, now)
    return made


def change_metric(
    conn: Connection, storefront_id: StorefrontId, key: str, value: object, actor: str, now: Micros
) -> StoredMetric:
    """Its next version; what has started keeps the one it took. Conflict where it was changed since it was read."""
    before = metric_versions(conn, storefront_id, key)[0]
    named, saved, version = parse_metric(value)
    if named != key:
        raise Invalid.at("key", worded("cannot change from %(key)s: definitions name it", key=repr(key)))
    if version is not None and version != before.saved.version:
        raise Conflict(
            "edited_meanwhile",
            worded(
                "%(key)s is at version %(version)s by now; look at it first",
                key=repr(key),
                version=before.saved.version,
            ),
        )
    following = msgspec.structs.replace(saved, version=before.saved.version + 1)
    changed = add_metric_version(conn, storefront_id, key, following, actor, now)
    _audit(conn, storefront_id, actor, "edit", before, changed, now)
    return changed


def metric_uses(conn: Connection, storefront_id: StorefrontId) -> dict[str, list[MetricUse]]:
    """By the key of a metric, built in or not, the experiments whose plan names it, the newest first."""
    found: dict[str, list[MetricUse]] = {}
    for experiment in experiments(conn, storefront_id):
        definition = experiment.definition
        for key in dict.fromkeys(_named(msgspec.to_builtins(definition))):
            own = definition.saved_metrics.get(key)
            use = MetricUse(experiment.key, experiment.state, own.version if own else 1)
            found.setdefault(key, []).append(use)
    return found


def with_metrics(conn: Connection, storefront_id: StorefrontId, value: Mapping[str, Any]) -> dict[str, Any]:
    """The definition's JSON with the storefront's own metrics that its plan names, as they are now."""
    stored = saved_metrics(conn, storefront_id)
    taken = {key: msgspec.to_builtins(stored[key].saved) for key in _named(value) if key in stored}
    return dict(value) | ({"saved_metrics": taken} if taken or "saved_metrics" in value else {})


def _named(value: Mapping[str, Any]) -> Iterator[str]:
    """Every metric that a plan names, of any shape: what is wrong with it is said elsewhere."""
    plan, rule = value.get("metrics"), value.get("rule")
    named: list[Any] = []
    if isinstance(plan, Mapping):
        for several in ("secondary", "guardrails"):
            given = plan.get(several)
            named += given if isinstance(given, list) else []
        named.insert(0, plan.get("primary"))
    if isinstance(rule, Mapping):
        named.append(rule.get("metric"))
    for one in named:
        key = one.get("metric") if isinstance(one, Mapping) else one
        if isinstance(key, str):
            yield key


def _audit(
    conn: Connection, storefront_id: StorefrontId, actor: str, action: str, before: StoredMetric | None,
    then: StoredMetric, now: Micros,
) -> None:  # fmt: skip
    old = None if before is None else msgspec.to_builtins(before.saved)
    entry = AuditEntry(now, actor, action, f"metric:{then.key}", old, msgspec.to_builtins(then.saved))
    write_audit(conn, storefront_id, entry)
