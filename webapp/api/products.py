"""Products over the management API: upload, look up page by page, and what each was called and cost when."""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from experiments.catalogue import Product, parse_product
from experiments.errors import FieldError, Invalid, NotFound
from experiments.moment import iso
from experiments.money import to_decimal
from experiments.service import settings
from experiments.storage.database import reading, writing
from experiments.storage.products import ProductVersion, count_products, page_of_products, product_versions
from webapp.api.management import authenticate, json_answer, json_body, the_storefront
from webapp.clock import now
from webapp.lab import the_lab

blueprint = Blueprint("products", __name__, url_prefix="/api/v1/products")
blueprint.before_request(authenticate)

PAGE = 1000
"""Products of an answer that asked for no other number."""
LARGEST_PAGE = 10_000


def product_json(product: Product, currency: str) -> dict[str, Any]:
    """A product with its money as decimals."""
    shown: dict[str, Any] = msgspec.structs.asdict(product)
    for name in ("price", "compare_at", "cost"):
        shown[name] = None if shown[name] is None else to_decimal(shown[name], currency)
    return shown


def version_json(version: ProductVersion, currency: str) -> dict[str, Any]:
    """What a product was from a moment on."""
    money = {name: getattr(version, name) for name in ("price", "compare_at", "cost")}
    shown = {name: None if minor is None else to_decimal(minor, currency) for name, minor in money.items()}
    return {"at": iso(version.at), "title": version.title, "category": version.category} | shown


@blueprint.get("")
def list_products() -> Response:
    """The catalogue in the order of the ids: `limit` products after the id `after`; `next` is where to go on."""
    storefront, limit = the_storefront(), _limit()
    with reading(the_lab().engine) as conn:
        found = page_of_products(conn, storefront.id, request.args.get("after", ""), limit + 1)
        total = count_products(conn, storefront.id)
    more = len(found) > limit
    shown = [product_json(p, storefront.currency) for p in found[:limit]]
    return json_answer({"products": shown, "total": total, "next": found[limit - 1].product_id if more else None})


@blueprint.post("")
def put_products() -> Response:
    """Add or replace products: one, or an array of them."""
    value = json_body()
    storefront, lab = the_storefront(), the_lab()
    products, errors = [], []
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        try:
            products.append(parse_product(item, storefront.currency))
        except Invalid as refusal:
            prefix = f"[{index}]." if isinstance(value, list) else ""
            errors += [FieldError(f"{prefix}{e.field}", e.message) for e in refusal.errors]
    if errors:
        raise Invalid(errors)
    with writing(lab.engine) as conn:
        changed, same = settings.store_products(conn, storefront.id, products, now())
    lab.snapshots.refresh(now())
    return json_answer({"accepted": changed, "duplicate": same, "rejected": []})


@blueprint.get("/<path:product_id>/versions")
def list_versions(product_id: str) -> Response:
    """What a product was called and cost, newest first: `limit` versions after the first `offset`."""
    storefront, limit = the_storefront(), _limit()
    offset = _whole("offset", 0, 10**9)
    with reading(the_lab().engine) as conn:
        found = product_versions(conn, storefront.id, product_id)[::-1]
    if not found:
        raise NotFound(f"There is no product {product_id!r}")
    shown = [version_json(version, storefront.currency) for version in found[offset : offset + limit]]
    following = offset + limit if len(found) > offset + limit else None
    return json_answer({"product_id": product_id, "versions": shown, "total": len(found), "next": following})


@blueprint.get("/<path:product_id>")
def read_product(product_id: str) -> Response:
    """One product."""
    storefront = the_storefront()
    with reading(the_lab().engine) as conn:
        found = page_of_products(conn, storefront.id, "", 1, product_id)
    if not found:
        raise NotFound(f"There is no product {product_id!r}")
    return json_answer(product_json(found[0], storefront.currency))


def _limit() -> int:
    return _whole("limit", PAGE, LARGEST_PAGE, least=1)


def _whole(name: str, otherwise: int, most: int, least: int = 0) -> int:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise Invalid.at(name, f"must be a whole number from {least} to {most}, and is {text!r}")
    return int(text)
