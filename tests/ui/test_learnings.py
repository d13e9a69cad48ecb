"""The library of learnings: what was decided is found again, by few queries, and told to who plans the next test."""

import json
import re
from collections.abc import Callable
from html import unescape

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import null, update
from werkzeug.test import TestResponse

from experiments.moment import DAY, Micros
from experiments.service import defining
from experiments.storage.database import reading, writing
from experiments.storage.decisions import read_decision
from experiments.storage.registry import get_experiment
from experiments.storage.tables import decision as decision_table
from tests.shop import NOW, Shop, experiment, exposed, open_shop, order
from tests.ui.browser import Browser
from tests.ui.crowded import fill_decided
from tests.ui.statements import counted
from webapp import deciding
from webapp.cli.experiment import decide as decide_command
from webapp.cli.plan import plan

Api = Callable[..., TestResponse]
PATH = "/s/shop/learnings/"
MANY = 500


@pytest.fixture
def many(shop: Shop) -> Shop:
    """A shop that has decided much."""
    with writing(shop.engine) as conn:
        fill_decided(conn, shop, MANY, NOW)
    return shop


def test_five_hundred_are_searched_by_few_queries(app: Flask, many: Shop, editor: Browser) -> None:
    editor.text(PATH)
    with counted(app) as said:
        page = editor.text(f"{PATH}?offer=bundle&touchpoint=cart&q=reason")
    mine = [statement for statement in said if "decision" in statement]
    assert len(mine) == 1
    assert "decision.report" not in mine[0], "the reports themselves are large, and stay where they are"
    assert len(said) < 8
    assert page.count('class="fw-semibold"') == 50
    assert "Page 1 of 2" in page
    with counted(app) as said:
        editor.text("/s/shop/planner/")
    assert sum("decision" in statement and "gist" in statement for statement in said) == 1


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("offer=upsell", lambda n: n % 3 == 1),
        ("touchpoint=checkout&outcome=ship", lambda n: n % 2 == 1),
        ("category=Mugs", lambda n: n % 4 == 0),
        ("depth=none", lambda n: n % 4 == 0),
        ("depth=up_to_10", lambda n: n % 4 == 1),
        ("depth=up_to_20", lambda n: n % 4 == 2),
        ("depth=over_20", lambda n: n % 4 == 3),
        ("q=experiment+77", lambda n: n % 100 == 77),
        ("since=2026-01-11&until=2026-01-12", lambda n: 40 <= n + 2 < 48),
        ("storefront=other", lambda _: False),
    ],
)
def test_a_search_finds_what_fits_and_nothing_else(
    many: Shop, api: Api, query: str, fits: Callable[[int], bool]
) -> None:
    found = {one["name"] for one in api("get", f"/api/v1/learnings?{query}").json["learnings"]}
    assert found == {f"Experiment {n}" for n in range(MANY) if fits(n)}


def test_what_they_come_to_is_given_with_a_prior_that_is_a_hint(many: Shop, api: Api, editor: Browser) -> None:
    told = api("get", "/api/v1/learnings?offer=bundle").json
    [whole] = [s for s in told["summaries"] if s["touchpoint"] is None]
    assert whole["offer"] == "bundle"
    assert whole["mean"] == pytest.approx(0.03, abs=0.002)
    assert whole["expected"]["low"] < whole["mean"] < whole["expected"]["high"]
    assert whole["prior"]["mean"] == whole["mean"]
    assert all(
        abs(e["shrunken"] - 0.03) < abs(e["lift"]["estimate"] - 0.03) + 1e-3
        for one in told["learnings"][:20]
        for e in one["effects"]
    )
    plan = editor.get("/s/shop/planner/?metric=revenue_per_visitor&offer=bundle").text
    assert "What experiments like it found" in plan
    assert "As a prior on the lift" in plan
    assert "winner's curse" in editor.text(PATH)
    assert whole["mde"] == whole["mean"]


ASKED = "metric=revenue_per_visitor&baseline=2&deviation=10&daily=4000&mde=8%25"


def test_the_planner_takes_its_lift_from_earlier_tests_and_says_what_a_win_comes_to(
    many: Shop, editor: Browser
) -> None:
    page = editor.text(f"/s/shop/planner/?{ASKED}&offer=bundle")
    assert "what wins looks larger than it is" in page
    [link] = re.findall(r'href="([^"]+)">Plan for a lift of \+3', page)
    assert "mde=3%25" in link
    assert "offer=bundle" in link
    taken = editor.text(unescape(link))
    assert re.search(r"A lift of \+3(\.0)?% (needs|cannot be found)", taken)
    unknown = editor.text("/s/shop/planner/?metric=conversion&baseline=3%25&daily=4000&offer=bundle")
    assert "Plan for a lift" not in unknown


def test_a_definition_is_told_what_earlier_tests_of_its_kind_found(many: Shop, editor: Browser) -> None:
    variants = [
        {"key": "control", "weight": 5000, "offer": {"type": "none"}},
        {"key": "bundle", "weight": 5000, "offer": {"type": "bundle", "pick": "explicit", "items": ["A1", "B2"],
                                                    "discount": {"percent": "10"}}},
    ]  # fmt: skip
    many.define(experiment("like", variants=variants), start=False)
    page = editor.text("/s/shop/experiments/like/edit")
    assert "A hint from earlier tests:" in page
    assert "Bundle: in 84 experiments" in page or "Bundle: in 83 experiments" in page


def test_the_command_says_what_earlier_tests_found_and_plans_by_it(many: Shop, sqlite_url: str) -> None:
    given = ["--baseline", "2", "--metric", "mean", "--standard-deviation", "10", "--daily-visitors", "4000"]
    like = ["--like", "revenue_per_visitor", "--offer", "bundle", "--storefront", "shop", "--database", sqlite_url]
    made = CliRunner().invoke(plan, [*given, *like, "--format", "json"])
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    earlier = found["earlier"]
    assert earlier["mean"] == pytest.approx(0.03, abs=0.002)
    assert found["mde"]["lift"] == pytest.approx(earlier["mde"])
    assert 0 < earlier["if_it_wins"]["true"] < earlier["if_it_wins"]["shown"]
    said = CliRunner().invoke(plan, [*given, *like, "--mde", "5%"]).output
    assert "earlier tests" in said
    assert "a hint" in said
    assert "if it wins" in said
    alone = CliRunner().invoke(plan, [*given, "--mde", "5%", "--format", "json"])
    assert "earlier" not in json.loads(alone.stdout)
    assert CliRunner().invoke(plan, given).exit_code == 2
    assert "go with --like" in CliRunner().invoke(plan, [*given, "--mde", "5%", "--offer", "bundle"]).output
    unknown = ["--like", "aov", "--database", sqlite_url]
    assert "too few" in CliRunner().invoke(plan, [*given, *unknown]).output
    assert "too few" in CliRunner().invoke(plan, [*given, *unknown, "--mde", "5%"]).output


def test_a_key_sees_its_own_storefront_and_a_person_all(many: Shop, api: Api, editor: Browser) -> None:
    other = open_shop(many.engine, "other", products=False)
    with writing(many.engine) as conn:
        fill_decided(conn, other, 5, NOW)
    assert len(api("get", "/api/v1/learnings").json["learnings"]) == MANY
    assert "505 experiments" in editor.text(PATH)
    assert "5 experiments" in editor.text(f"{PATH}?storefront=other")


def test_a_bad_search_is_refused_by_its_field(many: Shop, api: Api, editor: Browser) -> None:
    assert api("get", "/api/v1/learnings?since=yesterday").status_code == 422
    assert api("get", "/api/v1/learnings?colour=red").status_code == 422
    assert editor.get(f"{PATH}?since=yesterday").status_code == 422


def test_an_empty_library_says_what_will_be_there(shop: Shop, editor: Browser) -> None:
    assert "Nothing was decided yet" in editor.text(PATH)


def test_a_decision_is_in_the_library_as_it_was_decided(shop: Shop, api: Api, editor: Browser) -> None:
    shop.define(experiment(hypothesis="Because tea goes with mugs", analysis={"minimum_days": 0}))
    for number, variant in enumerate(("control", "upsell", "cross-sell", "bundle")):
        shop.expose(*(exposed(f"{variant}{i}", variant) for i in range(40)))
        shop.convert(*(order(f"o-{variant}{i}", f"{variant}{i}", f"{30 + i + number}.00") for i in range(12)))
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", NOW)
    made = deciding.snapshot(shop.engine, shop.storefront, "offers", NOW)
    with writing(shop.engine) as conn:
        deciding.decide(conn, shop.storefront, "offers", "bundle", "Tea sells mugs", "ann@shop.example", made, 500)
    [one] = api("get", "/api/v1/learnings?q=tea+mugs").json["learnings"]
    report = {m["metric"]: m for m in made.report["metrics"]}["revenue_per_visitor"]
    lifts = {c["variant"]: c["lift"]["estimate"] for c in report["comparisons"]}
    assert {e["variant"]: e["lift"]["estimate"] for e in one["effects"]} == lifts
    assert (one["learning"], one["variant"], one["decision"]) == ("Tea sells mugs", "bundle", "ship")
    assert {e["offer"]: e["depth"] for e in one["effects"]} == {
        "upsell": 0.0, "cross_sell": 0.0, "bundle": pytest.approx(0.1)
    }  # fmt: skip
    assert "Because tea goes with mugs" in editor.text(PATH)


def test_decisions_from_before_there_were_gists_get_theirs_at_the_upgrade(shop: Shop, api: Api) -> None:
    shop.define(experiment())
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, "offers", "stop", "test", NOW)
    made = deciding.snapshot(shop.engine, shop.storefront, "offers", Micros(NOW + DAY))
    with writing(shop.engine) as conn:
        deciding.decide(conn, shop.storefront, "offers", None, "why", "test", made)
        conn.execute(update(decision_table).values(gist=null()))
    with writing(shop.engine) as conn:
        assert deciding.keep_gists(conn) == 1
        assert deciding.keep_gists(conn) == 0
    with reading(shop.engine) as conn:
        assert read_decision(conn, get_experiment(conn, shop.storefront.id, "offers").id).gist == made.gist
    assert len(api("get", "/api/v1/learnings").json["learnings"]) == 1


def stopped(shop: Shop, key: str = "offers") -> None:
    shop.define(experiment(key))
    with writing(shop.engine) as conn:
        defining.act(conn, shop.storefront, key, "stop", "test", NOW)


SAID = {"learning": "Sets save a decision", "next_test": "The same set at the checkout"}


def is_kept(shop: Shop, api: Api, editor: Browser) -> None:
    decided = api("get", "/api/v1/experiments/offers/decision").json["decision"]
    assert {name: decided[name] for name in SAID} == SAID
    assert decided["reason"] == "It earns more"
    [one] = api("get", "/api/v1/learnings?q=save+checkout").json["learnings"]
    assert (one["learning"], one["reason"], one["next_test"]) == (SAID["learning"], "It earns more", SAID["next_test"])
    for path in ("/s/shop/experiments/offers", "/s/shop/experiments/offers/decision/", f"{PATH}?q=sets"):
        page = editor.text(path)
        assert all(text in page for text in [*SAID.values(), "It earns more"]), path
    [entry] = [e for e in api("get", "/api/v1/experiments/offers/audit").json["audit"] if e["action"] == "decide"]
    assert entry["after"]["decision"]["learning"] == SAID["learning"]


def test_what_was_learnt_is_kept_by_the_api(shop: Shop, api: Api, editor: Browser) -> None:
    stopped(shop)
    given = {"decision": "do_not_ship", "reason": "It earns more"} | SAID
    assert api("post", "/api/v1/experiments/offers/decide", json=given | {"learning": "x" * 4001}).status_code == 422
    assert api("post", "/api/v1/experiments/offers/decide", json=given).status_code == 200
    is_kept(shop, api, editor)


def test_what_was_learnt_is_kept_by_the_page(shop: Shop, api: Api, editor: Browser) -> None:
    stopped(shop)
    path = "/s/shop/experiments/offers/decide"
    form = editor.form(path).set("decision", "variant:bundle").set("reason", "").set("learning", SAID["learning"])
    refused = editor.send(form.set("next_test", SAID["next_test"]), path)
    assert refused.status_code == 422
    assert all(text in refused.text for text in SAID.values()), "what was typed is still there"
    too_long = editor.send(form.set("reason", "It earns more").set("learning", "x" * 4001), path)
    assert too_long.status_code == 422
    assert "more than 4000" in too_long.text
    held = form.set("learning", SAID["learning"]).set("hold", "yes").set("holdback", "5%")
    assert editor.send(held, path).status_code == 302
    is_kept(shop, api, editor)


def test_what_was_learnt_is_kept_by_the_command(shop: Shop, sqlite_url: str, api: Api, editor: Browser) -> None:
    stopped(shop)
    given = ["offers", "--reason", "It earns more", "--learning", SAID["learning"], "--next-test", SAID["next_test"]]
    made = CliRunner().invoke(decide_command, [*given, "--storefront", "shop", "--database", sqlite_url])
    assert made.exit_code == 0, made.output
    is_kept(shop, api, editor)
