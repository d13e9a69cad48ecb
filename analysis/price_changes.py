"""Prices that changed while a test ran: what a product cost when it was shown, from the versions of the catalogue."""

from sqlalchemy import Connection

from analysis.asked import PriceChange
from experiments.definition import Definition
from experiments.identifiers import StorefrontId
from experiments.moment import Micros, iso
from experiments.money import to_decimal
from experiments.offers import products_named
from experiments.storage.products import product_at, product_versions


def price_changes(
    conn: Connection, storefront_id: StorefrontId, currency: str, definition: Definition, since: Micros, until: Micros
) -> tuple[PriceChange, ...]:
    """Every change of price of the products that the variants name, after `since` and up to `until`."""
    named = dict.fromkeys(product for variant in definition.variants for _, product in products_named(variant.offer))
    found: list[tuple[Micros, PriceChange]] = []
    for product_id in named:
        shown = product_at(conn, storefront_id, product_id, since)
        price = None if shown is None else shown.price
        for version in product_versions(conn, storefront_id, product_id):
            if not since < version.at <= until:
                continue
            if price is not None and version.price != price:
                told = (to_decimal(minor, currency) for minor in (price, version.price))
                found.append((version.at, PriceChange(product_id, iso(version.at), *told)))
            price = version.price
    return tuple(change for _, change in sorted(found, key=lambda pair: (pair[0], pair[1].product_id)))
