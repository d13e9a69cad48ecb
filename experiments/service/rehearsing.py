"""Rehearsing an experiment before it runs: on a product or a cart that the PM picks, and on the last 14 days' carts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from experiments.definition import Definition, parse
from experiments.identifiers import StorefrontId
from experiments.moment import DAY, Micros
from experiments.money import to_decimal
from experiments.rehearsal import Rehearsal, Scene, cost, rehearse
from experiments.resolution import Context
from experiments.schedules import in_zone
from experiments.service.library import with_saved
from experiments.service.measuring import with_metrics
from experiments.service.snapshot import StorefrontView
from experiments.storage.audiences import audiences
from experiments.storage.carts import PastCart, past_carts
from experiments.storage.storefronts import Storefront

PAST_DAYS = 14
MOST_CARTS = 2000


def rehearsed(
    conn: Connection, view: StorefrontView, definition: Definition, context: Context, now: Micros
) -> Rehearsal:
    """Every variant in this place, and on the carts of the last days where its placement stands."""
    carts = past_carts(conn, view.storefront.id, Micros(now - PAST_DAYS * DAY), now, MOST_CARTS)
    placement = view.placements.get(definition.placement)
    places = _places(carts, None if placement is None else placement.touchpoint)
    return rehearse(definition, view.resolver, context, places, now)


def _places(carts: Iterable[PastCart], touchpoint: str | None) -> Iterator[Context]:
    """Where the buyers of these carts stood: on the page of each product, or with all of it in the cart."""
    for cart in carts:
        if touchpoint == "product_page":
            yield from (Context(product_id, discounted=cart.discounted) for product_id in cart.product_ids)
        else:
            yield Context(cart=tuple(cart.product_ids), discounted=cart.discounted)


def parse_draft(conn: Connection, storefront: Storefront, value: object) -> Definition:
    """A definition that is only looked at: checked like one that is saved, but nothing is written."""
    if isinstance(value, Mapping):
        value = with_saved(conn, StorefrontId(storefront.id), in_zone(value, storefront.zone))
        value = with_metrics(conn, StorefrontId(storefront.id), value)
    return parse(value, audiences=audiences(conn, storefront.id))


def rehearsal_json(found: Rehearsal, currency: str) -> dict[str, Any]:
    """A rehearsal as the API writes it; money as decimal strings, margin after the cost of goods."""
    return {
        "could_enter": found.could_enter,
        "variants": [_scene_json(scene, currency) for scene in found.scenes],
        "past": {
            "days": PAST_DAYS,
            "carts": found.places,
            "eligible": found.eligible,
            "variants": [{"variant": m.variant, "shown": m.shown, "refusals": dict(m.refused)} for m in found.met],
        },
    }


def _scene_json(scene: Scene, currency: str) -> dict[str, Any]:
    told: dict[str, Any] = {"variant": scene.variant.key, "offer": None, "refusal": None, "margin": None}
    if scene.refusal is not None:
        return told | {"refusal": scene.refusal.code, "product_id": scene.refusal.product_id}
    served = scene.served
    if served is None or not served.products:
        return told | {"offer": {"type": "none"}}
    goods = cost(served)
    if goods is not None and served.price:
        told["margin"] = {"amount": to_decimal(served.price - goods, currency), "share": 1 - goods / served.price}
    return told | {"offer": served.json}
