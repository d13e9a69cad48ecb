"""Traits: what was known of a unit when it first met its variant, for the groups of the report. Few, coarse, bounded.

They are told by requests and never read by them: what a visitor is shown does not depend on them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from experiments.catalogue import Catalogue
from experiments.context import CartLine, ContextInput
from experiments.devices import device_named, device_of
from experiments.money import LARGEST_MINOR
from experiments.segments import attributes_of

LONGEST = 60
"""Characters of a category or of an attribute's value; a longer one is cut."""
SEVERAL = "several"
"""The category of a cart that holds more than one."""


class Traits(NamedTuple):
    """One unit's; None is what nobody told. `cart` is its value at the catalogue's prices, in minor units.

    `attributes` is the JSON of those that the definition's plan names as segments.
    """

    device: str | None = None
    category: str | None = None
    cart: int | None = None
    attributes: str | None = None


UNKNOWN = Traits()


def traits_of(
    catalogue: Catalogue,
    segments: Sequence[str],
    attributes: Mapping[str, object],
    context: ContextInput | None,
    user_agent: str | None,
) -> Traits:
    """What a request tells; `segments` are those of the experiment's plan."""
    word = device_named(attributes.get("device")) or device_named(attributes.get("deviceType"))
    if word is None:
        told = attributes.get("user_agent")
        word = device_of(user_agent) or (device_of(told) if isinstance(told, str) else None)
    category = cart = None
    if context is not None:
        category = _category(catalogue, context)
        cart = _value(catalogue, context.cart) if isinstance(context.cart, list) else None
    return Traits(word, category, cart, _chosen(segments, attributes) if segments else None)


def _category(catalogue: Catalogue, context: ContextInput) -> str | None:
    """The top of the category of the product looked at, else of all that is in the cart."""
    if context.product_id is not None:
        return _top(catalogue, context.product_id)
    found = {_top(catalogue, line.product_id) for line in context.cart or ()}
    return found.pop() if len(found) == 1 else SEVERAL if found else None


def _top(catalogue: Catalogue, product_id: str) -> str | None:
    product = catalogue.get(product_id)
    return None if product is None else product.category.partition("/")[0].strip()[:LONGEST] or None


def _value(catalogue: Catalogue, cart: Sequence[CartLine]) -> int | None:
    """None where the catalogue does not know the price of something in it: a part of a value is none."""
    total = 0
    for line in cart:
        product = catalogue.get(line.product_id)
        if product is None:
            return None
        total += product.price * line.quantity
    return total if total <= LARGEST_MINOR else None


def _chosen(segments: Sequence[str], attributes: Mapping[str, object]) -> str | None:
    found = {name: text for name in attributes_of(segments) if (text := _text(_at(attributes, name))) is not None}
    return msgspec.json.encode(found).decode() if found else None


def _at(attributes: Mapping[str, object], name: str) -> object:
    """The attribute of that name, or of that path as targeting writes it: `company.size`."""
    if name in attributes:
        return attributes[name]
    found: object = attributes
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(value: object) -> str | None:
    """A value that groups can be made by: a word, a number, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and abs(value) < LARGEST_MINOR:
        value = f"{value:.15g}"
    if not isinstance(value, str):
        return None
    text = value.strip()[:LONGEST]
    return text if text and text.isprintable() else None
