"""The demo's storefronts: made once, in an empty database, three weeks of them day by day."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine

from experiments.demo import definitions, fourfold, karlan_list, shoppers, truth
from experiments.demo.traffic import Reports, Shop
from experiments.errors import Conflict, NotFound
from experiments.importing.columns import Columns
from experiments.importing.rowfile import RowFile
from experiments.moment import DAY, Micros, iso
from experiments.service import defining
from experiments.service.importing import import_products
from experiments.service.layering import create_layer
from experiments.service.recording import Receipt, record_conversions, record_exposures
from experiments.service.settings import create_placement, create_storefront
from experiments.service.snapshot import Snapshot, Snapshots, StorefrontView
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.registry import get_experiment
from experiments.storage.storefronts import Storefront, all_storefronts, get_storefront

KEY = "demo"
CATALOGUE = Path(__file__).parent / "catalogue.csv"
ACTOR = "demo"


def is_filled(engine: Engine) -> bool:
    """Whether the demo is there already; Conflict where the database is neither empty nor a whole demo."""
    with reading(engine) as conn:
        if not all_storefronts(conn):
            return False
        try:
            last = get_experiment(conn, get_storefront(conn, karlan_list.KEY).id, karlan_list.EXPERIMENT["key"])
            get_storefront(conn, KEY)
        except NotFound:
            last = None
    if last is None or last.state != "stopped":
        message = "The database holds something else, or a demo that was interrupted: give --database an empty one"
        raise Conflict("not_empty", message)
    return True


def fill(engine: Engine, now: Micros, share: float = 1.0) -> None:
    """Make both storefronts, with everything that happened in the three weeks until `now`.

    `share` scales the number of shoppers.
    """
    start = Micros(now - truth.DAYS * DAY)
    _open_shop(engine, start)
    _live(engine, start, share)
    karlan_list.import_experiment(engine, now)


def _open_shop(engine: Engine, at: Micros) -> None:
    with writing(engine) as conn:
        opened = create_storefront(conn, KEY, "EUR", "Europe/Berlin", (), at, "Morgen & Blatt, coffee and tea")
        create_layer(conn, opened, {"key": definitions.PRODUCT_PAGE, "name": "The product page"}, ACTOR, at)
        for key, touchpoint in definitions.PLACEMENTS.items():
            create_placement(conn, opened.id, key, key.replace("_", " ").capitalize(), touchpoint, at, ACTOR)
    view = _view(Snapshots(engine).current(at), KEY)
    for batch in import_products(engine, view, RowFile(CATALOGUE).rows(Columns("products", {}).meaning), at):
        if batch.rejected:
            raise RuntimeError(f"the demo's own product was refused: {batch.rejected[0].refusal.message}")


def _live(engine: Engine, start: Micros, share: float) -> None:
    """Day by day: what PMs did that morning, then the shoppers, then what the storefront reported until the night."""
    snapshots, writer, reports = Snapshots(engine), EventWriter(engine), Reports()
    for day in range(truth.DAYS):
        morning, night = Micros(start + day * DAY), Micros(start + (day + 1) * DAY)
        for key, change in _CALENDAR.get(day, ()):
            with writing(engine) as conn:
                change(conn, get_storefront(conn, KEY), key, morning)
        view = _view(snapshots.refresh(morning), KEY)
        shop = Shop(view, reports)
        for visit in shoppers.visits(day, morning, share):
            shop.visit(visit)
        exposures, conversions = reports.due(night)
        _check(record_exposures(writer, view, exposures, night))
        _check(record_conversions(writer, view, conversions, night, _no_id))


def _define(value: Mapping[str, Any]) -> "_Change":
    def change(conn: Connection, storefront: Storefront, key: str, now: Micros) -> None:  # noqa: ARG001 - all alike
        defining.create(conn, storefront, value, ACTOR, now)

    return change


def _define_ending(value: Mapping[str, Any], key: str) -> "_Change":
    """Like `_define`, with a true end for the offer of one variant, long after the demo was filled."""

    def change(conn: Connection, storefront: Storefront, experiment: str, now: Micros) -> None:
        until = {"valid_until": iso(Micros(now + fourfold.ENDS_AFTER))}
        variants = [v | {"offer": v["offer"] | until} if v["key"] == key else v for v in value["variants"]]
        _define({**value, "variants": variants})(conn, storefront, experiment, now)

    return change


def _start(conn: Connection, storefront: Storefront, key: str, now: Micros) -> None:
    defining.start(conn, storefront, key, ACTOR, now)


def _stop(conn: Connection, storefront: Storefront, key: str, now: Micros) -> None:
    defining.act(conn, storefront, key, "stop", ACTOR, now)


def _ship_set(conn: Connection, storefront: Storefront, key: str, now: Micros) -> None:
    reason = "One order in nine got a set on top, and nobody bought less for it."
    defining.decide(conn, storefront, key, "tasting-set", reason, ACTOR, now)


_Change = Callable[[Connection, Storefront, str, Micros], None]
_CALENDAR: Mapping[int, Sequence[tuple[str, _Change]]] = MappingProxyType(
    {
        0: [
            *((d["key"], _define(d)) for d in (definitions.CART_OFFERS, definitions.CHECKOUT_SWEETS)),
            ("thank-you-set", _define(definitions.THANK_YOU_SET)),
            *((key, _start) for key in ("cart-offers", "checkout-sweets", "thank-you-set")),
        ],
        9: [
            *((d["key"], _define(d)) for d in (definitions.PRODUCT_PAGE_STEP_UP, fourfold.PRODUCT_PAGE_OFFERS)),
            *((key, _start) for key in ("product-page-step-up", "product-page-offers")),
        ],
        13: [("thank-you-set", _stop)],
        14: [
            ("thank-you-set", _ship_set),
            ("checkout-sweets", _stop),
            ("checkout-extras", _define_ending(fourfold.CHECKOUT_EXTRAS, "bundle")),
            ("after-purchase", _define(fourfold.AFTER_PURCHASE)),
            *((key, _start) for key in ("checkout-extras", "after-purchase")),
        ],
        19: [("advent-bundle", _define(definitions.ADVENT_BUNDLE))],
    }
)
"""What the shop's PMs did on which morning."""


def _view(snapshot: Snapshot, key: str) -> StorefrontView:
    return next(view for view in snapshot.storefronts.values() if view.storefront.key == key)


def _check(receipt: Receipt) -> None:
    if receipt.rejected:
        raise RuntimeError(f"the demo's own event was refused: {receipt.rejected[0].message}")


def _no_id() -> str:
    raise RuntimeError("the demo names every event")
