"""Sharing a report with readers who have no account: making links, revoking them, each with a line in the trail."""

from sqlalchemy import Connection

from experiments.errors import Conflict
from experiments.moment import Micros, iso
from experiments.sharing import LinkInput, ReportLink, expiry
from experiments.storage.decisions import has_decision
from experiments.storage.registry import AuditEntry, Experiment, get_experiment, write_audit
from experiments.storage.reportlinks import add_link, revoke_link
from experiments.storage.storefronts import Storefront
from experiments.wording import worded


def share(conn: Connection, storefront: Storefront, key: str, given: LinkInput, actor: str, now: Micros) -> ReportLink:
    """A new link to the report; Conflict where there is nothing to read yet."""
    experiment = get_experiment(conn, storefront.id, key)
    if experiment.started_at is None:
        raise Conflict("not_started", worded("%(key)s has not started: there is nothing to read yet", key=repr(key)))
    if given.shows == "decision" and not has_decision(conn, experiment.id):
        raise Conflict("not_decided", worded("%(key)s has no decision whose report was kept", key=repr(key)))
    made = add_link(conn, experiment.id, given.shows, actor, now, expiry(given, now))
    until = None if made.expires_at is None else iso(made.expires_at)
    _audit(conn, experiment, actor, "share", {"link": made.id, "shows": made.shows, "until": until}, now)
    return made


def unshare(conn: Connection, storefront: Storefront, key: str, number: int, actor: str, now: Micros) -> ReportLink:
    """The link, which opens nothing from now on; doing it again changes nothing."""
    experiment = get_experiment(conn, storefront.id, key)
    gone = revoke_link(conn, experiment.id, number, now)
    if gone.revoked_at == now:
        _audit(conn, experiment, actor, "unshare", {"link": number}, now)
    return gone


def _audit(conn: Connection, experiment: Experiment, actor: str, action: str, then: object, now: Micros) -> None:
    entry = AuditEntry(now, actor, action, f"experiment:{experiment.key}", None, then)
    write_audit(conn, experiment.storefront_id, entry)
