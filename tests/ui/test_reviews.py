"""Reviews on the pages: asking, answering, what starts, and who is told."""

from collections.abc import Callable

import pytest
from flask import Flask

from experiments.service.settings import change_settings
from experiments.storage.database import reading, writing
from experiments.storage.registry import get_experiment, search_audit
from tests.shop import Shop, experiment
from tests.ui.browser import Browser, Form
from webapp.clock import now

BASE = "/s/shop/experiments/offers"
SignIn = Callable[[str], Browser]


@pytest.fixture
def demanding(shop: Shop) -> Shop:
    """A storefront that starts nothing which nobody approved."""
    with writing(shop.engine) as conn:
        change_settings(conn, shop.storefront, {"review_required": True}, "test", now())
    return shop


def define(shop: Shop, **changes: object) -> None:
    shop.define(experiment(name="Which offer?", **changes), start=False)


def state(shop: Shop) -> str:
    with reading(shop.engine) as conn:
        return get_experiment(conn, shop.storefront.id, "offers").state


def say(browser: Browser, step: str, message: str = "") -> int:
    page = browser.get(f"{BASE}/review")
    form = Browser.read(page).set("message", message)
    assert ("do", step) in form.buttons, (step, form.buttons)
    return browser.send(form, f"{BASE}/review", ("do", step)).status_code


def write(browser: Browser, **fields: str) -> None:
    """A version by this person's own hand."""
    form = browser.form(f"{BASE}/edit")
    for name, value in fields.items():
        form.set(name, value)
    assert browser.send(form, f"{BASE}/edit", ("do", "save")).status_code == 302


def test_from_the_question_to_the_start(demanding: Shop, sign_in: SignIn) -> None:
    define(demanding)
    editor, admin = sign_in("editor"), sign_in("admin")
    write(editor, hypothesis="It earns more.")
    page = editor.text(BASE)
    assert "It needs a review before it starts." in page
    assert "The approval is missing: ask for a review." in editor.text(f"{BASE}/edit")
    assert "It needs a review before it starts." in editor.text(f"{BASE}/start")
    refused = editor.send(editor.form(f"{BASE}/start"), f"{BASE}/start")
    assert refused.status_code == 409
    assert f'href="{BASE}/review"' in refused.text
    assert say(editor, "requested", "Is 10 % too much?") == 302
    assert "editor@shop.example asks you to look at it" in admin.text("/s/shop/home")
    assert "asks you to look at it" not in editor.text("/s/shop/home")
    assert "it waits for its review" in editor.text(f"{BASE}/edit")
    assert say(admin, "changes_requested") == 422, "what has to change?"
    assert say(admin, "changes_requested", "Yes: 5 %, please.") == 302
    assert "admin@shop.example asked for changes before it starts" in editor.text("/s/shop/home")
    assert "asks you to look at it" not in admin.text("/s/shop/home")
    page = editor.text(BASE)
    assert "Changes asked for" in page
    assert page.count("Yes: 5 %, please.") >= 2  # where it stands, and in the timeline
    write(editor, hypothesis="It earns more, with less of a discount.")
    assert say(editor, "requested") == 302
    assert say(admin, "approved") == 302
    page = editor.text(BASE)
    assert "It needs a review" not in page
    assert "Approved" in page
    assert "The approval is missing" not in editor.text(f"{BASE}/edit")
    assert editor.send(editor.form(f"{BASE}/start"), f"{BASE}/start").status_code == 302
    assert state(demanding) == "running"
    page = editor.text(BASE)
    for said in ("Review asked for", "Changes asked for", "Is 10 % too much?", "Yes: 5 %, please."):
        assert said in page
    assert editor.get(f"{BASE}/review").status_code == 409


def test_a_later_version_says_what_has_changed_since_the_approval(demanding: Shop, sign_in: SignIn) -> None:
    define(demanding)
    editor, admin = sign_in("editor"), sign_in("admin")
    assert say(admin, "approved") == 302
    write(editor, tags="winter", owner="somebody")
    assert "Changed since it was approved" not in editor.text(f"{BASE}/review")
    write(editor, coverage="20")
    page = editor.text(f"{BASE}/review")
    assert "Changed since it was approved" in page
    assert "<del>10000</del>" in page
    assert "<ins>2000</ins>" in page
    assert "winter" not in page
    assert "it has changed since it was approved" in editor.text(f"{BASE}/edit")
    assert editor.send(editor.form(f"{BASE}/start"), f"{BASE}/start").status_code == 409


def test_who_wrote_it_cannot_approve_it(demanding: Shop, sign_in: SignIn) -> None:
    define(demanding)
    editor = sign_in("editor")
    write(editor, hypothesis="It earns more.")
    form = editor.form(f"{BASE}/review")
    assert [value for _, value in form.buttons] == ["requested"]
    answer = editor.send(form, f"{BASE}/review", ("do", "approved"))
    assert answer.status_code == 409
    assert "somebody else has to approve it" in answer.text
    assert state(demanding) == "draft"


def test_an_answer_to_an_older_version_is_not_taken(demanding: Shop, sign_in: SignIn) -> None:
    define(demanding)
    editor, admin = sign_in("editor"), sign_in("admin")
    seen: Form = admin.form(f"{BASE}/review").set("message", "Fine like this.")
    write(editor, coverage="20")
    answer = admin.send(seen, f"{BASE}/review", ("do", "approved"))
    assert answer.status_code == 409
    assert "another version meanwhile" in answer.text
    assert "Fine like this." in answer.text, "and what was typed is not lost"
    assert say(admin, "approved") == 302


def test_only_admins_let_it_start_without_a_review_and_say_why(demanding: Shop, sign_in: SignIn) -> None:
    define(demanding)
    editor, admin = sign_in("editor"), sign_in("admin")
    form = editor.form(f"{BASE}/review").set("message", "It is urgent.")
    assert ("do", "overridden") not in form.buttons
    assert editor.send(form, f"{BASE}/review", ("do", "overridden")).status_code == 403
    assert say(admin, "overridden") == 422
    assert say(admin, "overridden", "The sale begins tonight.") == 302
    assert editor.send(editor.form(f"{BASE}/start"), f"{BASE}/start").status_code == 302
    with reading(demanding.engine) as conn:
        [entry] = search_audit(conn, demanding.storefront.id, "override")
    assert entry.actor == "admin@shop.example"
    assert "The sale begins tonight." in admin.text("/s/shop/settings/changes/?q=override")


def test_the_settings_say_who_may_review(shop: Shop, sign_in: SignIn) -> None:
    define(shop)
    admin, viewer, editor = sign_in("admin"), sign_in("viewer"), sign_in("editor")
    assert "no right to review" in viewer.text(f"{BASE}/review")
    path = "/s/shop/settings/"
    form = admin.form(path).set("reviewers", "nobody@shop.example").set("review_required", "on")
    answer = admin.send(form, path)
    assert answer.status_code == 422
    assert "is nobody here" in answer.text
    assert admin.send(form.set("reviewers", "Viewer@shop.example"), path).status_code == 302
    kept = admin.form(path)
    assert kept.get("reviewers") == ["viewer@shop.example"]
    assert kept.get("review_required"), "it is ticked"
    assert say(editor, "requested", "Please.") == 302
    assert "editor@shop.example asks you" in viewer.text("/s/shop/home")
    assert "asks you" not in admin.text("/s/shop/home")
    form = admin.form(f"{BASE}/review")
    assert admin.send(form, f"{BASE}/review", ("do", "approved")).status_code == 403
    assert say(viewer, "approved") == 302
    assert editor.send(editor.form(f"{BASE}/start"), f"{BASE}/start").status_code == 302
    assert admin.send(admin.form(path).set("review_required"), path).status_code == 302
    with reading(shop.engine) as conn:
        changes = [(e.before, e.after) for e in search_audit(conn, shop.storefront.id, "storefront")]
    assert [after["review_required"] for _, after in changes if isinstance(after, dict)] == [False, True]


def test_named_reviewers_are_asked_and_nobody_else(demanding: Shop, sign_in: SignIn) -> None:
    define(demanding, about={"reviewers": ["admin@shop.example"]})
    editor, admin = sign_in("editor"), sign_in("admin")
    assert "You are asked to look at it before it starts." in admin.text("/s/shop/home")
    assert say(admin, "requested") == 302
    assert "asks you to look at it" not in editor.text("/s/shop/home")
    assert "admin@shop.example" in editor.text(f"{BASE}/review")


def test_where_nobody_demands_it_a_review_is_offered_and_stops_nothing(shop: Shop, editor: Browser) -> None:
    define(shop)
    assert "does not demand a review" in editor.text(f"{BASE}/review")
    assert say(editor, "requested") == 302
    assert "The approval is missing" not in editor.text(f"{BASE}/edit")
    assert editor.send(editor.form(f"{BASE}/start"), f"{BASE}/start").status_code == 302


def test_what_is_said_is_shown_as_text(shop: Shop, app: Flask, editor: Browser) -> None:
    define(shop)
    assert say(editor, "requested", "<script>alert(1)</script>") == 302
    for path in (BASE, f"{BASE}/review", "/s/shop/home"):
        assert "<script>alert" not in editor.text(path)
    assert say(editor, "requested", "x" * 4001) == 422
