"""The shop's shelves: everything, a department, a product."""

from flask import Blueprint, Response, make_response, redirect, request, url_for

from experiments.errors import NotFound
from webapp.shop import shelves
from webapp.shop.frame import page
from webapp.shop.opening import the_shop
from webapp.visit import PREVIEW

blueprint = Blueprint("shop", __name__, url_prefix="/shop")


@blueprint.get("/")
def home() -> Response:
    """Everything that the shop sells."""
    shop = the_shop()
    return page("list.html", shop.cookies.basket(request), shelves=shelves.shelves(shop.catalogue), category="")


@blueprint.get("/c/<path:category>")
def category(category: str) -> Response:
    """A department, or one category of it."""
    shop = the_shop()
    found = shelves.shelves(shop.catalogue, category)
    if not found:
        raise NotFound(f"This shop has no {category}")
    return page("list.html", shop.cookies.basket(request), shelves=found, category=category)


@blueprint.get("/p/<product_id>")
def product(product_id: str) -> Response:
    """One product."""
    shop = the_shop()
    found = shop.catalogue.get(product_id)
    if found is None:
        raise NotFound(f"This shop has no product {product_id!r}")
    relatives = shelves.relatives(shop.catalogue, found)
    return page("product.html", shop.cookies.basket(request), product=found, relatives=relatives)


@blueprint.post("/consent")
def consent() -> Response:
    """The visitor's choice, for browsers without JavaScript and for changing one's mind."""
    answer = make_response(redirect(_back()))
    said = request.form.get("measure", "")
    return the_shop().cookies.keep_consent(answer, "yes" if said == "yes" else "no" if said == "no" else "")


@blueprint.post("/preview/end")
def end_preview() -> Response:
    """Look at the shop as visitors do again."""
    answer = make_response(redirect(_back()))
    answer.delete_cookie(PREVIEW)
    return answer


@blueprint.get("/<path:elsewhere>")
def nowhere(elsewhere: str) -> Response:
    """What is not here is said in the shop's own frame."""
    raise NotFound(f"There is no page {elsewhere!r} in this shop")


def _back() -> str:
    """The page of the shop that the form stood on."""
    path = request.form.get("back", "")
    return path if path.startswith("/shop/") and "//" not in path and "\\" not in path else url_for("shop.home")
