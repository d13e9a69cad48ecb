"""What orders of different shop systems have in common: amounts, whose order it is, and the products in it."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from experiments.errors import Invalid
from experiments.identifiers import UNIT_ID
from experiments.money import LARGEST_MINOR
from experiments.service.snapshot import StorefrontView
from experiments.wording import worded

VISITOR = ("offerlab_visitor_id", "_offerlab_visitor_id", "_exp_vid")
"""Names under which a shop carries the visitor's id from the cart to the order."""
OFFER = ("offerlab_offer_id", "_offerlab_offer_id")
"""Names under which a line says through which offer it came into the cart."""

Record = dict[str, Any]
"""A conversion as the contract writes it."""

Number = Decimal | None
SMALLEST = Decimal("1e-10")
"""What amounts are rounded to before anything is reckoned: 1e-999999, written out, would be a megabyte of zeros."""


def amount(given: Number, field: str) -> Decimal:
    """An amount to reckon with, 0 where none is given; Invalid where it is no money."""
    if given is None:
        return Decimal(0)
    if not given.is_finite() or given.copy_abs() > LARGEST_MINOR:
        raise Invalid.at(field, worded("%(given)s is not an amount of money", given=given))
    return given.quantize(SMALLEST) if given else Decimal(0)


def visitor_of(notes: Iterable[tuple[str, object]]) -> str | None:
    """The visitor's id among an order's notes; any app can write there, so what is no id is passed over."""
    named = {name: value for name, value in notes if isinstance(value, str)}
    return next((named[n] for n in VISITOR if n in named and re.match(UNIT_ID, named[n])), None)


def offer_of(notes: Iterable[tuple[str, object]]) -> str | None:
    """The offer that a line came from."""
    named = {name: value for name, value in notes if isinstance(value, str)}
    return next((named[name][:200] for name in OFFER if named.get(name)), None)


def product_of(view: StorefrontView, ids: Iterable[str | int | None]) -> str | None:
    """The first of a line's ids that the catalogue knows, else the first: shops import products by any of them."""
    there = [str(given)[:128] for given in ids if given not in {None, "", 0}]
    return next((found for found in there if view.catalogue.get(found) is not None), there[0] if there else None)


def each(total: Decimal, quantity: int) -> str:
    """The price of one piece of a line; it is rounded where the store takes it."""
    return format(total / quantity, "f")


def text(number: Decimal) -> str:
    """A decimal without an exponent."""
    return format(number, "f")


def named(**values: object) -> Record:
    """Those that are known."""
    return {name: value for name, value in values.items() if value is not None}
