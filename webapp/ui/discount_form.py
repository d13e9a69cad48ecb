"""A discount as texts: what it is in, and how much."""

from typing import Any

from experiments.incentives import Discount
from webapp.ui.typed import Typed

KINDS = ("percent", "amount", "price")


def discount_texts(discount: Discount | None) -> tuple[str, str]:
    """The kind and the figure; an empty figure where there is none."""
    for kind in KINDS:
        if discount is not None and (value := getattr(discount, kind)) is not None:
            return kind, str(value)
    return KINDS[0], ""


def discount_json(typed: Typed, kind: str, text: str, path: str) -> dict[str, Any] | None:
    """The discount as the definition's JSON; None where nothing was typed or it cannot be read."""
    figure = text.strip().removesuffix("%" if kind == "percent" else "")
    value = typed.decimal(figure, path)
    return None if value is None else {kind: value}
