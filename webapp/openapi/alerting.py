"""Alerts: what those routes take and give."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from experiments.alerts import AlertKind
from experiments.service.alert_targets import TargetsChange
from experiments.storage.outbox import Channel, DeliveryState
from webapp.api.alerts import LARGEST_PAGE, PAGE
from webapp.openapi.operation import Operation, Query
from webapp.openapi.shapes import whole


class AlertAnswer(msgspec.Struct, frozen=True):
    """What was told of an experiment; `about` says of which metric and variant, `detail` the facts."""

    id: int
    experiment: str
    kind: AlertKind
    about: str
    text: str
    detail: str
    raised_at: str
    cleared_at: str | None
    paused_at: str | None
    needs_somebody: bool


class AlertList(msgspec.Struct, frozen=True):
    """Alerts, newest first; `next` is the `before` of the following page."""

    alerts: list[AlertAnswer]
    next: int | None


class AlertSettings(msgspec.Struct, frozen=True):
    """Where a storefront's alerts go."""

    webhook_url: str | None
    emails: list[str]
    tells_people: bool
    kinds: list[AlertKind]


class ChangedAlertSettings(AlertSettings, frozen=True):
    """Where they go now; `secret` signs what is posted to a webhook that is new, and is told here alone."""

    secret: str | None


class AlertSecret(msgspec.Struct, frozen=True):
    """What signs the webhook from now on."""

    secret: str


class AlertTest(msgspec.Struct, frozen=True):
    """How many messages wait to be sent."""

    messages: int


class AlertDelivery(msgspec.Struct, frozen=True):
    """One message; `target` is the address of an e-mail, and empty for the webhook."""

    id: int
    alert: int | None
    channel: Channel
    target: str
    state: DeliveryState
    attempts: int
    error: str
    text: str
    created_at: str
    due_at: str | None
    settled_at: str | None


class AlertDeliveries(msgspec.Struct, frozen=True):
    """The last messages, newest first."""

    deliveries: list[AlertDelivery]


LIMIT = Query("limit", whole(1, LARGEST_PAGE, PAGE), "At most so many of them.", example=100)

ALERTS: Mapping[str, Operation] = {
    "alerting.list_alerts": Operation(
        tag="Alerts", answer=AlertList, refuses=(404, 422),
        query=(
            Query("experiment", str, "Only this experiment's, by its key.", example="cart-offers"),
            Query("waiting", Literal["true", "false"], "Only what still waits for somebody.", example="false"),
            LIMIT,
            Query("before", whole(1, 2**53, 2**53), "Only those older than the alert with this id."),
        ),
    ),
    "alerting.read_alert_settings": Operation(tag="Alerts", answer=AlertSettings),
    "alerting.change_alert_settings": Operation(
        tag="Alerts", body=TargetsChange, answer=ChangedAlertSettings,
        example={"webhook_url": "https://hooks.example/offers", "emails": ["team@shop.example"], "kinds": ["ended"]},
    ),
    "alerting.renew_alert_secret": Operation(tag="Alerts", answer=AlertSecret, status=201, refuses=(409,)),
    "alerting.send_test_alert": Operation(tag="Alerts", answer=AlertTest, status=201, refuses=(409,)),
    "alerting.list_alert_deliveries": Operation(tag="Alerts", answer=AlertDeliveries, refuses=(422,), query=(LIMIT,)),
}  # fmt: skip
