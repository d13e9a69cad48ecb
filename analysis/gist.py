"""The gist of a decided experiment: the few facts of its kept report that the library of learnings shows."""

from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any

from experiments.catalogue import Product
from experiments.definition import Definition
from experiments.offers import Bundle, NoOffer, Offer, products_named
from experiments.pricing import discounted

Json = dict[str, Any]
PERCENT = 10_000
"""A price on which a percentage of whole hundredths comes out even."""


def gist_of(
    definition: Definition, report: Json, touchpoint: str | None, products: Mapping[str, Product], currency: str
) -> Json:
    """The gist: of each variant with an offer its type, its depth of discount and its effect on the primary metric."""
    primary = definition.metrics.primary
    read = next((m for m in report.get("metrics", ()) if m["metric"] == primary), None)
    compared = {c["variant"]: c for c in read["comparisons"]} if read else {}
    confidence = float(report.get("confidence") or definition.analysis.confidence)
    units = {v["variant"]: v["units"] for v in report.get("variants", ())}
    return {
        "name": definition.name,
        "hypothesis": definition.hypothesis,
        "placement": definition.placement,
        "touchpoint": touchpoint,
        "metric": primary,
        "direction": read["direction"] if read else "increase",
        "categories": sorted({products[p].category for p in _products(definition, report) if p in products}),
        "units": sum(units.values()),
        "effects": [
            {
                "variant": variant.key,
                "offer": variant.offer.__struct_config__.tag,
                "depth": depth(variant.offer, products, currency),
                **_effect(compared.get(variant.key), confidence),
            }
            for variant in definition.variants
            if not isinstance(variant.offer, NoOffer) and variant.key != definition.control.key
        ],
    }


def depth(offer: Offer, products: Mapping[str, Product], currency: str) -> float | None:
    """The share that the discount takes off: 0 without one, None where nobody can say of which price."""
    if isinstance(offer, NoOffer) or offer.discount is None:
        return 0.0
    if offer.discount.percent is not None:
        return 1 - discounted(PERCENT, offer.discount, currency) / PERCENT
    if not isinstance(offer, Bundle) or not offer.items or any(item not in products for item in offer.items):
        return None
    regular = sum(products[item].price for item in offer.items)
    return 1 - discounted(regular, offer.discount, currency) / regular if regular else None


def _products(definition: Definition, report: Json) -> Iterator[str]:
    """What the offers name, and what was bought with them."""
    for variant in definition.variants:
        yield from (product for _, product in products_named(variant.offer))
    for panel in report.get("offers", ()):
        yield from (line["product_id"] for line in panel["top"])


def named_products(definition: Definition, report: Json) -> list[str]:
    """The products whose categories and prices a gist needs."""
    return sorted(set(_products(definition, report)))


def _effect(compared: Json | None, confidence: float) -> Json:
    """The lift with its interval; its standard error is half the interval's width over the normal quantile."""
    lift = compared["lift"] if compared and compared["estimable"] else {}
    estimate, low, high = (lift.get(name) for name in ("estimate", "low", "high"))
    error = None
    if estimate is not None and low is not None and high is not None and high > low:
        error = (high - low) / (2 * NormalDist().inv_cdf(0.5 + confidence / 2))
    return {"estimate": estimate, "low": low, "high": high, "standard_error": error}
