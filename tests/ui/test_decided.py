"""The page of a decision: what was known then stays, what is known now stands beside it."""

from collections.abc import Callable

from experiments.service import defining
from experiments.storage.database import writing
from tests.shop import NOW, Shop, a_a, exposed, order, refund
from tests.ui.browser import Browser
from webapp import deciding

SignIn = Callable[[str], Browser]
PLAN = {"primary": "revenue_per_visitor", "secondary": ["refund_rate"]}


def test_then_and_now_stand_side_by_side(shop: Shop, sign_in: SignIn) -> None:
    shop.define(a_a(analysis={"minimum_days": 0}, metrics=PLAN))
    for variant in ("control", "t1"):
        shop.expose(*(exposed(f"{variant}{i}", variant, experiment="same") for i in range(20)))
        shop.convert(*(order(f"o-{variant}{i}", f"{variant}{i}", f"{30 + i}.00") for i in range(8)))
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "same", "stop", "test", NOW)
    made = deciding.snapshot(shop.engine, shop.storefront, "same", NOW)
    with writing(shop.engine) as conn:
        deciding.decide(conn, shop.storefront, "same", None, "No lift worth its costs", "ann@shop.example", made)
    viewer, path = sign_in("viewer"), f"/s/{shop.storefront.key}/experiments/same/decision/"
    before = viewer.text(path)
    assert "No lift worth its costs" in before
    assert "ann@shop.example" in before
    kept = viewer.get(f"{path}decision.json").json
    shop.convert(refund("r1", "o-t10", "30.00"))
    after = viewer.text(path)
    assert viewer.get(f"{path}decision.json").json == kept
    assert after != before
    assert "What it was decided by" in viewer.text(f"/s/{shop.storefront.key}/experiments/same")


def test_what_is_not_decided_has_no_such_page(shop: Shop, sign_in: SignIn) -> None:
    shop.define(a_a())
    assert sign_in("viewer").get(f"/s/{shop.storefront.key}/experiments/same/decision/").status_code == 404
