"""The catalogue: read it, search it, replace products from a CSV file."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from experiments.catalogue import Product, parse_product
from experiments.errors import FieldError, Invalid, Malformed, NotFound
from experiments.service.settings import store_products
from experiments.storage.associations import read_companions
from experiments.storage.database import reading, writing
from experiments.storage.products import product_versions
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.experiments import the_view
from webapp.ui.formats import count
from webapp.ui.person import here, page
from webapp.ui.products import search
from webapp.ui.told import told

blueprint = Blueprint("catalogue", __name__, url_prefix="/s/<storefront>/catalogue")

COLUMNS = ("product_id", "title", "price", "category", "compare_at", "cost", "stock", "url", "image")
ATTRIBUTE = "attributes."
"""A column such as `attributes.colour` is an attribute of the product."""
PAGE = 50
COMPANIONS = 10
FOUND = 20
SHOWN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class RowError:
    """A line of the file that cannot be a product, and why."""

    line: int
    errors: tuple[FieldError, ...]


@blueprint.get("/")
@page()
def listing() -> ResponseReturnValue:
    """The products, found by words, page by page."""
    return _show()


@blueprint.get("/options")
@page()
def options() -> ResponseReturnValue:
    """The products that fit what is being typed, as options for a product field."""
    found = search(the_view().catalogue, request.args.get("q", ""))[:FOUND]
    return render_template("_product_options.html", products=found)


@blueprint.get("/products/<path:product_id>")
@page()
def product(product_id: str) -> ResponseReturnValue:
    """What a product was called and cost when, and what is bought with it."""
    catalogue = the_view().catalogue
    found = catalogue.get(product_id)
    if found is None:
        raise NotFound(f"There is no product {product_id!r}")
    with reading(the_lab().engine) as conn:
        versions = product_versions(conn, here().id, product_id)[::-1]
        companions = read_companions(conn, here().id, product_id)
    last = max(1, -(-len(versions) // PAGE))
    number = min(max(1, request.args.get("page", 1, type=int)), last)
    return render_template(
        "product.html",
        product=found,
        catalogue=catalogue,
        versions=versions[(number - 1) * PAGE : number * PAGE],
        companions=companions[:COMPANIONS],
        page=number,
        pages=list(_near(number, last)),
        last=last,
    )


@blueprint.post("/")
@page("editor")
def upload() -> ResponseReturnValue:
    """Add or replace products from a CSV file: all of it, or, where a line is wrong, nothing."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _show(problem=gettext("Choose a CSV file first.")), 422
    with closing(file):
        content = file.read()
    try:
        products, wrong = read_csv(content, here().currency)
    except Malformed as refusal:
        return _show(problem=told(refusal.message)), 422
    if wrong:
        return _show(wrong=wrong), 422
    lab = the_lab()
    with writing(lab.engine) as conn:
        changed, same = store_products(conn, here().id, products, now())
    lab.snapshots.refresh(now())
    flash(
        gettext(
            "%(changed)s products new or changed, %(same)s as they were.", changed=count(changed), same=count(same)
        ),
        "success",
    )
    return redirect(url_for("catalogue.listing", storefront=here().key))


def read_csv(content: bytes, currency: str) -> tuple[list[Product], list[RowError]]:
    """The products of a CSV file and the lines that are none; Malformed where it is no such file at all."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed("The file is not UTF-8 text. Save it as “CSV UTF-8”.") from None
    separator = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restkey="", restval="")
    header = [name.strip() for name in reader.fieldnames or []]
    missing = [name for name in ("product_id", "title", "price") if name not in header]
    if missing:
        raise Malformed(f"The first line must name the columns; {', '.join(missing)} is missing")
    unknown = [name for name in header if name not in COLUMNS and not name.startswith(ATTRIBUTE)]
    if unknown:
        raise Malformed(f"{', '.join(unknown)} is no column here; there are {', '.join(COLUMNS)}, attributes.NAME")
    reader.fieldnames = header
    products, wrong = [], []
    try:
        for row in reader:
            try:
                products.append(parse_product(_values(row), currency))
            except Invalid as refusal:
                wrong.append(RowError(reader.line_num, refusal.errors))
    except csv.Error as error:
        raise Malformed(f"Line {reader.line_num} cannot be read: {error}") from None
    return products, wrong


def _values(row: dict[str, str]) -> dict[str, object]:
    if row.pop("", None):
        raise Invalid.at("", "has more cells than the first line names columns")
    given: dict[str, object] = {name: text.strip() for name, text in row.items() if name in COLUMNS and text.strip()}
    stock = str(given.get("stock", ""))
    if stock:
        if not stock.removeprefix("-").isdecimal():
            raise Invalid.at("stock", f"must be a whole number, and is {stock!r}")
        given["stock"] = int(stock)
    attributes = {
        name.removeprefix(ATTRIBUTE): text.strip()
        for name, text in row.items()
        if name.startswith(ATTRIBUTE) and text.strip()
    }
    return given | ({"attributes": attributes} if attributes else {})


def _show(problem: str | None = None, wrong: list[RowError] | None = None) -> str:
    catalogue = the_view().catalogue
    words = request.args.get("q", "")
    found = search(catalogue, words)
    number = request.args.get("page", 1, type=int)
    pages = max(1, -(-len(found) // PAGE))
    number = min(max(1, number), pages)
    return render_template(
        "catalogue.html",
        products=found[(number - 1) * PAGE : number * PAGE],
        total=len(catalogue),
        found=len(found),
        page=number,
        pages=list(_near(number, pages)),
        last=pages,
        q=words,
        problem=problem,
        wrong=(wrong or [])[:SHOWN_ERRORS],
        wrong_count=len(wrong or []),
        columns=COLUMNS,
    )


def _near(number: int, pages: int) -> Iterator[int]:
    return (n for n in range(1, pages + 1) if n in {1, pages} or abs(n - number) <= 2)
