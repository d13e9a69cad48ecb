"""`POST /v1/offers/{offer_id}/check`: a checkout asks whether the price that a visitor was shown is true."""

from decimal import Decimal
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from experiments.context import CartLine
from experiments.identifiers import Line, UnitId
from experiments.moment import iso
from experiments.money import to_decimal, to_minor
from experiments.promise import broken
from experiments.service.serving import PriceToken
from experiments.shape import decode
from webapp.api import intake
from webapp.api.routes import PREFLIGHT
from webapp.auth import Access
from webapp.clock import now
from webapp.lab import Lab, the_lab
from webapp.promises import opened

blueprint = Blueprint("checkout", __name__, url_prefix="/v1/offers")


class CheckInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/offers/{offer_id}/check`: what the checkout is about to sell, and to whom."""

    price_token: PriceToken
    visitor_id: UnitId
    price: Decimal | None = None
    cart: list[CartLine] | None = None
    discounts: list[Line] = []


def check(lab: Lab, caller: Access, call: intake.Call, offer_id: str) -> dict[str, Any]:
    """Whether the price that a visitor was shown holds at the checkout, and if not, why."""
    given = decode(call.body, CheckInput)
    currency = caller.view.catalogue.currency
    made = opened(lab, caller, given.visitor_id, given.price_token)
    if made is None:
        return {"valid": False, "reason": "bad_token"}
    if made.offer_id != offer_id:
        return {"valid": False, "reason": "other_offer"}
    price = None if given.price is None else to_minor(given.price, currency, "price")
    cart = None if given.cart is None else {line.product_id for line in given.cart}
    found = broken(made, caller.view.catalogue, call.now, price, cart, discounted=bool(given.discounts))
    told: dict[str, Any] = {"valid": found is None}
    if found is not None:
        told |= {"reason": found[0]} | ({} if found[1] is None else {"product_id": found[1]})
    return told | {
        "offer_id": made.offer_id,
        "products": made.product_ids,
        "price": to_decimal(made.price, currency),
        "regular_price": to_decimal(made.regular_price, currency),
        "currency": currency,
        "expires_at": iso(made.until),
    }


@blueprint.post("/<offer_id>/check", provide_automatic_options=False)
def answer_check(offer_id: str) -> Response:
    """Check a price at checkout."""
    call = intake.Call(request.headers, request.get_data(cache=False), now(), request.query_string.decode("latin-1"))
    reply = intake.handle(the_lab(), lambda lab, caller, asked: check(lab, caller, asked, offer_id), call)
    return Response(reply.body, reply.status, reply.headers)


@blueprint.route("/<offer_id>/check", methods=["OPTIONS"], provide_automatic_options=False)
def preflight(offer_id: str) -> Response:  # noqa: ARG001 - Flask's
    """Let browsers ask from the storefront's pages."""
    return Response(b"", 204, intake.cors_headers(request.headers.get("Origin")) | PREFLIGHT)
