"""Metrics: what each of them measures, from what, and who uses it; and making one, tried on what happened lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from analysis.metric_preview import MetricPreview
from analysis.metric_preview_read import preview_metric
from experiments.errors import Conflict, FieldError, Invalid, NotEstimable
from experiments.metrics import BUILT_IN, COLUMNS, EVENT, WITH_EVENT, event_of
from experiments.saved_metrics import SavedMetric
from experiments.service.measuring import change_metric, metric_uses, parse_metric, save_metric
from experiments.storage.database import reading, writing
from experiments.storage.savedmetrics import metric_versions, saved_metrics
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.definition_form import slug
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import actor, here, page
from webapp.ui.told import told

blueprint = Blueprint("metric_list", __name__, url_prefix="/s/<storefront>/settings/metrics")

COUNTED: Mapping[str, Any] = {
    "orders": _("orders"),
    "revenue": _("money of the orders"),
    "contribution": _("contribution of the orders"),
    "item_count": _("pieces ordered"),
    "net_revenue": _("money of the orders, less refunds"),
    "refunds": _("orders refunded"),
    "refunded": _("money refunded"),
    "converted": _("whether there was an order"),
    "repeated": _("whether there were two orders or more"),
    "viewed_offer": _("whether the offer was seen"),
    "accepted": _("whether the offer was accepted"),
    "dismissed": _("whether the offer was closed"),
    EVENT: _("events of a name"),
    WITH_EVENT: _("whether there was an event of a name"),
}
"""What can be counted, in words; the last two take a name."""
DAYS = (14, 28)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a metric came to lately, or why it cannot be said."""

    found: MetricPreview | None
    refusal: str = ""


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every metric that an experiment may name."""
    return _show()


@blueprint.get("/<key>")
@page()
def read(key: str) -> ResponseReturnValue:
    """One metric of the storefront's own, to be looked at and changed."""
    with reading(the_lab().engine) as conn:
        found = metric_versions(conn, here().id, key)[0]
    return _show(changing=key, form=_typed_of(key, found.saved))


@blueprint.post("/")
@page("editor")
def save() -> ResponseReturnValue:
    """Try it on the last days, or save it: a new metric, or the next version of one."""
    form = request.form
    changing, value = form.get("changing") or None, _value(form)
    if errors := _unread(form):
        return _show(place(errors, {}), changing, form), 422
    try:
        if form.get("do") == "try":
            return _show({}, changing, form, _tried(value))
        with writing(the_lab().engine) as conn:
            if changing:
                made = change_metric(conn, here().id, changing, value, actor(), now())
            else:
                made = save_metric(conn, here().id, value, actor(), now())
    except Invalid as refusal:
        return _show(place(refusal.errors, {}), changing, form), 422
    except Conflict as refusal:
        return _show({"key": [told(refusal.message)]}, changing, form), 409
    said = gettext("%(name)s is saved, version %(version)s.", name=made.saved.name, version=made.saved.version)
    flash(said, "success")
    return redirect(url_for("metric_list.read", storefront=here().key, key=made.key))


def _tried(value: Mapping[str, Any]) -> Tried:
    key, saved, _version = parse_metric(value)
    days = request.form.get("days", type=int) or DAYS[-1]
    window = request.form.get("window_days", type=int) or 14
    try:
        with reading(the_lab().engine) as conn:
            metric = saved.metric(key)
            return Tried(preview_metric(conn, here(), metric, min(max(days, 1), 28), min(max(window, 1), 90), now()))
    except NotEstimable as refusal:
        return Tried(None, told(refusal.message))


def _value(form: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as the API writes a metric; the key is made from the name."""
    name = form.get("name", "").strip()
    value: dict[str, Any] = {
        "key": form.get("changing") or form.get("key", "").strip() or slug(name).replace("-", "_") or "metric",
        "name": name, "description": form.get("description", "").strip(), "type": form.get("type", ""),
        "numerator": _column(form, "numerator"), "direction": form.get("direction") or "increase",
    }  # fmt: skip
    if value["type"] == "ratio":
        value["denominator"] = _column(form, "denominator")
    if (cap := form.get("cap", "").strip()) and value["type"] != "proportion":
        value["cap"] = _percent(cap)
    if (version := form.get("version", "")).isdecimal():
        value["version"] = int(version)
    return value


def _unread(form: Mapping[str, str]) -> list[FieldError]:
    """What of the form is no value at all."""
    errors = []
    if not form.get("name", "").strip():
        errors.append(FieldError("name", gettext("is needed: reports and lists show it")))
    for name in ("numerator", "denominator"):
        needed = name == "numerator" or form.get("type") == "ratio"
        if needed and form.get(name) in {EVENT, WITH_EVENT} and not form.get(f"{name}_event", "").strip():
            errors.append(FieldError(name, gettext("say the name of the event, as the shop sends it")))
    cap = form.get("cap", "").strip()
    if cap and _percent(cap) is None:
        errors.append(FieldError("cap", gettext("must be a percentile, such as 99")))
    return errors


def _percent(text: str) -> float | None:
    try:
        return round(float(text.removesuffix("%").replace(",", ".")) / 100, 6)
    except ValueError:
        return None


def _column(form: Mapping[str, str], name: str) -> str:
    column = form.get(name, "")
    return column + form.get(f"{name}_event", "").strip() if column in {EVENT, WITH_EVENT} else column


def _typed_of(key: str, saved: SavedMetric) -> dict[str, Any]:
    """A saved metric as the form again."""
    typed: dict[str, Any] = {
        "key": key, "name": saved.name, "description": saved.description, "type": saved.type,
        "direction": saved.direction, "version": saved.version,
        "cap": "" if saved.cap is None else f"{saved.cap * 100:g}",
    }  # fmt: skip
    for name, column in (("numerator", saved.numerator), ("denominator", saved.denominator)):
        event = event_of(column or "")
        prefix = "" if event is None else (column or "").removesuffix(event)
        typed |= {name: prefix or column or "", f"{name}_event": event or ""}
    return typed


def _show(
    errors: Errors | None = None, changing: str | None = None, form: Any = None, tried: Tried | None = None
) -> str:
    with reading(the_lab().engine) as conn:
        own, users = saved_metrics(conn, here().id), metric_uses(conn, here().id)
        versions = metric_versions(conn, here().id, changing) if changing else ()
    return render_template(
        "settings/metrics.html", metrics=BUILT_IN.values(), columns=COLUMNS, users=users, own=own, counted=COUNTED,
        event_of=event_of, errors=errors or {}, changing=changing, form=form or {}, tried=tried, days=DAYS,
        versions=versions,
    )  # fmt: skip
