"""Where alerts go: a storefront's webhook, its list of addresses, and which kinds; each change stands in the trail."""

import base64
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection

from experiments.alerts import AlertKind
from experiments.errors import Conflict, FieldError, Invalid
from experiments.moment import Micros, iso
from experiments.sealing import Seal
from experiments.service.alerting import addresses
from experiments.service.people import normal_email
from experiments.shape import convert
from experiments.storage.outbox import Targets, put_message, put_targets, targets, withdraw_posts
from experiments.storage.registry import AuditEntry, write_audit
from experiments.storage.storefronts import Storefront
from experiments.wording import worded

LONGEST_URL = 2000
SECRET_BYTES = 24


class TargetsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of it changes; what is not given stays. A `webhook_url` of null takes the webhook out."""

    webhook_url: Annotated[str, msgspec.Meta(max_length=LONGEST_URL)] | msgspec.UnsetType | None = msgspec.UNSET
    emails: Annotated[list[str], msgspec.Meta(max_length=50)] | msgspec.UnsetType = msgspec.UNSET
    tells_people: bool | msgspec.UnsetType = msgspec.UNSET
    kinds: list[AlertKind] | msgspec.UnsetType = msgspec.UNSET


def change_targets(
    conn: Connection, storefront: Storefront, value: object, random: bytes, seal: Seal, actor: str, now: Micros,
    *, plain_http: bool = False,
) -> str | None:  # fmt: skip
    """Other targets from now on; the secret of a webhook that is new, which is shown once, else None.

    `random` makes the secret; `plain_http` allows addresses without TLS, for receivers on one's own network. Invalid
    names what cannot be.
    """
    given = convert(value, TargetsChange)
    before = targets(conn, storefront.id)
    then, secret = before, None
    errors: list[FieldError] = []
    if given.webhook_url is not msgspec.UNSET:
        url = (given.webhook_url or "").strip()
        errors += check_url(url, plain_http=plain_http) if url else []
        if not url:
            then = replace(then, webhook_url=None, webhook_secret=None)
        elif not errors and (before.webhook_url is None or seal.open(before.webhook_url) != url):
            secret = make_secret(random)
            then = replace(then, webhook_url=seal.close(url), webhook_secret=seal.close(secret))
    if given.emails is not msgspec.UNSET:
        then = replace(then, emails=tuple(dict.fromkeys(_emails(given.emails, errors))))
    if given.tells_people is not msgspec.UNSET:
        then = replace(then, tells_people=given.tells_people)
    if given.kinds is not msgspec.UNSET:
        then = replace(then, kinds=tuple(dict.fromkeys(given.kinds)))
    if errors:
        raise Invalid(errors)
    if then != before:
        put_targets(conn, storefront.id, then)
        if then.webhook_url is None:
            withdraw_posts(conn, storefront.id, now)
        entry = AuditEntry(now, actor, "edit", "alerts", _told(before, seal), _told(then, seal))
        write_audit(conn, storefront.id, entry)
    return secret


def renew_secret(
    conn: Connection, storefront: Storefront, random: bytes, seal: Seal, actor: str, now: Micros
) -> str:  # fmt: skip
    """A new secret for the webhook, which is shown once; Conflict where there is no webhook."""
    before = targets(conn, storefront.id)
    if before.webhook_url is None:
        raise Conflict("no_webhook", worded("There is no webhook whose secret could be renewed"))
    secret = make_secret(random)
    put_targets(conn, storefront.id, replace(before, webhook_secret=seal.close(secret)))
    write_audit(conn, storefront.id, AuditEntry(now, actor, "renew", "alerts:secret", None, None))
    return secret


def send_test(conn: Connection, storefront: Storefront, actor: str, now: Micros) -> int:
    """A message to every target of the storefront, into the outbox; how many. Conflict where there is no target."""
    where = targets(conn, storefront.id)
    text = f"{storefront.name}: a test of Offerlab's alerts, sent by {actor}. Nothing is wrong."
    body = {"type": "test", "storefront": storefront.key, "raised_at": iso(now), "text": text}
    ways = list(addresses(None, where))
    if not ways:
        raise Conflict("no_targets", worded("There is nobody to send to: give a webhook or an e-mail address first"))
    for channel, target in ways:
        put_message(conn, storefront.id, None, channel, target, body, now)
    return len(ways)


def targets_json(where: Targets, seal: Seal) -> dict[str, Any]:
    """As the API writes it; the secret is never told again."""
    return {
        "webhook_url": None if where.webhook_url is None else seal.open(where.webhook_url),
        "emails": list(where.emails),
        "tells_people": where.tells_people,
        "kinds": list(where.kinds),
    }


def make_secret(random: bytes) -> str:
    """A secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(random).decode()


def check_url(url: str, *, plain_http: bool = False) -> list[FieldError]:
    """What is wrong with the address of a webhook; where its host is on the network is asked when it is called."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return [FieldError("webhook_url", worded("%(url)s is no web address", url=repr(url)))]
    schemes = ("https", "http") if plain_http else ("https",)
    if parts.scheme not in schemes or not host or any(c.isspace() or ord(c) < 33 or ord(c) > 126 for c in url):
        return [FieldError("webhook_url", worded("must be a web address that begins with https://"))]
    if parts.username is not None or parts.fragment:
        return [FieldError("webhook_url", worded("must have no user's name and no #fragment in it"))]
    return []


def shown_host(url: str) -> str:
    """What may be shown of a webhook's address: the rest of it often is a secret."""
    return urlsplit(url).hostname or ""


def _emails(given: list[str], errors: list[FieldError]) -> list[str]:
    found = []
    for index, email in enumerate(given):
        try:
            found.append(normal_email(email))
        except Invalid as refusal:
            errors += [FieldError(f"emails[{index}]", e.message) for e in refusal.errors]
    return found


def _told(where: Targets, seal: Seal) -> dict[str, Any]:
    """What the trail keeps: of the webhook its host alone."""
    shown = targets_json(where, seal)
    url = shown.pop("webhook_url")
    return {"webhook": shown_host(url) if url else None} | shown
