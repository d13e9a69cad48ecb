"""Alerting: what the watch found is told once, written with what is to be sent, and acted on where the plan says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from experiments.alerts import ACTOR, SAID, AlertKind, Condition
from experiments.errors import Conflict, Invalid
from experiments.moment import Micros, iso
from experiments.service.defining import act
from experiments.service.people import normal_email
from experiments.storage.alerts import Alert, clear_alert, mark_acted, open_alerts, raise_alert
from experiments.storage.outbox import Channel, Targets, put_message, targets
from experiments.storage.registry import Experiment, get_experiment
from experiments.storage.storefronts import Storefront


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at an experiment found: the conditions that hold, and the kinds whose alerts are over."""

    conditions: Sequence[Condition] = ()
    over: Sequence[AlertKind] = ()


def tell(
    conn: Connection, storefront: Storefront, experiment: Experiment, seen: Seen, now: Micros, public_url: str = ""
) -> list[Alert]:
    """The alerts that are new, each with its messages in the outbox; the experiment is paused where it asked for that.

    Doing it again, or twice at once, tells nothing twice. `public_url` is where people open the pages.
    """
    told = [
        alert for found in seen.conditions
        if (alert := raise_alert(conn, storefront.id, experiment.id, found, now)) is not None
    ]  # fmt: skip
    standing = open_alerts(conn, [experiment.id]).get(experiment.id, [])
    for alert in standing:
        if alert.kind in seen.over:
            clear_alert(conn, alert.id, now)
    pausing = [a for a in standing if a.kind in experiment.definition.schedule.pause_when and a.acted_at is None]
    if pausing and (paused := _pause(conn, storefront, experiment, pausing, now)) is not None:
        told.append(paused)
    if told:
        where = targets(conn, storefront.id)
        for alert in told:
            _post(conn, storefront, experiment, alert, where, now, public_url)
    return told


def _pause(
    conn: Connection, storefront: Storefront, experiment: Experiment, why: Sequence[Alert], now: Micros
) -> Alert | None:
    """Pause it as a person would, once for each alert: who resumes it has seen that one, and is not overruled."""
    if get_experiment(conn, storefront.id, experiment.key).state != "running":
        return None
    reason = " ".join(dict.fromkeys(f"{SAID[a.kind]} {a.detail}" for a in why))
    try:
        act(conn, storefront, experiment.key, "pause", ACTOR, now, reason)
    except Conflict:  # somebody steers it at this moment: they go first, and the next look finds what they made of it
        return None
    mark_acted(conn, [a.id for a in why], now)
    return raise_alert(conn, storefront.id, experiment.id, Condition("auto_paused", detail=reason), now)


def _post(
    conn: Connection, storefront: Storefront, experiment: Experiment, alert: Alert, where: Targets, now: Micros,
    public_url: str,
) -> None:  # fmt: skip
    if alert.kind not in where.kinds:
        return
    body = message_body(storefront, experiment, alert, public_url)
    for channel, target in addresses(experiment, where):
        put_message(conn, storefront.id, alert.id, channel, target, body, now)


def addresses(experiment: Experiment | None, where: Targets) -> Iterator[tuple[Channel, str]]:
    """Each way that a message goes, once: the webhook, the storefront's list, the experiment's owner and watchers."""
    if where.webhook_url is not None:
        yield "webhook", ""
    about = experiment.definition.about if experiment is not None and where.tells_people else None
    people = [*where.emails, *([about.owner, *about.watchers] if about is not None else [])]
    yield from (("email", email) for email in dict.fromkeys(filter(None, map(_email, people))))


def _email(contact: str) -> str | None:
    """The address that a contact is; an owner may also be a team's name, whom no mail reaches."""
    try:
        return normal_email(contact)
    except Invalid:
        return None


def message_body(storefront: Storefront, experiment: Experiment, alert: Alert, public_url: str) -> dict[str, Any]:
    """What is sent: for programs its parts, for chats and people a `text` of a line or two."""
    name = " ".join(experiment.definition.name.split()) or experiment.key
    path = f"/s/{storefront.key}/experiments/{experiment.key}"
    url = f"{public_url.rstrip('/')}{path}" if public_url else ""
    said = " ".join(part for part in (f"{name}: {SAID[alert.kind]}", alert.detail, url) if part)
    return {
        "type": "alert",
        "alert": alert.id,
        "kind": alert.kind,
        "about": alert.about,
        "storefront": storefront.key,
        "experiment": experiment.key,
        "name": name,
        "raised_at": iso(alert.raised_at),
        "detail": alert.detail,
        "url": url or None,
        "text": said,
    }
