"""Who is served at all: layers, the holdout, schedules, audiences, previews, kill switches, bots, consent, and why."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from flask import Flask
from werkzeug.test import Client, TestResponse

from experiments.crawlers import is_bot
from experiments.moment import DAY, SECOND, Micros, iso, moment
from experiments.service import defining
from experiments.service.settings import create_key
from experiments.storage.database import connect, reading, writing
from experiments.storage.keys import KeyKind
from experiments.storage.registry import get_experiment, read_audit
from tests.shop import NOW, Shop, a_a, experiment, exposed, open_shop
from webapp import create_app
from webapp.cli.storefront import command
from webapp.clock import now
from webapp.config import Settings
from webapp.front import Front
from webapp.lab import new_token

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@dataclass
class House:
    """An application in this process, and its keys."""

    app: Flask
    shop: Shop
    keys: dict[KeyKind, str]
    url: str

    def call(self, method: str, path: str, body: Any = None, kind: KeyKind = "admin", **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Authorization": f"Bearer {self.keys[kind]}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        return Client(Front(self.app)).open(path, method=method, data=data, headers=named)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def change(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.call(method, path, body)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json

    def refused(self, path: str, body: Any = None, method: str = "POST") -> tuple[int, str]:
        """The status, and the field or code of a refusal."""
        answer = self.call(method, path, body)
        assert answer.status_code >= 400, answer.text
        found = answer.json
        return answer.status_code, found["errors"][0]["field"] if "errors" in found else found["code"]

    def start(self, value: dict[str, Any]) -> None:
        self.change("/api/v1/experiments", value)
        self.change(f"/api/v1/experiments/{value['key']}/start")

    def ask(self, visitor: str = "v1", kind: KeyKind = "public", **given: Any) -> dict[str, Any]:
        headers = {k: given.pop(k) for k in ("User_Agent", "Sec_GPC") if k in given}
        body = {"visitor_id": visitor, "placement": "cart", "record": False} | given
        answer = self.call("POST", "/v1/assignments", body, kind, **headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def reason(self, visitor: str = "v1", kind: KeyKind = "public", **given: Any) -> str:
        found: str = self.ask(visitor, kind, **given)["reason"]
        return found


@pytest.fixture
def house(sqlite_url: str) -> Iterator[House]:
    engine = connect(sqlite_url)
    shop = open_shop(engine, "demo")
    keys: dict[KeyKind, str] = {}
    kinds: tuple[KeyKind, ...] = ("public", "secret", "admin")
    with writing(engine) as conn:
        for kind in kinds:
            keys[kind] = create_key(conn, shop.storefront.id, kind, new_token(), NOW, "test")
    app = create_app(Settings(database_url=sqlite_url, secret_key="test"))
    yield House(app, shop, keys, sqlite_url)
    app.extensions["offerlab"].close()
    engine.dispose()


def settle(happens: Callable[[], bool]) -> None:
    for _ in range(100):
        if happens():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen")


def part(start: int, end: int) -> dict[str, Any]:
    return {"key": "checkout", "start": start, "end": end}


def test_a_layer_says_who_holds_what_and_refuses_overlap(house: House) -> None:
    made = house.change("/api/v1/layers", {"key": "checkout"})
    assert (made["unit"], made["free"], made["holds"]) == ("visitor", 10_000, [])
    assert house.refused("/api/v1/layers", {"key": "checkout"}) == (409, "key_taken")
    house.start(a_a("one", layer=part(0, 4000)))
    house.change("/api/v1/experiments", a_a("two", layer=part(3000, 6000)))
    answer = house.call("POST", "/api/v1/experiments/two/start")
    assert (answer.status_code, answer.json["code"]) == (409, "layer_taken")
    assert "'one' holds 0% to 40%" in answer.json["message"]
    shown = house.get("/api/v1/layers")["layers"][0]
    assert (shown["free"], shown["free_ranges"]) == (6000, [{"start": 4000, "end": 10_000}])
    assert shown["holds"] == [{"experiment": "one", "state": "running", "start": 0, "end": 4000}]
    house.change("/api/v1/experiments/one/stop")
    house.change("/api/v1/experiments/two/start")


def test_a_layers_name_alone_takes_the_part_that_is_needed(house: House) -> None:
    house.change("/api/v1/layers", {"key": "checkout"})
    house.start(a_a("one", layer=part(2000, 7000)))
    small = house.change("/api/v1/experiments", a_a("small", layer="checkout", coverage=1500))
    assert (small["layer"], small["coverage"]) == (part(0, 1500), 10_000)
    rest = house.change("/api/v1/experiments", a_a("rest", layer={"key": "checkout"}))
    assert rest["layer"] == part(7000, 10_000)
    for key in ("small", "rest"):
        house.change(f"/api/v1/experiments/{key}/start")
    assert house.refused("/api/v1/experiments", a_a("more", layer="checkout", coverage=3000)) == (409, "layer_full")
    met = {e: sum(house.ask(f"v{i}")["experiment"] == e for i in range(400)) for e in ("one", "small", "rest")}
    assert 30 < met["small"] < 90
    assert 80 < met["rest"] < 160


def test_a_layer_owns_the_unit(house: House) -> None:
    house.change("/api/v1/layers", {"key": "checkout", "unit": "customer"})
    assert house.refused("/api/v1/experiments", a_a(layer=part(0, 10))) == (422, "unit")
    assert house.refused("/api/v1/experiments", a_a(layer={**part(0, 10), "key": "none"})) == (422, "layer.key")
    house.change("/api/v1/experiments", a_a(unit="customer", layer=part(0, 10)))


def test_the_holdout_sees_nothing_and_a_winner_neither(house: House) -> None:
    house.start(a_a())
    assert house.refused("/api/v1/storefront", {"holdout": 5001}, "PATCH") == (422, "holdout")
    house.change("/api/v1/storefront", {"holdout": 3000}, "PATCH")
    held = [f"v{i}" for i in range(200) if house.reason(f"v{i}") == "holdout"]
    assert 30 < len(held) < 90
    house.change("/api/v1/experiments/same/stop")
    house.change("/api/v1/experiments/same/decide", {"variant": "t1"})
    assert {house.reason(visitor) for visitor in held} == {"holdout"}
    assert house.ask(held[0])["offer"] == {"type": "none"}
    assert house.get("/api/v1/storefront")["holdout"] == 3000


def test_schedules_are_kept_written_and_shown_in_both_clocks(house: House) -> None:
    soon, later = moment(Micros(now() + 2 * SECOND)), moment(Micros(now() + 5 * SECOND))
    times = {"start_at": soon.isoformat(), "end_at": later.isoformat()}
    house.change("/api/v1/experiments", a_a(schedule=times))
    started = house.change("/api/v1/experiments/same/start")
    assert (started["state"], started["times"]["timezone"]) == ("scheduled", "Europe/Berlin")
    assert started["times"]["start_at"]["utc"] == iso(Micros(soon.timestamp() * 1e6 // 1)).replace("+00:00", "Z")
    assert started["times"]["start_at"]["local"][-6:] in {"+01:00", "+02:00"}
    assert house.reason() == "not_running"
    settle(lambda: house.reason() == "assigned")
    settle(lambda: house.get("/api/v1/experiments/same")["state"] == "running")
    settle(lambda: house.get("/api/v1/experiments/same")["state"] == "stopped")
    trail = house.get("/api/v1/experiments/same/audit")["audit"]
    assert [(e["actor"], e["action"]) for e in trail[:2]] == [("schedule", "stop"), ("schedule", "start")]
    assert len(trail) == 4


def test_what_is_due_is_written_once(house: House) -> None:
    value = a_a(schedule={"start_at": iso(Micros(NOW + DAY)), "end_at": iso(Micros(NOW + 3 * DAY))})
    house.shop.define(value)
    with writing(house.shop.engine) as conn:
        written = [defining.due(conn, Micros(NOW + days * DAY)) for days in (0, 1, 2, 3, 3)]
    with reading(house.shop.engine) as conn:
        found = get_experiment(conn, house.shop.storefront.id, "same")
        entries = read_audit(conn, house.shop.storefront.id, "experiment:same")
    assert written == [0, 1, 0, 1, 0]
    assert (found.state, found.started_at, found.stopped_at) == ("stopped", NOW + DAY, NOW + 3 * DAY)
    assert [e.action for e in entries] == ["stop", "start", "schedule", "create"]


def test_times_without_an_offset_are_the_storefronts(house: House) -> None:
    made = house.change("/api/v1/experiments", a_a(schedule={"start_at": "2027-07-01T09:00:00"}))
    assert made["schedule"]["start_at"] == "2027-07-01T09:00:00+02:00"
    assert made["times"]["start_at"] == {"utc": "2027-07-01T07:00:00Z", "local": "2027-07-01T09:00:00+02:00"}
    for night in ("2027-03-28T02:30:00", "2027-10-31T02:30:00"):
        value = a_a("other", schedule={"start_at": night})
        assert house.refused("/api/v1/experiments", value) == (422, "schedule.start_at")


def test_saved_audiences_are_used_in_targeting(house: House) -> None:
    house.change("/api/v1/audiences", {"key": "vip", "type": "list", "values": ["v1", "v2"]})
    german = {"key": "german", "type": "condition", "condition": {"country": "DE"}}
    assert house.change("/api/v1/audiences", german)["condition"] == {"country": "DE"}
    assert house.refused("/api/v1/experiments", a_a(targeting={"id": {"$inGroup": "none"}})) == (
        422,
        "targeting.id.$inGroup",
    )
    house.start(a_a(targeting={"id": {"$inGroup": "vip"}, "$savedGroup": {"id": "german"}}))
    assert house.reason("v1", attributes={"country": "DE"}) == "assigned"
    assert house.reason("v1", attributes={"country": "FR"}) == "not_targeted"
    assert house.reason("v3", attributes={"country": "DE"}) == "not_targeted"
    house.change("/api/v1/audiences/vip", {"key": "vip", "type": "list", "values": ["v3"]}, "PUT")
    assert house.reason("v3", attributes={"country": "DE"}) == "assigned"
    assert house.refused("/api/v1/audiences/german", german | {"condition": {"country": "FR"}}, "PUT") == (
        409,
        "audience_in_use",
    )
    assert house.refused("/api/v1/audiences", {"key": "x", "type": "condition", "values": [1]})[0] == 422
    assert [a["key"] for a in house.get("/api/v1/audiences")["audiences"]] == ["vip", "german"]


def test_a_preview_link_shows_one_variant_and_is_never_recorded(house: House) -> None:
    house.change("/api/v1/experiments", experiment())
    link = house.change("/api/v1/experiments/offers/preview", {"variant": "bundle"})
    shown = house.ask(preview=link["token"], record=True)
    assert (shown["reason"], shown["variant"], shown["in_experiment"]) == ("preview", "bundle", False)
    assert shown["offer"]["type"] == "bundle"
    assert house.reason() == "no_experiment"
    assert house.reason(preview=link["token"] + "x") == "no_experiment"
    assert house.reason(preview=link["token"], placement="checkout") == "no_experiment"
    assert house.reason(attributes={"offerlab_preview": link["token"]}) == "preview"
    assert house.refused("/api/v1/experiments/offers/preview", {"variant": "none"}) == (404, "not_found")
    opened = Client(house.app).get(link["url"].partition("localhost")[2])
    assert (opened.status_code, opened.json["variant"]) == (200, "bundle")
    assert f"offerlab_preview={link['token']}" in opened.headers["Set-Cookie"]
    assert Client(house.app).get("/preview/nonsense").status_code == 404


def test_a_preview_link_leads_only_to_the_shop(house: House) -> None:
    house.change("/api/v1/storefront", {"origins": ["https://shop.example"]}, "PATCH")
    house.change("/api/v1/experiments", experiment())
    link = house.change("/api/v1/experiments/offers/preview", {"variant": "bundle"})
    path = link["url"].partition("localhost")[2]
    led = Client(house.app).get(path, query_string={"to": "https://shop.example/cart?x=1#top"})
    assert led.headers["Location"] == f"https://shop.example/cart?x=1&offerlab_preview={link['token']}#top"
    for elsewhere in ("https://evil.example/", "https://shop.example.evil.example/", "//evil.example", "javascript:1"):
        assert Client(house.app).get(path, query_string={"to": elsewhere}).status_code == 422


def test_the_kill_switch_of_a_placement_goes_before_everything(house: House) -> None:
    house.start(experiment(allow_list={"tester": "bundle"}))
    assert house.reason("tester") == "forced"
    link = house.change("/api/v1/experiments/offers/preview", {"variant": "bundle"})
    paused = house.change("/api/v1/placements/cart", {"paused": True}, "PATCH")
    assert paused["rules"] == [{"experiment": "offers", "state": "running", "winner": None, "coverage": 10_000}]
    for visitor, token in (("v1", None), ("tester", None), ("v1", link["token"])):
        killed = house.ask(visitor, preview=token)
        assert (killed["reason"], killed["variant"], killed["offer"]) == ("forced", None, {"type": "none"})
    house.change("/api/v1/placements/cart", {"paused": False}, "PATCH")
    assert house.reason("v1", context={"product_id": "A1"}) == "assigned"
    assert house.refused("/api/v1/placements/none", {"paused": True}, "PATCH") == (404, "not_found")


def test_an_allow_list_is_never_counted(house: House) -> None:
    house.start(experiment(allow_list={"tester": "bundle"}))
    assert house.refused("/api/v1/experiments", experiment("x", allow_list={"v": "no"})) == (422, "allow_list.v")
    shown = house.ask("tester", record=True)
    assert (shown["reason"], shown["variant"], shown["in_experiment"]) == ("forced", "bundle", False)
    refused = house.call("POST", "/v1/exposures", exposed("tester", "bundle"), "public")
    assert (refused.status_code, refused.json["code"]) == (422, "forced")


def test_rules_are_listed_in_the_order_in_which_they_are_tried(house: House) -> None:
    for key in ("first", "second", "third"):
        house.start(a_a(key))
    house.change("/api/v1/experiments/third/stop")
    house.change("/api/v1/experiments/third/decide", {"variant": "t1"})
    cart = next(p for p in house.get("/api/v1/placements")["placements"] if p["key"] == "cart")
    assert [(r["experiment"], r["winner"]) for r in cart["rules"]] == [
        ("third", "t1"),
        ("first", None),
        ("second", None),
    ]


def test_bots_are_known_by_the_visitors_own_user_agent(house: House) -> None:
    house.start(a_a())
    assert house.reason(User_Agent=GOOGLEBOT) == "bot"
    assert house.reason(User_Agent=BROWSER) == "assigned"
    assert house.reason(kind="secret", User_Agent=GOOGLEBOT) == "assigned"  # the shop's server may call itself anything
    assert house.reason(kind="secret", attributes={"user_agent": GOOGLEBOT}) == "bot"
    assert house.reason(User_Agent="python-requests/2.32") == "assigned"
    house.change("/api/v1/storefront", {"bots": "automation"}, "PATCH")
    assert house.reason(User_Agent="python-requests/2.32") == "bot"
    house.change("/api/v1/storefront", {"bots": "off"}, "PATCH")
    assert house.reason(User_Agent=GOOGLEBOT) == "assigned"


def test_the_list_knows_its_own_examples_and_no_browser() -> None:
    examples = [ua for entry in CRAWLER_USER_AGENTS_DATA for ua in entry["instances"] if len(ua) <= 512]
    assert len(examples) > 2000
    assert all(is_bot(ua, "automation") for ua in examples)
    for ua in (BROWSER, "Mozilla/5.0 (Linux; Android 14; Cubot P80) Chrome/120 Mobile Safari/537.36", "", "\ud800"):
        assert not is_bot(ua, "automation")


def test_consent_and_global_privacy_control(house: House) -> None:
    house.start(a_a())
    assert house.reason(Sec_GPC="1") == "assigned"
    house.change("/api/v1/storefront", {"consent": "required"}, "PATCH")
    assert house.reason() == "no_consent"
    assert house.reason(attributes={"consent": "true"}) == "no_consent"
    assert house.reason(attributes={"consent": True}) == "assigned"
    house.change("/api/v1/storefront", {"honours_gpc": True}, "PATCH")
    assert house.reason(attributes={"consent": True}, Sec_GPC="1") == "no_consent"
    assert house.reason(kind="secret", attributes={"consent": True}, Sec_GPC="1") == "assigned"
    assert house.reason(kind="secret", attributes={"consent": True, "gpc": True}) == "no_consent"
    assert house.refused("/api/v1/storefront", {"consent": "maybe"}, "PATCH") == (422, "consent")
    assert house.refused("/api/v1/storefront", {"currency": "USD"}, "PATCH") == (422, "currency")


def test_explain_tells_each_gate_of_each_rule_to_servers_only(house: House) -> None:
    house.change("/api/v1/layers", {"key": "checkout"})
    house.start(a_a("french", targeting={"country": "FR"}))
    house.start(a_a("layered", layer=part(0, 1)))
    house.start(a_a("nobody", coverage=0))
    house.start(a_a("taken"))
    house.start(a_a("late"))
    told = house.ask(kind="secret", explain=True, attributes={"country": "DE"})
    doors, *rules = told["steps"]
    assert all(gate["passed"] for gate in doors["gates"])
    reasons = [(r["experiment"], r["reason"]) for r in rules]
    assert reasons == [
        ("french", "not_targeted"), ("layered", "layer_excluded"), ("nobody", "not_in_coverage"), ("taken", "assigned"),
        ("late", None),
    ]  # fmt: skip
    for rule, last in zip(rules, ("targeting", "layer", "coverage", "eligibility"), strict=False):
        *before, deciding = rule["gates"]
        assert all(gate["passed"] for gate in before)
        assert (deciding["gate"], deciding["passed"]) == (last, rule["reason"] == "assigned")
        assert deciding["why"]
    assert rules[4]["gates"] == []
    plain = house.ask(kind="secret", attributes={"country": "DE"})
    assert {k: v for k, v in told.items() if k != "steps"} == plain
    body = {"visitor_id": "v1", "placement": "cart", "explain": True}
    assert house.call("POST", "/v1/assignments", body, "public").status_code == 403


def test_explain_tells_what_stands_before_the_rules(house: House) -> None:
    house.start(a_a())
    bot = house.ask(kind="secret", explain=True, attributes={"user_agent": GOOGLEBOT})["steps"]
    assert [(g["gate"], g["passed"]) for g in bot[0]["gates"]] == [("kill_switch", True), ("bot", False)]
    assert bot[1]["reason"] is None
    house.change("/api/v1/storefront", {"holdout": 5000}, "PATCH")
    held = next(v for v in map(str, range(100)) if house.reason(v) == "holdout")
    steps = house.ask(held, kind="secret", explain=True)["steps"]
    assert [(g["gate"], g["passed"]) for g in steps[1]["gates"]] == [("holdout", False)]
    house.change("/api/v1/experiments/same/close")
    free = next(v for v in map(str, range(100)) if house.reason(v) != "holdout")
    gates = house.ask(free, kind="secret", explain=True)["steps"][1]["gates"]
    assert (gates[-1]["gate"], gates[-1]["passed"]) == ("inside", False)


def test_the_command_line_changes_the_same_settings(house: House) -> None:
    run = CliRunner().invoke(
        command, ["set", "demo", "--holdout", "2.5%", "--bots", "off", "--gpc", "--database", house.url]
    )
    assert run.exit_code == 0, run.output
    assert "holdout 250" in run.output
    settle(lambda: house.get("/api/v1/storefront")["holdout"] == 250)
    assert house.get("/api/v1/storefront")["honours_gpc"] is True
