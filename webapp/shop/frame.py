"""What the shop's pages share: the frame around them, their headers, and what they say when something went wrong."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import get_locale

from experiments.demo.terms import FREE_SHIPPING_FROM, SHIPPING
from experiments.errors import OfferlabError
from experiments.money import to_decimal
from webapp.errors import problem_of
from webapp.shop import shelves
from webapp.shop.basket import Basket, Row, bill
from webapp.shop.opening import the_shop
from webapp.shop.visitor import attributes_of, consent_of
from webapp.visit import PREVIEW

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def framed(blueprint: Blueprint) -> Blueprint:
    """The room with the shop's headers, frame and error pages; asking twice gives the same."""
    if not blueprint._got_registered_once:
        blueprint.after_request(_headers)
        blueprint.register_error_handler(Exception, _failed)
    return blueprint


def page(template: str, basket: Basket, status: int = 200, **values: Any) -> Response:
    """A page of the shop in its frame."""
    shop = the_shop()
    shown = bill(basket, shop.catalogue)
    attributes = attributes_of(request)
    frame = {
        "basket": basket,
        "bill": shown,
        "lang": str(get_locale()).replace("_", "-"),
        "departments": shelves.departments(shop.catalogue),
        "currency": shop.catalogue.currency,
        "public_key": shop.public_key,
        "attributes": attributes,
        "cart": cart_lines(shown.rows, shop.catalogue.currency),
        "consent": consent_of(request),
        "previewing": PREVIEW in attributes,
        "terms": {"shipping": SHIPPING, "free_from": FREE_SHIPPING_FROM},
    }
    return make_response(render_template(f"shop/{template}", **(frame | values)), status)


def cart_lines(rows: Iterable[Row], currency: str) -> list[dict[str, object]]:
    """Rows as the snippet and the API take a cart: what one piece costs here."""
    return [
        {
            "product_id": row.product.product_id,
            "quantity": row.quantity,
            "price": to_decimal(row.paid // row.quantity, currency),
        }
        for row in rows
    ]


def _headers(response: Response) -> Response:
    response.headers["Cache-Control"] = "private, no-cache"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
    return response


def _failed(error: Exception) -> Response:
    status, _, shape = problem_of(error)
    if request.is_json:
        return make_response({"message": shape["detail"]}, status)
    try:
        return page("error.html", the_shop().cookies.basket(request), status, problem=shape)
    except OfferlabError:
        return make_response(render_template("error_plain.html", problem=shape), status)
