"""Catalogues as other systems export them, told apart by their header: Shopify's product CSV, Google's product feed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol

from experiments.importing.rowfile import Cells, Names, Row
from experiments.moment import Micros, micros

Format = Literal["offerlab", "shopify", "google"]
FORMATS: tuple[Format, ...] = ("offerlab", "shopify", "google")


class Source(Protocol):
    """A file of rows, whatever its format."""

    @property
    def header(self) -> Sequence[str] | None:
        """The columns, None where each row names its own."""
        ...

    def rows(self, names: Names) -> Iterator[Row]:
        """The rows in order."""
        ...


def detect(header: Sequence[str] | None) -> Format:
    """Whose format it is, by columns that only that one has; ours where neither is."""
    columns = {_plain(column) for column in header or ()}
    if {"handle", "variant price"} <= columns:
        return "shopify"
    return "google" if {"id", "price", "availability"} <= columns else "offerlab"


def product_rows(source: Source, format_: Format, currency: str, now: Micros) -> Iterator[Row]:
    """The rows of a foreign catalogue with our fields; what is none of them is an attribute."""
    rows = source.rows(_plain)
    return _shopify(rows) if format_ == "shopify" else _google(rows, currency, now)


def _plain(column: str) -> str:
    """`g:image_link`, `Image Link` and `image link` are one column."""
    return column.strip().lower().removeprefix("g:")


def _path(category: str) -> str:
    """`Home > Kitchen > Mugs` as our path."""
    return "/".join(part.strip() for part in category.split(">") if part.strip())


def _shopify(rows: Iterable[Row]) -> Iterator[Row]:
    """One product for each variant; what stands on a product's first row holds for all of them."""
    first: Cells = {}
    for row in rows:
        if row.fault:
            yield row
            continue
        cells = row.cells
        if cells.get("handle") != first.get("handle") or "title" in cells:
            first = cells
        if "variant price" in cells:  # the others only bring another image
            yield Row(row.line, _shopify_product(first, cells))


def _shopify_product(first: Cells, cells: Cells) -> Cells:
    handle = str(first.get("handle", ""))
    options = {
        str(first.get(f"option{n} name", f"Option {n}")): str(cells[f"option{n} value"])
        for n in (1, 2, 3)
        if f"option{n} value" in cells and cells[f"option{n} value"] != "Default Title"
    }
    product: Cells = {
        "product_id": str(cells.get("variant sku", "")).lstrip("'") or "/".join([handle, *options.values()]),
        "title": " ".join([str(first.get("title", "")), *(f"({value})" for value in options.values())]),
        "price": cells["variant price"],
        "category": _path(str(first.get("product category") or first.get("type") or "")),
        "url": f"/products/{handle}",
        **_kept(cells, {"variant compare at price": "compare_at", "cost per item": "cost", "variant image": "image"}),
        **options,
        **_kept(first, {"vendor": "vendor", "type": "type"}),
    }
    if "image" not in product and "image src" in first:
        product["image"] = first["image src"]
    stock = _shopify_stock(first, cells)
    return product if stock is None else product | {"stock": stock}


def _shopify_stock(first: Cells, cells: Cells) -> int | None:
    if first.get("status", "active") != "active" or str(first.get("published", "true")).lower() == "false":
        return 0  # it is not for sale
    if "variant inventory tracker" not in cells or cells.get("variant inventory policy") == "continue":
        return None
    quantity = str(cells.get("variant inventory qty", "0"))
    return max(0, int(quantity)) if quantity.removeprefix("-").isdecimal() else 0


_GOOGLE = MappingProxyType({"id": "product_id", "title": "title", "link": "url", "image_link": "image"})
_GOOGLE_ATTRIBUTES = (
    "brand", "color", "size", "material", "pattern", "gender", "age_group", "condition", "item_group_id",
)  # fmt: skip


def _google(rows: Iterable[Row], currency: str, now: Micros) -> Iterator[Row]:
    for row in rows:
        if row.fault:
            yield row
            continue
        cells = {name.replace(" ", "_"): value for name, value in row.cells.items()}
        try:
            yield Row(row.line, _google_product(cells, currency, now))
        except ValueError as error:
            yield Row(row.line, row.cells, str(error))


def _google_product(cells: Cells, currency: str, now: Micros) -> Cells:
    product: Cells = _kept(cells, _GOOGLE) | _kept(cells, {name: name for name in _GOOGLE_ATTRIBUTES})
    category = cells.get("product_type") or cells.get("google_product_category")
    if category is not None:
        product["category"] = _path(str(category).split(",")[0] if "product_type" in cells else str(category))
    price = _amount(cells, "price", currency)
    sale = _amount(cells, "sale_price", currency) if _on_sale(cells, now) else None
    if price is not None:
        product["price"] = price
    if sale is not None:
        product |= {"price": sale} if price is None else {"price": sale, "compare_at": price}
    if (cost := _amount(cells, "cost_of_goods_sold", currency)) is not None:
        product["cost"] = cost
    if str(cells.get("availability", "in_stock")).lower().replace(" ", "_") == "out_of_stock":
        product["stock"] = 0
    return product


def _amount(cells: Mapping[str, Any], name: str, currency: str) -> str | None:
    """`19.99 EUR` without its currency; ValueError where that is another than the storefront's."""
    if name not in cells:
        return None
    parts = str(cells[name]).split()
    named = [part for part in parts if part.isalpha()]
    if named and named != [currency]:
        raise ValueError(f"{name} is in {' '.join(named)}, and the storefront counts in {currency}")
    return "".join(part for part in parts if not part.isalpha())


def _on_sale(cells: Mapping[str, Any], now: Micros) -> bool:
    if "sale_price" not in cells or "sale_price_effective_date" not in cells:
        return "sale_price" in cells
    start, _, end = str(cells["sale_price_effective_date"]).partition("/")
    return micros(datetime.fromisoformat(start.strip())) <= now < micros(datetime.fromisoformat(end.strip()))


def _kept(cells: Mapping[str, Any], names: Mapping[str, str]) -> Cells:
    return {name: cells[column] for column, name in names.items() if column in cells}
