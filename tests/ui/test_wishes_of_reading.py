"""What users of other systems beg for, by its number in their list: the part that counting and reading answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from werkzeug.test import TestResponse

from experiments.moment import DAY, Micros, day_number, iso, moment
from experiments.service.settings import create_key
from experiments.storage.database import writing
from tests.shop import Shop, a_a, exposed, order, refund
from tests.ui import test_wishes
from tests.ui.browser import Browser
from webapp.cli.reconcile import command as reconcile
from webapp.clock import now
from webapp.lab import new_token

Api = Callable[..., TestResponse]
BASE = "/s/shop/experiments"
UNITS, BUYERS = 100, 20
"""Of each variant; every order is EUR 20."""


def measure(shop: Shop, control: int = UNITS, shown: int = UNITS, **changes: Any) -> Micros:
    """An experiment that began three days ago, with its units of two days ago and their orders; when those came."""
    begun = Micros(now() - 3 * DAY)
    shop.define(a_a(analysis={"minimum_days": 0}) | changes, now=begun)
    met = Micros(begun + DAY)
    enter(shop, "control", range(control), met)
    enter(shop, "t1", range(shown), met)
    return met


def enter(shop: Shop, variant: str, numbers: range, at: Micros) -> None:
    facts = {"kind": "assigned", "experiment": "same", "occurred_at": iso(at)}
    shop.expose(*(exposed(f"{variant}-{n}", variant, **facts) for n in numbers), now=at, historic=True)
    bought = [order(f"o-{variant}-{n}", f"{variant}-{n}", "20.00", occurred_at=iso(Micros(at + 1))) for n in numbers]
    shop.convert(*bought[:BUYERS], now=Micros(at + 2))


def report(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api("get", "/api/v1/experiments/same/report").get_json()
    return found


def own(api: Api, key: str, **fields: Any) -> str:
    assert api("post", "/api/v1/metrics", json={"key": key, "name": key, **fields}).status_code == 201
    return key


def metric_of(api: Api, key: str) -> dict[str, Any]:
    [found] = [metric for metric in report(api)["metrics"] if metric["metric"] == key]
    return found


def test_wish_6_a_cap_is_of_buyers_values_and_says_how_many_it_cut(shop: Shop, api: Api, editor: Browser) -> None:
    capped = own(api, "capped", type="mean", numerator="revenue", cap=0.9)
    at = measure(shop, metrics={"primary": capped})
    shop.convert(order("large", "t1-99", "2000.00", occurred_at=iso(Micros(at + 1))), now=now())
    found = metric_of(api, capped)
    assert found["cap"]["value"] == 20.0, "of 41 buyers' values, not of 200 of which most are 0"
    by_arm = {v["variant"]: (v["value"], v["capped_units"]) for v in found["variants"]}
    assert by_arm == {"control": (4.0, 0), "t1": (4.2, 1)}
    page = editor.text(f"{BASE}/same/report")
    assert "€20.00" in page


def test_wish_7_an_order_value_is_capped_over_one_population(shop: Shop, api: Api) -> None:
    capped = own(api, "capped_aov", type="ratio", numerator="revenue", denominator="orders", cap=0.99)
    measure(shop, metrics={"primary": "aov", "secondary": [capped]})
    for key in ("aov", capped):
        assert [v["value"] for v in metric_of(api, key)["variants"]] == [20.0, 20.0], key
        assert [c["difference"]["estimate"] for c in metric_of(api, key)["comparisons"]] == [0.0], key


def test_wish_10_an_unequal_split_is_no_alarm_and_a_wrong_one_is_told_with_its_size(
    shop: Shop, api: Api, editor: Browser
) -> None:
    weights = [("control", 7500), ("t1", 2500)]
    planned = [{"key": key, "weight": weight, "offer": {"type": "none"}} for key, weight in weights]
    at = measure(shop, 300, 100, variants=planned)
    [srm] = [check for check in report(api)["checks"] if check["check"] == "srm"]
    assert (srm["status"], srm["p_value"]) == ("pass", pytest.approx(1.0))
    enter(shop, "t1", range(100, 200), at)
    [srm] = [check for check in report(api)["checks"] if check["check"] == "srm"]
    assert srm["status"] == "fail"
    assert srm["p_value"] < 0.001
    assert "control 60.00% (expected 75.00%)" in srm["detail"]
    assert "60.00%" in editor.text(f"{BASE}/same/report")


def test_wish_11_every_order_is_analysed_or_excluded_for_a_named_reason(shop: Shop, api: Api) -> None:
    at = measure(shop)
    early, late = iso(Micros(at - 1)), iso(Micros(at + 1))
    shop.convert(order("stranger", "nobody", "30.00", occurred_at=late), now=now())
    shop.convert(order("early", "control-50", "40.00", occurred_at=early), now=now())
    day = moment(Micros(day_number(at, shop.storefront.zone) * DAY)).date().isoformat()
    url = shop.engine.url.render_as_string(hide_password=False)
    asked = ["--storefront", "shop", "--from", day, "--to", day, "--format", "json", "--database", url]
    ran = CliRunner().invoke(reconcile, asked)
    assert ran.exit_code == 0, ran.output
    books = json.loads(ran.output)
    [account] = books["experiments"]
    assert account["balanced"]
    assert account["analysed"] == {"orders": 2 * BUYERS, "revenue": "800.00", "unpriced": 0}
    excluded = {reason: (one["orders"], one["revenue"]) for one in account["excluded"] for reason in [one["reason"]]}
    assert excluded["no_exposure"] == (1, "30.00")
    assert excluded["before_exposure"] == (1, "40.00")
    analysed = {v["variant"]: v["numerator"] for v in metric_of(api, "revenue_per_visitor")["variants"]}
    assert sum(analysed.values()) == 800


def test_wish_14_what_somebody_would_get_is_answered_without_enrolling_them(
    app: Flask, shop: Shop, api: Api, editor: Browser
) -> None:
    shop.define(a_a(), now=now())
    with writing(shop.engine) as conn:
        key = create_key(conn, shop.storefront.id, "public", new_token(), now(), "test")
    app.extensions["offerlab"].snapshots.refresh(now())

    def ask(**given: object) -> str:
        body = {"visitor_id": "v1", "placement": "cart", **given}
        answer = app.test_client().post("/v1/assignments", json=body, headers={"Authorization": f"Bearer {key}"})
        return str(answer.get_json()["variant"])

    peeked = ask(record=False)
    assert peeked in editor.text("/s/shop/settings/visitor/?visitor_id=v1&placement=cart")
    assert sum(one["units"] for one in report(api)["variants"]) == 0
    assert ask() == peeked
    assert sum(one["units"] for one in report(api)["variants"]) == 1


def test_wish_20_what_was_decided_by_stays_and_what_is_known_since_stands_apart(
    shop: Shop, api: Api, editor: Browser
) -> None:
    measure(shop, metrics={"primary": "revenue_per_visitor", "guardrails": [{"metric": "refund_rate", "margin": "2%"}]})
    for action, fields in (("stop", {}), ("decide", {"decision": "none", "reason": "No lift worth its costs"})):
        path = f"{BASE}/same/{action}"
        form = editor.form(path)
        for name, value in fields.items():
            form.set(name, value)
        assert editor.send(form, path).status_code == 302
    decided, path = editor.get(f"{BASE}/same/decision/decision.json").get_json(), f"{BASE}/same/decision/"
    before = report(api)
    shop.expose(*(exposed(f"late-{n}", "t1", experiment="same") for n in range(10)), now=now())
    assert report(api)["variants"] == before["variants"], "who comes after the end is not counted"
    shop.convert(refund("back", "o-t1-0", "20.00"), now=now())
    assert editor.get(f"{BASE}/same/decision/decision.json").get_json() == decided
    assert report(api)["metrics"] != before["metrics"]
    page = editor.text(path)
    assert all(dated in page for dated in ("Events until", "Read again", "Lift at the decision", "Lift now"))


def test_each_of_the_first_twenty_two_has_a_test_by_its_number() -> None:
    names = [*vars(test_wishes), *globals()]
    assert {n for n in range(1, 23) if not any(name.startswith(f"test_wish_{n}_") for name in names)} == set()
