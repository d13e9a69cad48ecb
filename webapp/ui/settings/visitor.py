"""One visitor: why they see what they see, and what they last met and did. Nothing is recorded by looking."""

from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.assignment import Trace
from experiments.errors import Invalid
from experiments.moment import Micros
from experiments.service.erasing import person_of
from experiments.service.serving import AssignmentRequest, answer, decide, explanation
from experiments.shape import convert
from experiments.storage.database import reading
from experiments.storage.people import event_rows
from experiments.storage.storefronts import placements
from webapp.api.intake import held
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.experiments import the_view
from webapp.ui.form_errors import Errors, place
from webapp.ui.person import here, page

blueprint = Blueprint("visitor", __name__, url_prefix="/s/<storefront>/settings/visitor")

LAST = 30
"""Events shown, the newest first."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the visitor met or did."""

    at: Micros
    type: str
    experiment: str | None
    variant: str | None
    order_id: str | None
    amount: int | None
    """In minor units; of a refund it is what was given back."""


@blueprint.get("/")
@page()
def show() -> ResponseReturnValue:
    """What this visitor would get here now, gate by gate, and what is known of them."""
    typed = request.args
    with reading(the_lab().engine) as conn:
        slots = placements(conn, here().id)
    if not typed.get("visitor_id"):
        return _page(slots=slots)
    try:
        asked = convert(_request(typed), AssignmentRequest)
    except Invalid as refusal:
        return _page(slots=slots, errors=place(refusal.errors, {})), 422
    the_lab().snapshots.refresh(now())  # support asks about this moment
    view, at, trace = the_view(), now(), Trace()
    made = decide(view, asked, at, held(the_lab()), trace=trace)
    found = {"answer": answer(asked, made), "steps": explanation(view, asked, made, trace, at)}
    return _page(slots=slots, found=found, events=_events(asked.visitor_id))


def _request(typed: Any) -> dict[str, Any]:
    """What was typed, as the body of `POST /v1/assignments`."""
    try:
        attributes = msgspec.json.decode((typed.get("attributes") or "{}").encode())
    except msgspec.DecodeError:
        raise Invalid.at("attributes", gettext('is no JSON; write for example {"country": "DE"}')) from None
    cart = [{"product_id": product_id} for product_id in typed.get("cart", "").replace(",", " ").split()]
    return {
        "visitor_id": typed.get("visitor_id", "").strip(),
        "customer_id": typed.get("customer_id", "").strip() or None,
        "placement": typed.get("placement", ""),
        "attributes": attributes,
        "context": {"product_id": typed.get("product_id", "").strip() or None, "cart": cart},
        "record": False,
    }


def _events(visitor_id: str) -> list[Event]:
    names = {e.id: key for key, e in the_view().experiments.items()}
    with reading(the_lab().engine) as conn:
        rows = event_rows(conn, here().id, person_of(conn, here().id, visitor_id, None))
    met = [
        Event(row["at"], row["kind"], names.get(row["experiment_id"]), row["variant"], None, None)
        for row in rows.get("exposure", ())
    ]
    done = [
        Event(
            row["at"], row["type"], row["experiment"], row["variant"], row["order_id"],
            row["refunded"] if row["type"] == "refund" else row["revenue"],
        )
        for row in rows.get("conversion", ())
    ]  # fmt: skip
    return sorted(met + done, key=lambda event: event.at, reverse=True)[:LAST]


def _page(errors: Errors | None = None, **known: Any) -> str:
    return render_template("settings/visitor.html", form=request.args, errors=errors or {}, **known)
