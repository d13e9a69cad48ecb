"""The till: what is about to be paid, the order, and the page that says thank you."""

import msgspec
from flask import Blueprint, Response, make_response, redirect, request, url_for
from flask_babel import gettext

from experiments.money import to_decimal
from webapp.clock import now
from webapp.lab import new_id
from webapp.shop.basket import Basket, Taken, bill
from webapp.shop.frame import cart_lines, page
from webapp.shop.opening import Shop, the_shop
from webapp.shop.order import Order, conversion
from webapp.shop.visitor import attributes_of, visitor_of

blueprint = Blueprint("shop_till", __name__, url_prefix="/shop")

AFTER = "post_purchase"
"""The placement of the page that says thank you."""


@blueprint.get("/checkout")
def checkout() -> Response:
    """What is about to be paid."""
    basket = the_shop().cookies.basket(request)
    return _checkout(basket) if basket else _to("shop_basket.basket")


@blueprint.post("/checkout")
def pay() -> Response:
    """Place the order, once; where a promised price no longer holds, say so before anything is paid."""
    shop = the_shop()
    basket, last = shop.cookies.basket(request), shop.cookies.order(request)
    if last is not None and request.form.get("order_id") == last.order_id:
        return _to("shop_till.thanks")
    if not basket:
        return _to("shop_basket.basket")
    visitor_id = visitor_of(request)
    kept, notes = _honest(shop, basket, visitor_id)
    if notes or not basket.order_id:
        return _checkout(kept, notes)
    made = bill(basket, shop.catalogue)
    if visitor_id is not None:  # before the order is placed: so the order is part of what the offer is compared by
        attributes = attributes_of(request) | {"consent": True}
        shop.offerlab.meet(visitor_id, AFTER, cart_lines(made.rows, shop.catalogue.currency), attributes)
    order = told(shop, Order(basket.order_id, now(), basket, made.shipping, visitor_id=visitor_id))
    return shop.cookies.keep(_to("shop_till.thanks"), order, Basket())


@blueprint.get("/thanks")
def thanks() -> Response:
    """The order, and what can still be added to it."""
    shop = the_shop()
    order = shop.cookies.order(request)
    if order is None:
        return _to("shop.home")
    known = order if order.told else told(shop, order)
    made = order.bill(shop.catalogue)
    answer = page(
        "thanks.html",
        shop.cookies.basket(request),
        order=known,
        bought=made,
        conversion=None if known.told else conversion(known, shop.catalogue),
        cart=cart_lines(made.rows, shop.catalogue.currency),
        is_open=order.is_open(now()),
    )
    return answer if known is order else shop.cookies.keep(answer, known)


def told(shop: Shop, order: Order) -> Order:
    """The order as it is known to Offerlab; where that does not answer, the thank-you page tries again."""
    return msgspec.structs.replace(order, told=shop.offerlab.tell(conversion(order, shop.catalogue)))


def why(reason: str) -> str:
    """Why a promised price does not hold, for the visitor."""
    reasons = {
        "expired": gettext("This offer has ended."),
        "out_of_stock": gettext("A product of this offer is sold out."),
        "unknown_product": gettext("A product of this offer is no longer sold."),
        "does_not_stack": gettext("This offer cannot be combined with your discount."),
    }
    return str(reasons.get(reason) or gettext("This offer is no longer valid."))


def _honest(shop: Shop, basket: Basket, visitor_id: str | None) -> tuple[Basket, list[str]]:
    """The basket with those offers whose price holds, and what to tell of the others.

    Where Offerlab does not answer, the shop keeps the word that it gave when the offer was accepted.
    """
    made, notes, kept = bill(basket, shop.catalogue), [], basket
    paid = {group.taken.offer_id: group.paid for group in made.groups}
    for taken in basket.taken:
        refusal = _refusal(shop, taken, visitor_id, paid.get(taken.offer_id), basket)
        if refusal is not None:
            kept = kept.leave(taken.offer_id)
            notes.append(gettext("%(reason)s Its products are in your basket at their own price.", reason=refusal))
    for product_id in made.gone:
        kept = kept.put(product_id, 0)
        title = product.title if (product := shop.catalogue.get(product_id)) else product_id
        notes.append(gettext("%(title)s is sold out and was taken out of your basket.", title=title))
    return kept, notes


def _refusal(shop: Shop, taken: Taken, visitor_id: str | None, paid: int | None, basket: Basket) -> str | None:
    if visitor_id is None:  # consent was taken back: there is nobody to check it for, and the word given stands
        return None
    price = None if paid is None or paid < taken.price else to_decimal(taken.price, shop.catalogue.currency)
    found = shop.offerlab.check(taken.offer_id, taken.price_token, visitor_id, price, basket.product_ids)
    return None if found is None or found["valid"] else why(found["reason"])


def _checkout(basket: Basket, notes: list[str] | None = None) -> Response:
    shop = the_shop()
    named = basket if basket.order_id else msgspec.structs.replace(basket, order_id=f"S-{new_id()[:12]}")
    answer = page("checkout.html", named, notes=notes or [])
    return shop.cookies.keep(answer, named)


def _to(endpoint: str) -> Response:
    return make_response(redirect(url_for(endpoint)))
