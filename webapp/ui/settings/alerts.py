"""Alerts: where they go, which kinds, a test, and what became of the last messages."""

import secrets
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from experiments.alerts import KINDS
from experiments.errors import Conflict, Invalid
from experiments.service.alert_targets import (
    SECRET_BYTES,
    change_targets,
    renew_secret,
    send_test,
    shown_host,
    targets_json,
)
from experiments.storage.database import reading, writing
from experiments.storage.outbox import messages, targets
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.alert_words import ALERTS, CHANNELS, DELIVERIES
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import actor, here, page

blueprint = Blueprint("alerts", __name__, url_prefix="/s/<storefront>/settings/alerts")

LAST = 12
"""Messages on the page; the API has more."""


@blueprint.get("/")
@page()
def show() -> ResponseReturnValue:
    """Where they go now, and what was sent."""
    return _show()


@blueprint.post("/")
@page("admin")
def change() -> ResponseReturnValue:
    """Other targets; the secret of a webhook that is new is shown on this answer and never again."""
    typed, lab = request.form, the_lab()
    emails = typed.get("emails", "").replace(",", " ").split()
    value: dict[str, Any] = {
        "webhook_url": typed.get("webhook_url", "").strip() or None,
        "emails": emails,
        "tells_people": "tells_people" in typed,
        "kinds": typed.getlist("kinds"),
    }
    try:
        with writing(lab.engine) as conn:
            secret = change_targets(
                conn, here(), value, secrets.token_bytes(SECRET_BYTES), lab.seal, actor(), now(),
                plain_http=lab.settings.private_webhooks,
            )  # fmt: skip
    except Invalid as refusal:
        return _show(_errors(refusal, emails), value | {"emails": typed.get("emails", "")}), 422
    if secret is not None:
        return _with_secret(secret)
    flash(gettext("Saved. The next alert goes there."), "success")
    return redirect(url_for("alerts.show", storefront=here().key))


@blueprint.post("/secret")
@page("admin")
def renew() -> ResponseReturnValue:
    """A new secret, shown on this answer and never again."""
    lab = the_lab()
    with writing(lab.engine) as conn:
        secret = renew_secret(conn, here(), secrets.token_bytes(SECRET_BYTES), lab.seal, actor(), now())
    return _with_secret(secret)


@blueprint.post("/test")
@page("admin")
def test() -> ResponseReturnValue:
    """A test to every target."""
    try:
        with writing(the_lab().engine) as conn:
            count = send_test(conn, here(), actor(), now())
    except Conflict:
        flash(gettext("There is nobody to send to yet: give a webhook or an e-mail address first."), "warning")
    else:
        said = ngettext(
            "One test is on its way: within seconds it stands below what became of it.",
            "%(num)s tests are on their way: within seconds it stands below what became of them.", count,
        )  # fmt: skip
        flash(said, "success")
    return redirect(url_for("alerts.show", storefront=here().key))


def _errors(refusal: Invalid, emails: list[str]) -> Errors:
    """By field; each address that is none is named once, under the list."""
    placed = place(refusal.errors, {})
    wrong = [name for name in placed if name.startswith("emails[")]
    named = [emails[int(name[len("emails[") : -1])] for name in wrong]
    errors = {name: said for name, said in placed.items() if name not in wrong}
    if named:
        errors["emails"] = [gettext("No e-mail address: %(listed)s", listed=", ".join(dict.fromkeys(named)))]
    return errors


def _with_secret(secret: str) -> ResponseReturnValue:
    answer = make_response(_show(made=secret), 201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _show(errors: Errors | None = None, form: dict[str, Any] | None = None, made: str | None = None) -> str:
    lab = the_lab()
    with reading(lab.engine) as conn:
        held, sent = targets(conn, here().id), messages(conn, here().id, LAST)
    now_set = targets_json(held, lab.seal)
    shown = form or now_set | {"emails": "\n".join(now_set["emails"])}
    return render_template(
        "settings/alerts.html", form=shown, errors=errors or {}, made=made, sent=sent, kinds=KINDS, words=ALERTS,
        channels=CHANNELS, deliveries=DELIVERIES, host=shown_host(now_set["webhook_url"] or ""),
        has_mail=bool(lab.settings.smtp_url), given_up=sum(m.state == "failed" for m in sent),
    )  # fmt: skip
