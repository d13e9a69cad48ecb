"""The preview of an experiment: every variant on a product or a cart that the PM picks, and on the last days' carts."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext

from experiments.catalogue import Catalogue
from experiments.rehearsal import cost
from experiments.resolution import Context
from experiments.service.rehearsing import rehearsed
from experiments.storage.database import reading
from experiments.storage.registry import get_experiment
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.experiments import the_view
from webapp.ui.person import here, page

blueprint = Blueprint("rehearsals", __name__, url_prefix="/s/<storefront>/experiments")

WHOSE = (("", lazy_gettext("Not known")), ("new", lazy_gettext("New")), ("returning", lazy_gettext("Returning")))
SUGGESTED = 200
"""Products that the browser suggests while a product is typed."""


@blueprint.record_once
def _filters(state: object) -> None:
    state.app.add_template_filter(cost, "goods_cost")  # type: ignore[attr-defined]  # Flask's BlueprintSetupState


@blueprint.get("/<key>/preview")
@page()
def show(key: str) -> ResponseReturnValue:
    """Every variant where the visitor stands; without a choice, on the first product."""
    view = the_view()
    asked = request.args
    unknown: list[str] = []
    product_id = _product(view.catalogue, asked.get("product", ""), unknown)
    cart = [_product(view.catalogue, text, unknown) for text in asked.get("cart", "").split(",")]
    if not asked:
        first = next(iter(view.catalogue), None)
        product_id = None if first is None else first.product_id
    who = asked.get("who", "")
    coupon = "coupon" in asked
    segment = who if who in {"new", "returning"} else None
    context = Context(product_id, tuple(p for p in cart if p), None, coupon, segment)
    with reading(the_lab().engine) as conn:
        definition = get_experiment(conn, here().id, key).definition
        found = rehearsed(conn, view, definition, context, now())
    problem = gettext("Not in the catalogue: %(products)s", products=", ".join(unknown)) if unknown else None
    return render_template(
        "rehearsal.html",
        definition=definition,
        found=found,
        problem=problem,
        product=product_id or asked.get("product", ""),
        cart=", ".join(p for p in cart if p),
        who=who,
        whose=WHOSE,
        coupon=coupon,
        products=[p for _, p in zip(range(SUGGESTED), view.catalogue, strict=False)],
    )


def _product(catalogue: Catalogue, text: str, unknown: list[str]) -> str | None:
    """The product's id for its id or its exact title; what is neither is noted."""
    wanted = text.strip()
    if not wanted:
        return None
    if catalogue.get(wanted) is not None:
        return wanted
    for product in catalogue:
        if product.title.lower() == wanted.lower():
            return product.product_id
    unknown.append(wanted)
    return None
