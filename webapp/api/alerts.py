"""Alerts over the management API: what was told, where it goes, and what became of each message."""

import secrets
from typing import Any

from flask import Blueprint, Response, request

from experiments.alerts import SAID
from experiments.errors import Invalid
from experiments.moment import iso
from experiments.service.alert_targets import (
    SECRET_BYTES,
    change_targets,
    renew_secret,
    send_test,
    targets_json,
)
from experiments.storage.alerts import Alert, alerts
from experiments.storage.database import reading, writing
from experiments.storage.outbox import Message, messages, targets
from experiments.storage.registry import get_experiment
from webapp.api.management import authenticate, json_answer, json_body, the_caller, the_storefront
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("alerting", __name__, url_prefix="/api/v1/alerts")
blueprint.before_request(authenticate)

PAGE, LARGEST_PAGE = 100, 1000


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as the API writes it."""
    return {
        "id": alert.id, "experiment": alert.experiment, "kind": alert.kind, "about": alert.about,
        "text": SAID[alert.kind], "detail": alert.detail, "raised_at": iso(alert.raised_at),
        "cleared_at": None if alert.cleared_at is None else iso(alert.cleared_at),
        "paused_at": None if alert.acted_at is None else iso(alert.acted_at), "needs_somebody": alert.needs_somebody,
    }  # fmt: skip


def delivery_json(message: Message) -> dict[str, Any]:
    """A message of the outbox as the API writes it; of a webhook its address is left out, as it may be a secret."""
    return {
        "id": message.id, "alert": message.alert_id, "channel": message.channel, "target": message.target,
        "state": message.state, "attempts": message.attempts, "error": message.error, "text": message.body["text"],
        "created_at": iso(message.created_at),
        "due_at": iso(message.due_at) if message.state == "waiting" else None,
        "settled_at": None if message.settled_at is None else iso(message.settled_at),
    }  # fmt: skip


@blueprint.get("")
def list_alerts() -> Response:
    """What the watch told, newest first; of one experiment, or what still waits for somebody; `next` goes on."""
    key, limit = request.args.get("experiment"), _whole("limit", PAGE, LARGEST_PAGE)
    before = _whole("before", 0, 2**53)
    with reading(the_lab().engine) as conn:
        if key is not None:
            get_experiment(conn, the_storefront().id, key)
        found = alerts(conn, the_storefront().id, key, waiting=_flag("waiting"), limit=limit + 1, before=before or None)
    following = found[limit - 1].id if len(found) > limit else None
    return json_answer({"alerts": [alert_json(a) for a in found[:limit]], "next": following})


@blueprint.get("/settings")
def read_alert_settings() -> Response:
    """Where alerts go, and which kinds; the webhook's secret is told once, when it is made."""
    lab = the_lab()
    with reading(lab.engine) as conn:
        return json_answer(targets_json(targets(conn, the_storefront().id), lab.seal))


@blueprint.patch("/settings")
def change_alert_settings() -> Response:
    """Other targets or kinds; a webhook that is new, or whose address changes, gets a `secret`, told here alone."""
    value, lab, here, actor = json_body(), the_lab(), the_storefront(), the_caller().actor
    random = secrets.token_bytes(SECRET_BYTES)
    with writing(lab.engine) as conn:
        secret = change_targets(
            conn, here, value, random, lab.seal, actor, now(), plain_http=lab.settings.private_webhooks
        )
        shown = targets_json(targets(conn, here.id), lab.seal)
    return json_answer(shown | {"secret": secret}, 200, **{"Cache-Control": "no-store"})


@blueprint.post("/secret")
def renew_alert_secret() -> Response:
    """A new secret for the webhook, told here alone; the old one signs nothing any more."""
    lab, random = the_lab(), secrets.token_bytes(SECRET_BYTES)
    with writing(lab.engine) as conn:
        secret = renew_secret(conn, the_storefront(), random, lab.seal, the_caller().actor, now())
    return json_answer({"secret": secret}, 201, **{"Cache-Control": "no-store"})


@blueprint.post("/test")
def send_test_alert() -> Response:
    """A test to every target: it waits in the outbox like any alert, and goes within seconds."""
    with writing(the_lab().engine) as conn:
        count = send_test(conn, the_storefront(), the_caller().actor, now())
    return json_answer({"messages": count}, 201)


@blueprint.get("/deliveries")
def list_alert_deliveries() -> Response:
    """The last messages, newest first: sent, waiting for another try, or given up, with the last reason."""
    with reading(the_lab().engine) as conn:
        found = messages(conn, the_storefront().id, _whole("limit", PAGE, LARGEST_PAGE))
    return json_answer({"deliveries": [delivery_json(m) for m in found]})


def _whole(name: str, otherwise: int, most: int) -> int:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and 1 <= int(text) <= most):
        raise Invalid.at(name, f"must be a whole number from 1 to {most}, and is {text!r}")
    return int(text)


def _flag(name: str) -> bool:
    text = request.args.get(name, "false")
    if text not in {"true", "false"}:
        raise Invalid.at(name, f"must be true or false, and is {text!r}")
    return text == "true"
