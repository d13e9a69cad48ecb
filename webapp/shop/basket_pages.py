"""The basket's page, and what changes it."""

from flask import Blueprint, Response, make_response, redirect, request, url_for

from experiments.errors import NotFound
from webapp.shop.basket import MOST_OF_ONE, Basket
from webapp.shop.frame import page
from webapp.shop.opening import the_shop

blueprint = Blueprint("shop_basket", __name__, url_prefix="/shop/cart")


@blueprint.get("")
def basket() -> Response:
    """What is in the basket, and what it costs."""
    return page("cart.html", the_shop().cookies.basket(request), most=MOST_OF_ONE)


@blueprint.post("/add")
def add() -> Response:
    """Put a product in."""
    shop = the_shop()
    product_id = request.form.get("product_id", "")
    if shop.catalogue.get(product_id) is None:
        raise NotFound(f"This shop has no product {product_id!r}")
    basket = shop.cookies.basket(request)
    return _kept(basket.put(product_id, basket.lines.get(product_id, 0) + _quantity(1)))


@blueprint.post("/change")
def change() -> Response:
    """Another quantity of a product; 0 takes it out."""
    basket = the_shop().cookies.basket(request)
    product_id = request.form.get("product_id", "")
    return _kept(basket.put(product_id, _quantity(0)) if product_id in basket.lines else basket)


@blueprint.post("/leave")
def leave() -> Response:
    """Without an accepted offer: nothing of it, or all but one product, which then cost what they cost."""
    basket = the_shop().cookies.basket(request)
    offer_id, product_id = request.form.get("offer_id", ""), request.form.get("product_id")
    if product_id:
        return _kept(basket.leave(offer_id, product_id))
    before = dict(basket.lines)
    left = basket.leave(offer_id)
    return _kept(Basket(before, left.taken, left.order_id))


def _quantity(otherwise: int) -> int:
    text = request.form.get("quantity", "")
    return min(int(text), MOST_OF_ONE) if text.isdecimal() and len(text) < 6 else otherwise


def _kept(basket: Basket) -> Response:
    return the_shop().cookies.keep(make_response(redirect(url_for("shop_basket.basket"))), basket)
