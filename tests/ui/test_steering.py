from collections.abc import Callable

import pytest

from experiments.lifecycle import TRANSITIONS, State, possible
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, read_audit, set_state
from tests.shop import Shop, experiment
from tests.ui.browser import Browser
from webapp.ui.words import ACTIONS, STATES

BASE = "/s/shop/experiments/offers"


def press(browser: Browser, action: str, **fields: str) -> int:
    """Open the action's page and press its button; 409 where the state forbids it."""
    path = f"{BASE}/{action}"
    page = browser.get(path)
    if page.status_code != 200:
        return page.status_code
    form = Browser.read(page)
    for name, value in fields.items():
        form.set(name, value)
    return browser.send(form, path).status_code


def state(shop: Shop) -> str:
    with reading(shop.engine) as conn:
        return get_experiment(conn, shop.storefront.id, "offers").state


def test_an_experiment_goes_its_whole_way_in_the_browser_and_every_step_is_in_its_trail(
    shop: Shop, editor: Browser
) -> None:
    shop.define(experiment(), start=False)
    way = [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("close", "closed"),
        ("reopen", "running"),
        ("stop", "stopped"),
    ]
    for action, then in way:
        assert press(editor, action) == 302
        assert state(shop) == then
    assert press(editor, "decide") == 422  # nothing chosen
    assert press(editor, "decide", decision="variant:bundle") == 422  # no reason given
    assert press(editor, "decide", decision="variant:bundle", reason="Earns more.") == 302
    assert state(shop) == "decided"
    assert "Decided: ship bundle" in editor.text(BASE)
    assert press(editor, "archive") == 302
    with reading(shop.engine) as conn:
        trail = read_audit(conn, shop.storefront.id, "experiment:offers")
    actions = [entry.action for entry in reversed(trail)]
    assert actions == ["create", *(action for action, _ in way), "decide", "archive"]
    assert {entry.actor for entry in trail[:-1]} == {"editor@shop.example"}


@pytest.mark.parametrize("at", list(STATES))
def test_pages_offer_exactly_what_the_lifecycle_allows(shop: Shop, editor: Browser, at: State) -> None:
    shop.define(experiment(), start=False)
    with writing(shop.engine) as conn:
        before = get_experiment(conn, shop.storefront.id, "offers")
        set_state(conn, before, at)
    page = editor.text(BASE)
    for action in ACTIONS:
        link = f'href="{BASE}/{action}"'
        offered = action in possible(at)
        assert (link in page) == offered, action
        expected = 200 if offered else 409
        assert editor.get(f"{BASE}/{action}").status_code == expected, action
        if not offered:
            form = editor.form("/s/shop/", 0)  # any form: its token is what is needed
            assert editor.client.post(f"{BASE}/{action}", data=dict(form.fields)).status_code in {409, 422}
    assert state(shop) == at


def test_every_action_and_state_has_words() -> None:
    assert set(ACTIONS) == (set(TRANSITIONS) - {"edit"}) | {"duplicate", "ramp"}


def test_the_start_page_says_who_sees_what_and_who_is_analysed(shop: Shop, editor: Browser) -> None:
    """WISHES 2: two explicit answers, what visitors see and what is measured."""
    shop.define(experiment(coverage=2000, targeting={"country": {"$in": ["DE", "AT"]}}), start=False)
    page = editor.text(f"{BASE}/start")
    assert "What visitors see" in page
    assert "Who is analysed" in page
    assert "country is one of DE, AT" in page
    assert "20%" in page
    assert "Big mug" in page
    assert "revenue per visitor" in page


def test_a_start_that_lies_ahead_is_scheduled(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(schedule={"start_at": "2099-01-01T09:00:00+01:00", "end_at": None}), start=False)
    page = editor.text(f"{BASE}/start")
    assert "Schedule it" in page
    assert "1 Jan 2099, 09:00" in page
    assert press(editor, "start") == 302
    assert state(shop) == "scheduled"
    assert press(editor, "unschedule") == 302
    assert state(shop) == "draft"


def test_what_was_scheduled_may_start_before_its_time_and_grow_from_there(shop: Shop, editor: Browser) -> None:
    shop.define(experiment(coverage=1000, schedule={"start_at": "2099-01-01T09:00:00+01:00", "end_at": None}))
    assert state(shop) == "scheduled"
    assert press(editor, "start") == 302
    assert state(shop) == "running"
    assert "1 Jan 2099" not in editor.text(BASE)  # but for the trail, which shows what was planned
    form = editor.form(f"{BASE}/ramp")
    form.set("coverage", "50")
    assert editor.send(form, f"{BASE}/ramp").status_code == 302


def test_what_nobody_could_be_shown_does_not_start_and_says_which_product(shop: Shop, editor: Browser) -> None:
    value = experiment()
    value["variants"][3]["offer"]["items"] = ["A1", "GONE"]
    shop.define(value, start=False)
    form = editor.form(f"{BASE}/start")
    answer = editor.send(form, f"{BASE}/start")
    assert answer.status_code == 422
    assert "GONE" in answer.text
    assert "Variant 4" in answer.text
    assert state(shop) == "draft"


def test_who_is_asked_first_in_the_same_placement_is_said(shop: Shop, editor: Browser) -> None:
    shop.define(experiment("older", name="The older one"))
    shop.define(experiment(), start=False)
    assert "The older one" in editor.text(f"{BASE}/start")
    assert "The older one" in editor.text(BASE)


def test_a_copy_is_a_draft_under_a_free_key(shop: Shop, editor: Browser) -> None:
    shop.define(experiment())
    assert press(editor, "duplicate") == 302
    assert press(editor, "duplicate") == 302
    assert press(editor, "duplicate", new_key="no spaces") == 422
    assert press(editor, "duplicate", new_key="offers") == 409
    copies = {key: e.state for key, e in shop.view.experiments.items()}
    assert copies == {"offers": "running", "offers-copy": "draft", "offers-copy-2": "draft"}


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_each_role_reaches_its_pages_and_no_others(shop: Shop, sign_in: Callable[[str], Browser], role: str) -> None:
    shop.define(experiment(), start=False)
    browser = sign_in(role)
    pages = {
        "viewer": ["/s/shop/", BASE, f"{BASE}/report", "/s/shop/catalogue/", "/s/shop/catalogue/options?q=m"],
        "editor": ["/s/shop/experiments/new", f"{BASE}/edit", f"{BASE}/start", f"{BASE}/duplicate"],
        "admin": ["/s/shop/keys/"],
    }
    rank = list(pages)
    for needed, paths in pages.items():
        expected = 200 if rank.index(role) >= rank.index(needed) else 403
        for path in paths:
            assert browser.get(path).status_code == expected, path
    form = dict(browser.form("/s/shop/", 0).fields)
    if role == "viewer":
        for path in (f"{BASE}/start", f"{BASE}/archive", "/s/shop/experiments/new", "/s/shop/catalogue/"):
            assert browser.client.post(path, data=form).status_code == 403, path
        assert state(shop) == "draft"
        page = browser.text(BASE)
        assert "What you can do" not in page
        assert "New experiment" not in browser.text("/s/shop/")
    if role != "admin":
        assert browser.client.post("/s/shop/keys/", data=form | {"kind": "admin"}).status_code == 403


def test_errors_on_pages_are_pages_and_elsewhere_json(shop: Shop, editor: Browser) -> None:
    for path in ("/s/shop/experiments/none", "/s/nowhere/", "/s/shop/none", "/link/none"):
        answer = editor.get(path)
        assert answer.status_code == 404
        assert answer.mimetype == "text/html"
        assert "<h1>Not found</h1>" in answer.text
    assert editor.get("/nowhere").mimetype == "application/problem+json"
    assert editor.get("/api/v1/experiments").mimetype == "application/problem+json"


def test_texts_that_look_like_markup_are_shown_as_text(shop: Shop, editor: Browser) -> None:
    evil = "<script>alert(1)</script>"
    value = experiment(name=evil, hypothesis=evil, targeting={"a": evil})
    value["variants"][3] |= {"name": evil}
    value["variants"][3]["offer"] |= {"headline": evil, "body": evil}
    shop.define(value, start=False)
    for path in ("/s/shop/", BASE, f"{BASE}/edit", f"{BASE}/start"):
        assert "<script>alert" not in editor.text(path)
