"""The page of a decision: what was known then stays, what is known now stands beside it."""

from collections.abc import Callable

from werkzeug.test import TestResponse

from experiments.service import defining
from experiments.storage.database import writing
from tests.shop import NOW, Shop, a_a, experiment, exposed, order, refund
from tests.ui.browser import Browser
from webapp import deciding
from webapp.clock import now

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


def shipped(shop: Shop, editor: Browser) -> None:
    """A winner that was shipped on the page, with a holdback of a tenth."""
    shop.define(experiment(analysis={"minimum_days": 0}))
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", NOW)
    path = f"/s/{shop.storefront.key}/experiments/offers/decide"
    form = editor.form(path).set("decision", "variant:bundle").set("reason", "It earns more").set("hold", "yes")
    assert editor.send(form.set("holdback", "10%"), path).status_code == 302


def test_who_ships_with_a_holdback_reads_whether_it_lasts_and_ends_it(
    shop: Shop, editor: Browser, api: Callable[..., TestResponse]
) -> None:
    shipped(shop, editor)
    base = f"/s/{shop.storefront.key}/experiments"
    assert "Its holdback of 10%" in editor.text(f"{base}/offers")
    assert "nothing yet" in editor.text(f"{base}/offers/decision/")
    for variant, units in (("control", 20), ("bundle", 180)):
        key = "offers-holdback"
        shop.expose(*(exposed(f"{variant}{i}", variant, experiment=key) for i in range(units)), now=now())
        shop.convert(*(order(f"o-{variant}{i}", f"{variant}{i}", f"{30 + i}.00") for i in range(8)), now=now())
    page = editor.text(f"{base}/offers/decision/")
    assert "Did it last?" in page
    assert "Not yet known" in page
    assert "Does it last?" in editor.text(f"{base}/offers-holdback/report")
    told = api("get", "/api/v1/experiments/offers/holdback").json
    assert told["lasting"]["reading"] == "not_known"
    assert (told["experiment"], told["share"], told["lasting"]["spans"][0]["units"]) == ("offers-holdback", 1000, 180)
    assert api("get", "/api/v1/experiments/offers-holdback").json["follows"] == "offers"
    assert api("get", "/api/v1/experiments/offers-holdback/report").json["lasting"] == told["lasting"]
    ending = editor.text(f"{base}/offers-holdback/stop")
    assert "The winner, for everyone in the placement" in ending
    done = editor.send(editor.form(f"{base}/offers-holdback/stop"), f"{base}/offers-holdback/stop")
    assert done.status_code == 302
    assert "Everyone sees the winner" in editor.text(f"{base}/offers-holdback")


def test_a_holdback_that_cannot_be_is_refused_at_its_field(shop: Shop, editor: Browser) -> None:
    shop.define(experiment())
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", NOW)
    path = f"/s/{shop.storefront.key}/experiments/offers/decide"
    form = editor.form(path).set("reason", "why").set("hold", "yes")
    for decision, share, said in (
        ("variant:bundle", "50%", "must be 1% to 20%"), ("variant:bundle", "much", "must be a percentage"),
        ("none", "5%", "nothing to hold back"),
    ):  # fmt: skip
        answer = editor.send(form.set("decision", decision).set("holdback", share), path)
        assert answer.status_code == 422
        assert said in answer.text


def test_a_winner_is_not_said_to_be_shipped_while_its_holdback_is_paused(shop: Shop, editor: Browser) -> None:
    shipped(shop, editor)
    pages = (f"/s/{shop.storefront.key}/", f"/s/{shop.storefront.key}/emergency")
    assert all("ships bundle" in editor.text(page) for page in pages)
    [holdback] = [e.key for e in shop.view.experiments.values() if e.follows == "offers"]
    path = f"/s/{shop.storefront.key}/experiments/{holdback}/pause"
    assert editor.send(editor.form(path), path).status_code == 302
    for page in map(editor.text, pages):
        assert "ships bundle" not in page
    assert "bundle is not shown while its holdback is paused" in editor.text(pages[0])


def test_the_api_ships_with_a_holdback(shop: Shop, api: Callable[..., TestResponse]) -> None:
    shop.define(experiment())
    path = "/api/v1/experiments/offers"
    assert api("post", f"{path}/stop").status_code == 200
    assert api("get", f"{path}/holdback").status_code == 404
    asked = {"decision": "ship", "variant": "bundle", "reason": "It earns more", "holdback": 500}
    assert api("post", f"{path}/decide", json=asked | {"holdback": 5}).status_code == 422
    told = api("post", f"{path}/decide", json=asked).json
    assert told["decision"]["holdback"] == {"experiment": "offers-holdback", "share": 500}
    assert [s["units"] for s in api("get", f"{path}/holdback").json["lasting"]["spans"]] == [0, 0, 0, 0]
