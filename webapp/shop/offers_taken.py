"""Offers that visitors accept: the shop asks Offerlab whether the shown price is true before it takes it on."""

from decimal import Decimal
from typing import Literal

import msgspec
from flask import Blueprint, Response, make_response, request, url_for
from flask_babel import gettext

from experiments.errors import Conflict, Forbidden, Unavailable
from experiments.identifiers import ProductId
from experiments.money import to_minor
from experiments.service.serving import PriceToken
from experiments.shape import decode
from webapp.clock import now
from webapp.shop import till
from webapp.shop.basket import Basket, Taken
from webapp.shop.opening import the_shop
from webapp.shop.visitor import visitor_of

blueprint = Blueprint("shop_offers", __name__, url_prefix="/shop/offers")


class Accepted(msgspec.Struct, frozen=True):
    """What the page tells of the offer that was accepted; its products and price are Offerlab's to say."""

    offer_id: str
    price_token: PriceToken
    type: Literal["upsell", "cross_sell", "bundle"]
    base_product_id: ProductId | None = None
    placement: str = ""


@blueprint.post("/basket")
def into_basket() -> Response:
    """Put the offer into the basket, at the promised price."""
    shop, asked = the_shop(), decode(request.get_data(), Accepted)
    basket = _with(shop.cookies.basket(request), asked)
    following = "shop_till.checkout" if asked.placement == "checkout" else "shop_basket.basket"
    return shop.cookies.keep(make_response({"next": url_for(following)}), basket)


@blueprint.post("/order")
def into_order() -> Response:
    """Add the offer to the order that was just placed, while its parcel is open."""
    shop, asked = the_shop(), decode(request.get_data(), Accepted)
    order = shop.cookies.order(request)
    if order is None or not order.is_open(now()):
        raise Conflict("packed", gettext("Your parcel is packed already: nothing was added, and nothing is charged."))
    grown = till.told(shop, order.grown(_with(order.basket, asked)))
    return shop.cookies.keep(make_response({"next": url_for("shop_till.thanks")}), grown)


def _with(basket: Basket, asked: Accepted) -> Basket:
    """The basket with the offer in it; an error that says why not, where its price does not hold."""
    shop, visitor_id = the_shop(), visitor_of(request)
    if visitor_id is None:
        raise Forbidden(gettext("Offers are for visitors who let us measure them: you have not, and that is fine."))
    found = shop.offerlab.check(asked.offer_id, asked.price_token, visitor_id)
    if found is None:
        raise Unavailable(gettext("The offer's price could not be confirmed just now. Nothing was changed."))
    if not found["valid"]:
        raise Conflict("price", till.why(found["reason"]))
    price = to_minor(Decimal(found["price"]), shop.catalogue.currency, "price")
    taken = Taken(asked.offer_id, asked.price_token, tuple(found["products"]), price)
    return basket.take(taken, asked.base_product_id if asked.type == "upsell" else None)
