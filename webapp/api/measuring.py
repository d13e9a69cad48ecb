"""Metrics over the management API: those that every storefront has, its own by versions, and a look at either."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, request

from analysis.metric_preview_read import preview_metric
from experiments.errors import Invalid
from experiments.identifiers import Key
from experiments.metrics import BUILT_IN, Metric
from experiments.moment import iso
from experiments.saved_metrics import SavedMetric
from experiments.service import measuring
from experiments.service.measuring import MetricUse, metric_uses, parse_metric
from experiments.shape import decode
from experiments.storage.database import reading, writing
from experiments.storage.registry import read_audit
from experiments.storage.savedmetrics import StoredMetric, metric_versions, saved_metrics
from webapp.api.management import (
    audit_answer,
    authenticate,
    json_answer,
    json_body,
    the_caller,
    the_storefront,
)
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("measuring", __name__, url_prefix="/api/v1/metrics")
blueprint.before_request(authenticate)

MOST_DAYS, MOST_WINDOW = 28, 90


class MetricPreviewInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to try: a metric by its key, or one that nobody has saved; on the last days, each visitor for a window."""

    key: Key | None = None
    metric: dict[str, Any] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = MOST_DAYS
    window_days: Annotated[int, msgspec.Meta(ge=1, le=MOST_WINDOW)] = 14


def metric_json(metric: Metric, stored: StoredMetric | None, used_by: Sequence[MetricUse]) -> dict[str, Any]:
    """A metric, with the experiments that name it and the version they took."""
    saved = None if stored is None else stored.saved
    return {
        "key": metric.key,
        "name": "" if saved is None else saved.name,
        "description": "" if saved is None else saved.description,
        "type": metric.type,
        "numerator": metric.numerator,
        "denominator": metric.denominator,
        "cap": metric.cap,
        "direction": metric.direction,
        "built_in": stored is None,
        "version": 1 if saved is None else saved.version,
        "saved_by": None if stored is None else stored.saved_by,
        "saved_at": None if stored is None else iso(stored.saved_at),
        "used_by": [{"experiment": use.experiment, "state": use.state, "version": use.version} for use in used_by],
    }


def _stored_json(stored: StoredMetric, used: Mapping[str, Sequence[MetricUse]]) -> dict[str, Any]:
    return metric_json(stored.saved.metric(stored.key), stored, used.get(stored.key, ()))


@blueprint.get("")
def list_metrics() -> Response:
    """The metrics an experiment may name: those that every storefront has, then its own."""
    here = the_storefront().id
    with reading(the_lab().engine) as conn:
        own, used = saved_metrics(conn, here), metric_uses(conn, here)
    shown = [metric_json(metric, None, used.get(key, ())) for key, metric in BUILT_IN.items()]
    return json_answer({"metrics": [*shown, *(_stored_json(stored, used) for stored in own.values())]})


@blueprint.post("")
def save_metric() -> Response:
    """A new metric of the storefront's own."""
    value, caller = json_body(), the_caller()
    with writing(the_lab().engine) as conn:
        made = measuring.save_metric(conn, the_storefront().id, value, caller.actor, now())
    return json_answer(_stored_json(made, {}), 201)


@blueprint.get("/<key>")
def read_metric(key: str) -> Response:
    """One metric of the storefront's own, its newest version first among all of them."""
    here = the_storefront().id
    with reading(the_lab().engine) as conn:
        found, used = metric_versions(conn, here, key), metric_uses(conn, here)
    versions = [_stored_json(stored, {}) for stored in found]
    return json_answer(_stored_json(found[0], used) | {"versions": versions})


@blueprint.put("/<key>")
def replace_metric(key: str) -> Response:
    """Its next version; what has started keeps the one it took, and drafts take this one when they are saved again."""
    value, caller, here = json_body(), the_caller(), the_storefront().id
    if not isinstance(value, dict):
        raise Invalid.at("", "must be an object")
    with writing(the_lab().engine) as conn:
        changed = measuring.change_metric(conn, here, key, {"key": key} | value, caller.actor, now())
        used = metric_uses(conn, here)
    return json_answer(_stored_json(changed, used))


@blueprint.get("/<key>/audit")
def audit_metric(key: str) -> Response:
    """Who changed it, newest first."""
    here = the_storefront().id
    with reading(the_lab().engine) as conn:
        metric_versions(conn, here, key)
        entries = read_audit(conn, here, f"metric:{key}")
    return audit_answer(entries)


@blueprint.post("/preview")
def preview() -> Response:
    """What a metric came to lately without an offer, how much it varies, and which effect weeks of it could show."""
    given = decode(request.get_data() or b"{}", MetricPreviewInput)
    if (given.key is None) == (given.metric is None):
        raise Invalid.at("key", "name a metric, or give one: one of the two")
    with reading(the_lab().engine) as conn:
        metric = _asked(given, {key: stored.saved for key, stored in saved_metrics(conn, the_storefront().id).items()})
        found = preview_metric(conn, the_storefront(), metric, given.days, given.window_days, now())
    return json_answer(found.to_dict())


def _asked(given: MetricPreviewInput, own: Mapping[str, SavedMetric]) -> Metric:
    if given.key is not None:
        known = BUILT_IN.get(given.key) or (own[given.key].metric(given.key) if given.key in own else None)
        if known is None:
            raise Invalid.at("key", f"{given.key!r} is no metric; there are {', '.join([*BUILT_IN, *own])}")
        return known
    key, saved, _ = parse_metric({"key": "preview", **(given.metric or {})})
    return saved.metric(key)
