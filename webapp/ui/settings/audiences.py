"""Saved audiences: who is meant, said once and used in the targeting of many experiments."""

import json
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.audiences import Audience, audience_json, named_audiences
from experiments.errors import Conflict, Invalid, NotFound
from experiments.service.settings import create_audience, replace_audience
from experiments.storage.audiences import audiences
from experiments.storage.database import reading, writing
from experiments.storage.registry import experiments
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import actor, here, page
from webapp.ui.targeting_rows import in_words, parse_value
from webapp.ui.told import told

blueprint = Blueprint("audiences", __name__, url_prefix="/s/<storefront>/settings/audiences")


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """Every audience, what it means in words, and the experiments that name it."""
    return _show()


@blueprint.get("/<key>")
@page()
def read(key: str) -> ResponseReturnValue:
    """One audience, to be changed."""
    with reading(the_lab().engine) as conn:
        found = audiences(conn, here().id).get(key)
    if found is None:
        raise NotFound(gettext("There is no audience %(key)s", key=key))
    return _show(changing=key, form=_typed_of(found))


@blueprint.post("/")
@page("editor")
def save() -> ResponseReturnValue:
    """A new audience, or the same one meaning others."""
    lab, form = the_lab(), request.form
    changing = form.get("changing") or None
    try:
        value = _value(form.get("type", ""), form)
        with writing(lab.engine) as conn:
            if changing:
                replace_audience(conn, here().id, changing, value, actor(), now())
            else:
                create_audience(conn, here().id, value, actor(), now())
    except Invalid as refusal:
        return _show(place(refusal.errors, {}), changing, form), 422
    except Conflict as refusal:
        return _show({"key": [told(refusal.message)]}, changing, form), 409
    lab.snapshots.refresh(now())
    flash(gettext("Saved. Experiments that name it follow at once."), "success")
    return redirect(url_for("audiences.listing", storefront=here().key))


def _value(kind: str, form: Any) -> dict[str, Any]:
    """What was typed, as the API writes an audience."""
    value: dict[str, Any] = {"key": form.get("key", "").strip(), "name": form.get("name", "").strip(), "type": kind}
    if kind == "list":
        lines = [line.strip() for line in form.get("values", "").splitlines()]
        values = [parse_value(line) for line in lines if line]
        return value | {"attribute": form.get("attribute", "").strip() or "id", "values": values}
    try:
        condition = json.loads(form.get("condition", "") or "{}")
    except (ValueError, RecursionError):
        raise Invalid.at("condition", gettext('is no JSON; write for example {"country": {"$in": ["DE"]}}')) from None
    return value | {"condition": condition}


def _typed_of(found: Audience) -> dict[str, str]:
    shown = audience_json(found)
    typed = {"key": found.key, "name": found.name, "type": shown["type"]}
    if found.is_list:
        return typed | {"attribute": shown["attribute"], "values": "\n".join(str(v) for v in shown["values"])}
    return typed | {"condition": json.dumps(shown["condition"], indent=1, ensure_ascii=False)}


def _show(errors: Errors | None = None, changing: str | None = None, form: Any = None) -> str:
    with reading(the_lab().engine) as conn:
        found = list(audiences(conn, here().id).values())
        known = experiments(conn, here().id)
    users = {a.key: [e for e in known if a.key in named_audiences(e.definition.targeting)] for a in found}
    meant = {a.key: None if a.is_list else in_words(a.group["condition"]) for a in found}
    return render_template(
        "settings/audiences.html", audiences=found, meant=meant, users=users, errors=errors or {}, changing=changing,
        form=form or {}, as_json=audience_json,
    )  # fmt: skip
