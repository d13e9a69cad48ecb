"""What users of other systems beg for, by its number in their list: the part that defining and steering answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from werkzeug.test import TestResponse

from analysis.forecast import duration
from analysis.power import Baseline
from experiments.definition import parse, to_json
from experiments.errors import Invalid
from experiments.lifecycle import MEASURING
from experiments.moment import DAY, Micros, iso
from experiments.service import defining, drafting, layering
from experiments.storage.database import reading, writing
from experiments.storage.drafts import drafts
from experiments.storage.registry import get_experiment, read_audit
from tests.shop import NOW, Shop, a_a, experiment, exposed, order
from tests.ui.browser import Browser, Form
from webapp.clock import now

BASE = "/s/shop/experiments"
NEW = f"{BASE}/new"


def filled(browser: Browser) -> Form:
    form = browser.form(NEW).set("name", "Mug and tea?").set("placement", "cart")
    return form.set("v1-items", "A1", "B1").set("primary", "revenue_per_visitor")


def press(browser: Browser, path: str, **fields: str) -> TestResponse:
    form = browser.form(path)
    for name, value in fields.items():
        form.set(name, value)
    return browser.send(form, path)


def test_wish_1_continuity_after_signing_in_is_said_before_the_start(shop: Shop, editor: Browser) -> None:
    page = editor.text(NEW)
    assert "A visitor keeps the variant met first, on every visit and after signing in" in page


def test_wish_2_stop_answers_what_visitors_see_and_what_is_measured(shop: Shop, editor: Browser) -> None:
    shop.define(experiment())
    for action in ("start", "schedule", "ramp", "close", "reopen", "pause", "resume", "stop", "archive", "duplicate"):
        answer = editor.get(f"{BASE}/offers/{action}")
        if answer.status_code == 200:
            assert "What visitors see" in answer.text, action
            assert "Who is analysed" in answer.text, action
    stop = editor.text(f"{BASE}/offers/stop")
    assert "No offer, for everyone, from now on." in stop
    assert "Those who entered until now" in stop
    assert f'href="{BASE}/offers/close"' in stop  # whoever only wants nobody new is offered that


def test_wish_2_a_stop_date_to_come_does_not_stop_at_once(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), now=now())
    press(editor, f"{BASE}/offers/schedule", end_at="2099-01-01T09:00")
    assert shop.view.experiments["offers"].state == "running"


def test_wish_3_enrolment_is_frozen_while_those_inside_count_and_can_be_opened_again(
    shop: Shop, editor: Browser
) -> None:
    shop.define(experiment())
    press(editor, f"{BASE}/offers/close")
    assert shop.view.experiments["offers"].state == "closed"
    assert "closed" in MEASURING
    press(editor, f"{BASE}/offers/reopen")
    assert shop.view.experiments["offers"].state == "running"


def test_wish_4_start_and_end_are_scheduled_and_honoured(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), start=False)
    press(editor, f"{BASE}/offers/schedule", start_at="2099-01-01T09:00", end_at="2099-02-01T09:00")
    planned = shop.view.experiments["offers"]
    assert planned.state == "scheduled"
    after_the_end = Micros(int(datetime(2099, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000)
    with writing(shop.engine) as conn:
        assert defining.due(conn, after_the_end) == 1
        assert defining.due(conn, after_the_end) == 1
    assert shop.view.experiments["offers"].state == "stopped"


def test_wish_5_saving_never_starts_and_a_start_is_a_page_of_its_own(shop: Shop, editor: Browser) -> None:
    for do in ("save", "keep", "check", "step:3", "sentence", "start", "overwrite", ""):
        editor.send(filled(editor), NEW, ("do", do))
    assert {e.state for e in shop.view.experiments.values()} == {"draft"}


def test_wish_5_what_is_not_finished_is_kept_and_cannot_start(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), start=False)
    path = f"{BASE}/offers/edit"
    assert editor.send(editor.form(path).set("coverage", "lots"), path, ("do", "save")).status_code == 422
    assert editor.form(path).get("coverage") == ["lots"]
    refused = press(editor, f"{BASE}/offers/start")
    assert refused.status_code == 409
    assert "not finished" in refused.text
    assert shop.view.experiments["offers"].state == "draft"
    editor.send(editor.form(path), path, ("do", "discard"))
    assert editor.form(path).get("coverage") == ["100"]
    assert press(editor, f"{BASE}/offers/start").status_code == 302


def test_wish_8_weights_do_not_change_while_it_runs(shop: Shop, editor: Browser) -> None:
    shop.define(experiment())
    assert editor.get(f"{BASE}/offers/edit").status_code == 409
    guide = editor.text(f"{BASE}/offers/amend")
    assert "Visitors would move between variants" in guide
    value = to_json(shop.view.experiments["offers"].definition)["variants"]
    changed = {"variants": [{**variant, "weight": 2500} for variant in value[::-1]]}
    with writing(shop.engine) as conn, pytest.raises(Invalid, match="two different things"):
        defining.amend(conn, shop.storefront, "offers", changed, "me", NOW)


def test_wish_9_coverage_comes_first_the_split_is_equal_and_80_20_is_warned_about(shop: Shop, editor: Browser) -> None:
    page = editor.text(NEW)
    assert page.index('name="coverage"') < page.index('name="split"')
    form = filled(editor)
    assert form.get("split") == ["equal"]
    form.set("split", "own").set("v0-weight", "80").set("v1-weight", "20")
    warned = editor.send(form, NEW, ("do", "check")).text
    assert "keep it equal and lower the coverage" in warned
    assert editor.send(form, NEW, ("do", "save")).status_code == 302  # a warning, not a wall


def test_wish_12_overlaps_are_listed_while_defining(shop: Shop, editor: Browser) -> None:
    shop.define(experiment("here", coverage=3000, name="Here"))
    shop.define(experiment("there", placement="checkout", coverage=2000, name="There"))
    page = editor.send(filled(editor), NEW, ("do", "check")).text
    assert "The same placement, asked first: it takes 30% of its visitors." in page
    assert "Another placement: about 20.0% of the visitors are in both." in page


def test_wish_13_a_layer_shows_its_free_share_and_gives_a_part_of_it(shop: Shop, editor: Browser) -> None:
    with writing(shop.engine) as conn:
        layering.create_layer(conn, shop.storefront, {"key": "cart", "name": "Cart"}, "test", NOW)
    shop.define(experiment("half", layer={"key": "cart", "start": 0, "end": 5000}))
    page = editor.text(NEW)
    assert "Cart, 50% free" in page
    full = editor.send(filled(editor).set("layer_key", "cart").set("coverage", "60"), NEW, ("do", "save"))
    assert full.status_code == 422
    assert "has no 60%" in full.text
    form = filled(editor).set("layer_key", "cart").set("coverage", "40")
    assert editor.send(form, NEW, ("do", "save")).status_code == 302
    part = shop.view.experiments["mug-and-tea"].definition.layer
    assert part is not None
    assert (part.start, part.end) == (5000, 9000)
    other_unit = filled(editor).set("layer_key", "cart").set("unit", "customer").set("coverage", "10")
    assert "keeps visitors apart" in editor.send(other_unit, NEW, ("do", "save")).text


def test_wish_15_reading_at_any_time_and_a_correction_are_the_default_and_deviations_are_marked(
    shop: Shop, editor: Browser
) -> None:
    form = filled(editor)
    assert form.get("sequential") == ["1"]
    assert form.get("correction") == ["holm"]
    said = editor.send(form.set("correction", "none"), NEW, ("do", "check")).text
    assert "is not the usual one" in said


def test_wish_16_the_plan_is_relative_from_own_data_by_week_or_says_that_it_cannot(shop: Shop, editor: Browser) -> None:
    at = now()
    begun = Micros(at - 10 * DAY)
    shop.define(a_a("past", placement="cart", metrics={"primary": "revenue_per_visitor"}), now=begun)
    for day in range(10):
        when = Micros(begun + day * DAY + 1_000_000)
        units = [f"v{day}-{i}" for i in range(60)]
        met = [{"kind": "assigned", "experiment": "past", "occurred_at": iso(when)} for _ in units]
        arms = [exposed(u, ("control", "t1")[i % 2], **met[i]) for i, u in enumerate(units)]
        shop.expose(*arms, now=when, historic=True)
        shop.convert(
            *(order(f"o{u}", u, str(10 + i % 7), occurred_at=iso(Micros(when + 1))) for i, u in enumerate(units[::3])),
            now=when,
        )
    page = editor.send(filled(editor).set("target_mde", "30%"), NEW, ("do", "check")).text
    assert "a lift of 30% " in page.lower()
    assert "Week by week" in page
    assert "From 300 visitors of the control of past" in page
    page = editor.send(filled(editor).set("target_mde", "0.5%"), NEW, ("do", "check")).text
    assert "cannot be found in 8 weeks" in page
    page = editor.send(
        filled(editor).set("target_mde", "0.5%").set("daily_units", "50000000"), NEW, ("do", "check")
    ).text
    assert "can be found within" in page


def test_wish_16_an_answer_is_enough_too_long_or_cannot() -> None:
    definition = parse(a_a(analysis={"target_mde": "5%"}))
    baseline = Baseline.of_proportion(0.05)
    answers = [duration(definition, baseline, daily).answer for daily in (100_000, 10_000, 10)]
    assert answers == ["enough", "too_long", "cannot"]


def test_wish_17_each_arm_has_a_signed_link_that_anybody_can_open(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), start=False)
    page = editor.text(f"{BASE}/offers")
    tokens = re.findall(r'href="http://localhost/preview/([^"]+)"', page)
    assert len(tokens) == 4
    variants = [editor.get(f"/preview/{token}").get_json()["variant"] for token in tokens]
    assert variants == ["control", "upsell", "cross-sell", "bundle"]
    assert editor.get(f"/preview/{tokens[0][:-2]}xx").status_code == 404


def test_wish_18_home_says_what_has_no_data(shop: Shop, editor: Browser) -> None:
    shop.define(experiment("silent", name="Silent"), now=Micros(now() - 2 * DAY))
    shop.define(experiment("young", name="Young"), now=now())
    needs = editor.text("/s/shop/home").partition('id="needs"')[2]
    assert "No data" in needs
    assert "Silent" in needs
    assert "Young" not in needs.partition('id="dates"')[0]


def test_wish_19_every_change_is_a_version_with_its_difference_and_its_author(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), start=False)
    path = f"{BASE}/offers/edit"
    editor.send(editor.form(path).set("coverage", "50"), path, ("do", "save"))
    press(editor, f"{BASE}/offers/start")
    press(editor, f"{BASE}/offers/amend", name="Renamed")
    page = editor.text(f"{BASE}/offers")
    assert "editor@shop.example" in page
    assert "<del>10000</del> <ins>5000</ins>" in page
    assert "<ins>Renamed</ins>" in page
    with reading(shop.engine) as conn:
        trail = [e.action for e in read_audit(conn, shop.storefront.id, "experiment:offers")]
        assert get_experiment(conn, shop.storefront.id, "offers").version == 3
    assert trail == ["amend", "start", "edit", "create"]


def test_wish_21_a_copy_has_everything_but_key_and_dates(shop: Shop, editor: Browser) -> None:
    given = experiment(coverage=2000, hypothesis="Because…", schedule={"end_at": "2099-01-01T00:00:00+00:00"})
    shop.define(given, start=False)
    path = f"{NEW}?copy=offers"
    form = editor.form(path)
    assert form.get("end_at") == [""]
    answer = editor.send(form.set("name", "Again"), NEW, ("do", "save"))
    assert answer.location == f"{BASE}/again"
    copied, original = (shop.view.experiments[key].definition for key in ("again", "offers"))
    assert copied.variants == original.variants
    assert copied.coverage == 2000
    assert copied.schedule.end_at is None
    assert copied.hypothesis == "Because…"


def test_wish_21_variants_can_change_in_a_draft(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(), start=False)
    path = f"{BASE}/offers/edit"
    form = Browser.read(editor.send(editor.form(path), path, ("do", "remove:variant:2")))
    assert editor.send(form, path, ("do", "save")).status_code == 302
    assert [v.key for v in shop.view.experiments["offers"].definition.variants] == ["control", "upsell", "bundle"]


def test_wish_22_drafts_and_plans_are_there_over_the_api_too(
    shop: Shop, editor: Browser, api: Callable[..., TestResponse]
) -> None:
    editor.send(filled(editor).set("coverage", "lots"), NEW, ("do", "save"))
    (held,) = api("get", "/api/v1/drafts").get_json()["drafts"]
    assert held["form"]["coverage"] == ["lots"]
    form = held["form"] | {"coverage": ["20"]}
    kept = api("put", f"/api/v1/drafts/{held['id']}", json={"form": form, "version": held["version"]})
    assert kept.get_json()["version"] == held["version"] + 1
    stale = api("put", f"/api/v1/drafts/{held['id']}", json={"form": {}, "version": held["version"]})
    assert stale.status_code == 409
    assert editor.form(f"{NEW}?draft={held['id']}").get("coverage") == ["20"]
    assert api("delete", f"/api/v1/drafts/{held['id']}").status_code == 200
    with reading(shop.engine) as conn:
        assert drafts(conn, shop.storefront.id) == []


def test_two_who_type_into_one_draft_are_told_and_lose_nothing(shop: Shop, sign_in: Callable[[str], Browser]) -> None:
    first, second = sign_in("editor"), sign_in("admin")
    kept = first.send(filled(first).set("coverage", "lots"), NEW, ("do", "save"))
    number = Browser.read(kept).get("draft")[0]
    path = f"{NEW}?draft={number}"
    mine, theirs = first.form(path).set("name", "First"), second.form(path).set("name", "Second")
    assert first.send(mine, NEW, ("do", "keep")).status_code == 200
    told = second.send(theirs, NEW, ("do", "keep"))
    assert told.status_code == 409
    assert "Somebody else saved" in told.text
    again = Browser.read(told)
    assert again.get("name") == ["Second"]
    with reading(shop.engine) as conn:
        (held,) = drafts(conn, shop.storefront.id)
        assert held.form["name"] == ["First"]
        assert drafting.unfinished(conn, shop.storefront, int(number), None) == held
    finished = second.send(again.set("coverage", "100"), NEW, ("do", "overwrite"))
    assert finished.status_code == 302
    assert shop.view.experiments["second"].definition.name == "Second"
