"""What is known of a unit when it enters is kept with its first exposure, once, and goes with it."""

import json
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, select

from experiments.context import CartLine, ContextInput
from experiments.events import parse_exposure
from experiments.importing.columns import Columns
from experiments.importing.events import Fill
from experiments.importing.rowfile import RowFile
from experiments.service.erasing import erase, person_data, person_of
from experiments.service.importing import import_exposures
from experiments.service.recording import exposure_recording, exposure_row
from experiments.service.serving import AssignmentRequest, decide, exposure
from experiments.storage.database import reading, writing
from experiments.storage.eventwriter import EventWriter
from experiments.storage.registry import get_experiment
from experiments.storage.tables import exposure as table
from tests.shop import NOW, Shop, a_a, exposed, open_shop

PLAN = {"segments": ["device", "country"]}
PHONE = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36"


@pytest.fixture
def shop(engine: Engine) -> Shop:
    opened = open_shop(engine)
    opened.define(a_a("offers", analysis=PLAN))
    return opened


def kept(shop: Shop, unit: str, kind: str = "assigned") -> tuple[Any, ...]:
    c = table.c
    query = select(c.device, c.category, c.cart, c.attributes).where(c.unit_id == unit, c.kind == kind)
    with reading(shop.engine) as conn:
        return tuple(conn.execute(query).one())


def test_an_assignment_keeps_what_its_request_told(shop: Shop) -> None:
    told = {"country": "DE", "secret": "yes"}
    context = ContextInput("A1", [CartLine("A2", 2), CartLine("C1")])
    request = AssignmentRequest("v1", "cart", attributes=told, context=context)
    made = decide(shop.view, request, NOW, lambda _rule, _unit: None)
    met = exposure(shop.view, request, made, NOW, PHONE)
    assert met is not None
    exposure_recording(shop.view, met, NOW).write(EventWriter(shop.engine))
    assert kept(shop, "v1") == ("mobile", "Mugs", 3_100, '{"country":"DE"}')


@pytest.mark.parametrize("unit", ["visitor", "customer"])
def test_what_is_decided_here_is_kept_as_if_the_shop_had_reported_it(shop: Shop, unit: str) -> None:
    shop.define(a_a("also", unit=unit, placement="also", analysis=PLAN))
    context = ContextInput("A1", [CartLine("A2", 2)])
    request = AssignmentRequest("v1", "also", "c1", {"country": "DE", "device": "phone"}, context)
    made = decide(shop.view, request, NOW, lambda _rule, _unit: None)
    assert made.variant is not None
    where = {"product_id": "A1", "cart": [{"product_id": "A2", "quantity": 2}]}
    who = {"customer_id": "c1", "attributes": request.attributes, "context": where}
    told = exposed("v1", made.variant.key, experiment="also", kind="assigned", **who)
    reported = exposure_row(shop.view, parse_exposure(json.dumps(told).encode(), NOW), historic=False)
    assert exposure(shop.view, request, made, NOW) == replace(reported, at=NOW)
    assert reported.unit_id == {"visitor": "v1", "customer": "c1"}[unit]


def test_an_exposure_may_tell_them_too_and_a_view_alone_is_an_entry(shop: Shop) -> None:
    told = {"attributes": {"device": "tablet", "country": "AT"}, "context": {"cart": []}}
    shop.expose(exposed("v1", "t1", kind="viewed", **told))
    assert kept(shop, "v1") == ("tablet", None, 0, '{"country":"AT"}')
    assert kept(shop, "v1", "viewed") == (None, None, None, None), "a view has nothing of its own"


def test_the_first_exposure_stays_whatever_a_repeat_tells(shop: Shop) -> None:
    first = exposed("v1", "t1", kind="assigned", attributes={"device": "mobile"})
    again = exposed("v1", "t1", kind="assigned", attributes={"device": "desktop", "country": "DE"})
    assert shop.expose(first).accepted == 1
    assert shop.expose(again).duplicate == 1
    assert shop.expose(exposed("v1", "t1", kind="viewed", attributes={"country": "DE"})).accepted == 1
    assert kept(shop, "v1") == ("mobile", None, None, None)
    bare = exposed("v2", "t1", kind="assigned")
    assert shop.expose(bare).accepted == 1
    assert shop.expose(bare | {"attributes": {"device": "mobile"}}).duplicate == 1
    assert kept(shop, "v2") == (None, None, None, None), "what came later is not what was known then"


def test_many_at_once_are_kept_like_one_by_one(shop: Shop) -> None:
    devices = ["mobile", "desktop", None]
    rows = [
        exposed(f"v{n}", "t1", kind="assigned", attributes={"device": devices[n % 3]} if n % 3 < 2 else {})
        for n in range(600)
    ]
    assert shop.expose(*rows).accepted == 600
    with reading(shop.engine) as conn:
        found = {row.unit_id: row.device for row in conn.execute(select(table.c.unit_id, table.c.device))}
    assert found == {f"v{n}": devices[n % 3] for n in range(600)}


@pytest.mark.parametrize("seed", range(5))
def test_telling_them_changes_no_outcome(shop: Shop, seed: int) -> None:
    """The same exposures to two experiments, one with traits and one without, in random order and batches."""
    shop.define(a_a("bare"))
    rng = np.random.default_rng(seed)
    for _ in range(12):
        batch = [
            exposed(
                f"v{rng.integers(8)}", str(rng.choice(["control", "t1"])), kind=str(rng.choice(["assigned", "viewed"]))
            )
            for _ in range(rng.integers(1, 9))
        ]
        devices = [str(rng.choice(["mobile", "desktop", "fridge"])) for _ in batch]
        told = [b | {"attributes": {"device": d, "country": d}} for b, d in zip(batch, devices, strict=True)]
        with_traits, without = shop.expose(*told), shop.expose(*(b | {"experiment": "bare"} for b in batch))
        assert with_traits == without
    c = table.c
    query = select(c.unit_id, c.kind, c.variant, c.at, c.day).order_by(c.unit_id, c.kind)
    with reading(shop.engine) as conn:
        ids = {key: get_experiment(conn, shop.storefront.id, key).id for key in ("offers", "bare")}
        found = {key: conn.execute(query.where(c.experiment_id == number)).all() for key, number in ids.items()}
    assert found["offers"] == found["bare"]


def test_an_import_brings_them_in_its_columns(shop: Shop, tmp_path: Any) -> None:
    lines = ["visitor_id,variant,attributes,context"]
    lines += ['v1,t1,"{""device"": ""mobile"", ""country"": ""FR""}","{""cart"": [{""product_id"": ""A1""}]}"']
    lines += ["v2,t1,,", 'v3,t1,"{broken",']
    (tmp_path / "e.csv").write_text("\n".join(lines))
    rows = RowFile(tmp_path / "e.csv").rows(Columns("exposures", {}, filled=["experiment"]).meaning)
    batches = list(import_exposures(shop.engine, shop.view, rows, Fill("EUR", "offers"), NOW))
    assert sum(batch.accepted for batch in batches) == 2
    assert [(r.line, r.refusal.fields) for batch in batches for r in batch.rejected] == [(4, ("attributes",))]
    assert kept(shop, "v1") == ("mobile", "Mugs", 1_000, '{"country":"FR"}')
    assert kept(shop, "v2") == (None, None, None, None)


def test_they_are_in_a_persons_export_and_gone_with_the_person(shop: Shop) -> None:
    for visitor in ("anna", "bob"):
        shop.expose(exposed(visitor, "t1", attributes={"device": "tablet", "country": "AT"}))
    with writing(shop.engine) as conn:
        anna = person_of(conn, shop.storefront.id, "anna", None)
        (row,) = [r for r in person_data(conn, shop.storefront, anna)["exposure"] if r["kind"] == "assigned"]
        assert (row["device"], json.loads(row["attributes"])) == ("tablet", {"country": "AT"})
        erase(conn, shop.storefront, anna, "test", NOW)
    with reading(shop.engine) as conn:
        left = {tuple(row) for row in conn.execute(select(table.c.unit_id, table.c.device))}
    assert left == {("bob", "tablet"), ("bob", None)}
