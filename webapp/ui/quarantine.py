"""Quarantine: what was refused, why and how often, as it came; another try after a fix, or an end to it."""

import json
from collections.abc import Sequence

import msgspec
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from experiments.errors import Invalid, NotFound
from experiments.service import inbox
from experiments.service.erasing import person_data, person_of
from experiments.service.replaying import release, replay
from experiments.storage.database import reading
from experiments.storage.inbox import OPEN, deliveries
from experiments.storage.quarantine import ids_of, latest, reasons
from webapp.clock import now
from webapp.lab import new_id, the_lab
from webapp.protocols.doors import all_doors
from webapp.protocols.webhooks import READERS
from webapp.ui.experiments import the_view
from webapp.ui.person import actor, here, page
from webapp.ui.recalled import recalled_refusal

blueprint = Blueprint("quarantine", __name__, url_prefix="/s/<storefront>/quarantine")

PAGE = 25
AT_ONCE = 1_000
"""Events that one press tries or lets go: more would keep the reader waiting."""
SHOWN = 4_000
"""Characters of one event that the page shows."""


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """The reasons, and the events of one of them or of all, the newest first."""
    only = _only(request.args.get("source"), request.args.get("code"))
    number = max(1, request.args.get("page", 1, type=int))
    with reading(the_lab().engine) as conn:
        whys = reasons(conn, here().id)
        total = sum(why.events for why in whys if only is None or only == (why.source, why.code))
        last = max(1, -(-total // PAGE))
        number = min(number, last)
        events = latest(conn, here().id, only, (number - 1) * PAGE, PAGE)
        waiting = deliveries(conn, here().id, OPEN, limit=PAGE)
    return render_template(
        "quarantine.html", reasons=whys, events=events, only=only, number=number, last=last, waiting=waiting, raw=raw,
        asks=_asks,
    )  # fmt: skip


@blueprint.post("/")
@page("editor")
def act() -> ResponseReturnValue:
    """Try events again or let them go: one, or all of one reason."""
    lab, ids = the_lab(), _chosen()
    lab.snapshots.refresh(now())  # what was mended a moment ago, maybe by another process, has to be known by now
    doing = request.form.get("do")
    if doing == "replay":
        found = replay(lab.engine, the_view(), ids, all_doors(lab.engine))
        counted, left = found.accepted + found.duplicate, len(found.refused)
        if counted:
            flash(ngettext("%(num)s event counts now.", "%(num)s events count now.", counted), "success")
        if left:
            reason = next(iter(found.refused.values()))
            flash(
                ngettext(
                    "%(num)s event is still refused. %(reason)s", "%(num)s events are still refused. %(reason)s", left,
                    reason=recalled_refusal(reason),
                ), "warning",
            )  # fmt: skip
    elif doing == "discard":
        gone = release(lab.engine, the_view(), ids)
        flash(ngettext("%(num)s event is discarded.", "%(num)s events are discarded.", gone), "success")
    else:
        raise Invalid.at("do", "must be replay or discard")
    only = _only(request.form.get("source"), request.form.get("code")) or (None, None)
    return redirect(url_for("quarantine.listing", storefront=here().key, source=only[0], code=only[1]))


@blueprint.post("/deliveries")
@page("editor")
def deliver() -> ResponseReturnValue:
    """Try the webhooks that wait again, or let one go."""
    lab = the_lab()
    lab.snapshots.refresh(now())
    if request.form.get("do") == "settle":
        inbox.settle(lab.engine, the_view(), request.form.get("id", 0, type=int), actor(), now())
        flash(gettext("The delivery is settled."), "success")
    else:
        tried = inbox.replay(lab.engine, lab.writer, the_view(), READERS, now(), new_id)
        left = sum(one.state == "failed" for one in tried)
        flash(
            gettext("%(tried)s tried, %(left)s still wait.", tried=len(tried), left=left),
            "warning" if left else "success",
        )
    return redirect(url_for("quarantine.listing", storefront=here().key))


@blueprint.get("/person/<customer_id>.json")
@page("admin")
def person(customer_id: str) -> ResponseReturnValue:
    """All that is kept about a customer, for the answer to whoever asks."""
    with reading(the_lab().engine) as conn:
        found = person_data(conn, here(), person_of(conn, here().id, None, customer_id))
    headers = {"Content-Disposition": "attachment; filename=person.json", "Cache-Control": "no-store"}
    return Response(msgspec.json.encode(found), 200, {"Content-Type": "application/json"} | headers)


def raw(body: bytes) -> str:
    """An event as it came, its JSON laid out; bytes that are no text are shown as such."""
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        text = body[:SHOWN].decode("utf-8", "backslashreplace").replace("\0", "␀")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _asks(topic: str, body: bytes) -> str | None:
    """The customer who asks what is kept about them; None where a delivery is something else."""
    if topic.lower() != "customers/data_request":
        return None
    try:
        customer = json.loads(body).get("customer") or {}
    except (ValueError, AttributeError, RecursionError):
        return None
    return str(customer["id"]) if isinstance(customer, dict) and customer.get("id") is not None else None


def _only(source: str | None, code: str | None) -> tuple[str, str] | None:
    return (source, code) if source and code else None


def _chosen() -> Sequence[int]:
    """The events that a form means."""
    if "id" in request.form:
        return [request.form.get("id", 0, type=int)]
    only = _only(request.form.get("source"), request.form.get("code"))
    if only is None:
        raise Invalid.at("id", "names no event")
    with reading(the_lab().engine) as conn:
        ids = ids_of(conn, here().id, *only, AT_ONCE)
    if not ids:
        raise NotFound(gettext("Nothing is refused for this reason any more"))
    return ids
