from collections.abc import Callable

import pytest
from click.testing import CliRunner
from flask import Flask

from experiments.errors import Conflict, Invalid, NotFound
from experiments.moment import DAY, SECOND, Micros
from experiments.service import people
from experiments.storage.database import writing
from experiments.storage.guesses import pour
from tests.shop import NOW, Shop
from tests.ui.browser import PASSWORD, Browser
from webapp import create_app
from webapp.cli.user import command
from webapp.clock import now
from webapp.config import Settings
from webapp.lab import new_token
from webapp.ui.signing_in import WINDOW


def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_what_they_wanted(app: Flask, shop: Shop) -> None:
    Browser.signed_in(app, "viewer")
    stranger = Browser(app.test_client())
    asked = stranger.get("/s/shop/catalogue/?q=mug")
    assert asked.status_code == 302
    form = stranger.form(asked.location).set("email", "Viewer@Shop.example ").set("password", PASSWORD)
    assert stranger.send(form, "/login").location == "/s/shop/catalogue/?q=mug"
    assert "Big mug" in stranger.text("/s/shop/catalogue/?q=mug")


@pytest.mark.parametrize("evil", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(app: Flask, shop: Shop, evil: str) -> None:
    Browser.signed_in(app, "viewer")
    browser = Browser(app.test_client())
    form = browser.form("/login").set("email", "viewer@shop.example").set("password", PASSWORD).set("next", evil)
    assert browser.send(form, "/login").location == "/"


def test_a_link_survives_being_looked_at_and_works_once(app: Flask, shop: Shop) -> None:
    token = new_token()
    with writing(shop.engine) as conn:
        people.add_person(conn, "new@shop.example", "viewer", token, now())
    scanner, person = Browser(app.test_client()), Browser(app.test_client())
    for _ in range(3):
        assert "Choose a password" in scanner.text(f"/link/{token}")
    form = person.form(f"/link/{token}")
    weak = person.send(form.set("password", "short"), f"/link/{token}")
    assert weak.status_code == 422
    assert "at least 10 characters" in weak.text
    assert person.send(form.set("password", PASSWORD), f"/link/{token}").status_code == 302
    assert person.get("/s/shop/").status_code == 200
    assert scanner.get(f"/link/{token}").status_code == 404


def test_a_sign_in_link_needs_no_password_and_expires(app: Flask, shop: Shop) -> None:
    with writing(shop.engine) as conn:
        person = people.add_person(conn, "a@b.example", "viewer", new_token(), NOW)
        people.issue_link(conn, person, "sign_in", "token-1", NOW)
        assert people.link_owner(conn, "token-1", Micros(NOW + people.LINK_LIFETIME - 1)) is not None
        assert people.link_owner(conn, "token-1", Micros(NOW + people.LINK_LIFETIME)) is None
        assert people.redeem(conn, "token-1", None, Micros(NOW + DAY)).email == "a@b.example"
        with pytest.raises(NotFound):
            people.redeem(conn, "token-1", None, Micros(NOW + DAY))


def test_a_forged_form_changes_nothing(app: Flask, shop: Shop) -> None:
    browser = Browser.signed_in(app, "editor")
    shop.define({"key": "e", "placement": "cart", "variants": _two()}, start=False)
    answer = browser.client.post("/s/shop/experiments/e/start")
    assert answer.status_code == 400
    assert shop.view.experiments["e"].state == "draft"
    # keys, not cookies, open the JSON routes: they need no token
    assert browser.client.post("/v1/assignments", json={}).status_code == 401


def guess(browser: Browser, email: str, password: str, place: str = "203.0.113.1") -> int:
    form = browser.form("/login").set("email", email).set("password", password)
    return browser.client.post(
        "/login", data=dict(form.fields), environ_overrides={"REMOTE_ADDR": place}
    ).status_code  # fmt: skip


def test_wrong_passwords_are_slowed_down_and_do_not_lock_others_out(app: Flask, shop: Shop) -> None:
    Browser.signed_in(app, "viewer")
    browser = Browser(app.test_client())
    form = browser.form("/login").set("email", "viewer@shop.example")
    answers = [browser.send(form.set("password", f"wrong {n}"), "/login").status_code for n in range(6)]
    assert answers == [422] * 5 + [429]
    right = browser.send(form.set("password", PASSWORD), "/login")
    assert right.status_code == 429
    assert "Try again in 3 min" in right.text
    assert guess(Browser(app.test_client()), "viewer@shop.example", PASSWORD, "203.0.113.9") == 302


def test_workers_count_guesses_together(app: Flask, shop: Shop, sqlite_url: str) -> None:
    other = create_app(Settings(database_url=sqlite_url, secret_key="for tests only"))
    workers = [Browser(app.test_client()), Browser(other.test_client())]
    answers = [guess(workers[n % 2], "Nobody@shop.example", "wrong wrong") for n in range(7)]
    other.extensions["offerlab"].close()
    assert answers == [422] * 5 + [429] * 2


def test_a_flood_from_everywhere_does_not_keep_out_who_signed_in_here_before(app: Flask, shop: Shop) -> None:
    Browser.signed_in(app, "viewer")
    at_home = Browser(app.test_client())
    assert guess(at_home, "viewer@shop.example", PASSWORD) == 302
    with writing(shop.engine) as conn:  # a hundred from everywhere, and a minute's worth more
        for whose in ("viewer", "editor"):
            assert pour(conn, f"address {whose}@shop.example", WINDOW + 60 * SECOND, 2 * WINDOW, now()) == 0
    assert guess(Browser(app.test_client()), "viewer@shop.example", PASSWORD, "198.51.100.7") == 429
    at_home.client.delete_cookie("session")
    assert guess(at_home, "viewer@shop.example", PASSWORD) == 302
    at_home.client.delete_cookie("session")
    assert guess(at_home, "editor@shop.example", "wrong wrong") == 429, "it is one person's browser, not everybody's"
    mine = [guess(at_home, "viewer@shop.example", "wrong wrong") for _ in range(11)]
    assert mine == [422] * 10 + [429], "and even from there nobody guesses for ever"


def test_a_network_of_version_six_is_one_place(app: Flask, shop: Shop) -> None:
    browser = Browser(app.test_client())
    answers = [guess(browser, "a@shop.example", "wrong wrong", f"2001:db8:1:2::{n:x}") for n in range(1, 7)]
    assert answers == [422] * 5 + [429]
    assert guess(browser, "a@shop.example", "wrong wrong", "2001:db8:1:3::1") == 422


def test_nobody_learns_which_addresses_are_known(app: Flask, shop: Shop) -> None:
    Browser.signed_in(app, "viewer")
    said = set()
    for address in ("viewer@shop.example", "nobody@shop.example", "no address"):
        browser = Browser(app.test_client())
        form = browser.form("/login").set("email", address).set("password", "wrong wrong")
        said.add(browser.send(form, "/login").text.replace(address, "").partition("<main")[2].partition("<form")[0])
    assert len(said) == 1


def test_a_changed_password_ends_other_sessions(app: Flask, shop: Shop) -> None:
    browser = Browser.signed_in(app, "viewer")
    token = new_token()
    with writing(shop.engine) as conn:
        people.issue_link(conn, people.find_person(conn, "viewer@shop.example"), "set_password", token, now())
        people.redeem(conn, token, "another long password", now())
    assert browser.get("/s/shop/").status_code == 302


def test_signing_out_ends_the_session(sign_in: Callable[[str], Browser]) -> None:
    browser = sign_in("viewer")
    [out] = [form for form in browser.forms("/s/shop/catalogue/") if form.action == "/logout"]
    assert browser.send(out, "").status_code == 302
    assert browser.get("/s/shop/").headers["Location"].startswith("/login")


def test_people_are_added_once_whatever_the_case_of_their_address(shop: Shop) -> None:
    with writing(shop.engine) as conn:
        people.add_person(conn, "Ann@Shop.example", "viewer", new_token(), NOW)
        with pytest.raises(Conflict):
            people.add_person(conn, "ann@shop.example", "admin", new_token(), NOW)
        with pytest.raises(Invalid):
            people.add_person(conn, "no address", "admin", new_token(), NOW)


def test_the_command_prints_a_link_that_signs_in(app: Flask, shop: Shop, sqlite_url: str) -> None:
    said = CliRunner().invoke(command, ["add", "new@shop.example", "--role", "admin", "--database", sqlite_url])
    assert said.exit_code == 0
    link = said.output.strip()
    assert link.startswith("http://127.0.0.1:8000/link/")
    path = link.removeprefix("http://127.0.0.1:8000")
    browser = Browser(app.test_client())
    assert browser.send(browser.form(path).set("password", PASSWORD), path).status_code == 302
    again = CliRunner().invoke(command, ["link", "NEW@shop.example", "--purpose", "sign_in", "--database", sqlite_url])
    path = again.output.strip().removeprefix("http://127.0.0.1:8000")
    other = Browser(app.test_client())
    assert other.get(path).status_code == 302
    assert other.get("/s/shop/keys/").status_code == 200


def test_cookies_and_headers_keep_scripts_and_other_sites_out(app: Flask, shop: Shop) -> None:
    answer = Browser(app.test_client()).get("/login")
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"].replace("style-src-attr 'unsafe-inline'", "")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]


def _two() -> list[dict[str, object]]:
    return [{"key": key, "weight": 5000, "offer": {"type": "none"}} for key in ("control", "same")]
