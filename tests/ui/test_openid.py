"""Signing in by a provider of identities: against a real one, over real HTTP, and once in a real browser."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from experiments.errors import Invalid
from experiments.service.entering import Admission, Vouched, admit
from experiments.service.people import add_person, find_person
from experiments.service.settings import create_key
from experiments.storage.bindings import Account, bindings_of, bound_person
from experiments.storage.database import reading, writing
from experiments.storage.keys import KeyKind
from experiments.storage.registry import search_audit
from experiments.storage.users import all_users, remove_user
from tests.chromium import assert_accessible, headless, needs_chromium
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.serving import serving
from tests.shop import Shop, open_shop
from tests.ui.browser import PASSWORD, Browser
from webapp import create_app
from webapp.clock import now
from webapp.config import Settings, load
from webapp.lab import new_token
from webapp.oidc import OpenId, openid

NEWCOMERS = Admission(("shop.example",), "viewer")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider that is there."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the provider's own wish for https, which a test has not
    made = Provider()
    with serving(made.app()) as made.url:
        yield made


@pytest.fixture
def setup(provider: Provider) -> OpenId:
    """This installation, as the provider knows it."""
    return OpenId(provider.url, CLIENT_ID, CLIENT_SECRET, "The Provider")


class World:
    """The application on a socket, with one shop."""

    def __init__(self, sqlite_url: str, setup: OpenId) -> None:
        self.app: Flask = create_app(Settings(database_url=sqlite_url, secret_key="for tests only", openid=setup))
        self.shop: Shop = open_shop(self.app.extensions["offerlab"].engine)
        self.url = ""

    def invite(self, email: str, role: str = "editor") -> None:
        with writing(self.shop.engine) as conn:
            add_person(conn, email, role, new_token(), now())  # type: ignore[arg-type]  # a role by its name

    @property
    def people(self) -> dict[str, str]:
        with reading(self.shop.engine) as conn:
            return {person.email: person.role for person in all_users(conn)}

    @property
    def trail(self) -> list[tuple[str, str, Any]]:
        with reading(self.shop.engine) as conn:
            found = search_audit(conn, self.shop.storefront.id, "person:")
        return [(entry.actor, entry.action, entry.after) for entry in reversed(found)]

    def come(self, session: requests.Session | None = None, wanted: str = "/s/shop/catalogue/") -> requests.Response:
        """Press the button on the sign-in page, and follow wherever it leads."""
        session = session or requests.Session()
        page = session.get(f"{self.url}/login", params={"next": wanted}, timeout=30)
        [link] = re.findall(r'href="(/login/openid/[^"]*)"', page.text)
        return session.get(self.url + link.replace("&amp;", "&"), timeout=30)


@pytest.fixture
def open_world(sqlite_url: str, setup: OpenId) -> Iterator[Callable[..., World]]:
    """The application, admitting whom the test says."""
    opened: list[tuple[World, Any]] = []

    def start(admission: Admission | None = None, **more: Any) -> World:
        world = World(sqlite_url, replace(setup, admission=admission or Admission(), **more))
        held = serving(world.app)
        world.url = held.__enter__()
        opened.append((world, held))
        return world

    yield start
    for world, held in opened:
        held.__exit__(None, None, None)
        world.app.extensions["offerlab"].close()


def said(answer: requests.Response) -> str:
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return found[1] if found else ""


def test_somebody_invited_comes_in_and_to_what_they_wanted(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world, session = open_world(), requests.Session()
    world.invite("Ann@Shop.example")
    session.cookies.set("planted", "1")
    answer = world.come(session)
    assert answer.status_code == 200
    assert urlsplit(answer.url).path == "/s/shop/catalogue/"
    assert "ann@shop.example" in answer.text
    [asked] = provider.asked
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid email"
    assert len(asked["nonce"]) >= 20
    assert len(asked["state"]) >= 20
    assert world.people == {"ann@shop.example": "editor"}
    assert world.trail == [
        ("ann@shop.example", "bind", {"issuer": provider.url, "subject": "1"}),
        ("ann@shop.example", "sign in", {"by": "openid"}),
    ]
    # and out again: the session is over here
    token = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert token is not None
    out = session.post(f"{world.url}/logout", data={"csrf_token": token[1]}, timeout=30)
    assert urlsplit(out.url).path == "/login"
    assert urlsplit(session.get(f"{world.url}/s/shop/catalogue/", timeout=30).url).path == "/login"


def test_a_session_from_before_is_not_carried_over(open_world: Callable[..., World], provider: Provider) -> None:
    world, session = open_world(NEWCOMERS), requests.Session()
    session.get(f"{world.url}/login", timeout=30)
    before = session.cookies["session"]
    world.come(session)
    assert session.cookies["session"] != before
    cookie_alone = requests.get(f"{world.url}/s/shop/", cookies={"session": before}, timeout=30)
    assert urlsplit(cookie_alone.url).path == "/login"


def test_unknown_people_come_in_only_where_newcomers_may_and_never_as_admins(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world = open_world()
    answer = world.come()
    assert answer.status_code == 403
    assert said(answer) == "Nobody has invited ann@shop.example here yet. Ask an admin of this installation."
    assert world.people == {}
    assert world.trail == []


def test_newcomers_of_our_domain_get_the_role_that_was_set(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world = open_world(NEWCOMERS)
    assert world.come().status_code == 200
    assert world.people == {"ann@shop.example": "viewer"}
    assert [(action, after) for _, action, after in world.trail] == [
        ("create", {"role": "viewer", "by": "openid"}),
        ("bind", {"issuer": provider.url, "subject": "1"}),
        ("sign in", {"by": "openid"}),
    ]
    assert world.come().status_code == 200
    assert world.people == {"ann@shop.example": "viewer"}


def test_another_domain_is_refused_even_for_somebody_invited(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world = open_world(NEWCOMERS)
    provider.person = {"email": "eve@evil-shop.example", "email_verified": True}
    world.invite("eve@evil-shop.example")
    answer = world.come()
    assert answer.status_code == 403
    assert "Addresses of evil-shop.example may not sign in" in said(answer)


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_is_not_confirmed_opens_nothing(
    open_world: Callable[..., World], provider: Provider, verified: Any
) -> None:
    world = open_world(NEWCOMERS)
    provider.person = {"email": "ann@shop.example"} | ({} if verified is None else {"email_verified": verified})
    answer = world.come()
    assert answer.status_code == 403
    assert "is not confirmed" in said(answer)
    assert world.people == {}


def test_without_an_address_nobody_comes_in(open_world: Callable[..., World], provider: Provider) -> None:
    provider.person = {"email_verified": True}
    answer = open_world(NEWCOMERS).come()
    assert answer.status_code == 403
    assert "did not say your e-mail address" in said(answer)


def test_an_address_that_only_the_userinfo_says_is_asked_for(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world, provider.thin = open_world(NEWCOMERS), True
    assert world.come().status_code == 200
    provider.person["sub"] = "somebody else"
    assert world.come().status_code == 403


WARPED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "wrong nonce": lambda c: c | {"nonce": "another"},
    "no nonce": lambda c: {name: value for name, value in c.items() if name != "nonce"},
    "wrong audience": lambda c: c | {"aud": "another-client"},
    "two audiences, of which we are none": lambda c: c | {"aud": ["a", "b"]},
    "authorized for another": lambda c: c | {"aud": [CLIENT_ID, "b"], "azp": "b"},
    "no audience": lambda c: {name: value for name, value in c.items() if name != "aud"},
    "expired": lambda c: c | {"exp": c["iat"] - 61, "iat": c["iat"] - 400},
    "no end": lambda c: {name: value for name, value in c.items() if name != "exp"},
    "another issuer": lambda c: c | {"iss": "https://evil.example"},
    "no issuer": lambda c: {name: value for name, value in c.items() if name != "iss"},
    "another's access token": lambda c: c | {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "nobody": lambda c: {name: value for name, value in c.items() if name != "sub"},
    "a number instead of a name": lambda c: c | {"sub": 1},
    "a name without an end": lambda c: c | {"sub": "1" * 256},
}


def test_an_id_token_that_does_not_hold_opens_nothing(open_world: Callable[..., World], provider: Provider) -> None:
    world = open_world(NEWCOMERS)
    for what, warp in WARPED.items():
        provider.warp = warp
        answer = world.come()
        assert answer.status_code == 403, what
        assert "sent an answer that does not hold" in said(answer), what
    assert world.people == {}
    assert world.trail == []
    provider.warp = lambda claims: claims
    assert world.come().status_code == 200


def test_a_token_that_others_could_have_signed_opens_nothing(
    open_world: Callable[..., World], provider: Provider
) -> None:
    """The provider's metadata name HS256 and none; what anybody could have made is refused all the same."""
    world = open_world(NEWCOMERS)
    published = provider.key.as_dict()["kid"]
    shared = OctKey.import_key(CLIENT_SECRET.ljust(32, "."))
    stranger = RSAKey.generate_key(2048, {"kid": published}, private=True)

    def by(alg: str, key: OctKey | RSAKey) -> Callable[[dict[str, Any]], str]:
        return lambda claims: str(jwt.encode({"alg": alg, "kid": published}, claims, key, algorithms=[alg]))

    def by_nobody(claims: dict[str, Any]) -> str:
        parts = ({"alg": "none", "kid": published}, claims)
        return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."

    for sign in (by("HS256", shared), by_nobody, by("RS256", stranger)):
        provider.sign = sign
        assert world.come().status_code == 403
    assert world.people == {}
    provider.sign = None
    assert world.come().status_code == 200


def test_new_keys_of_the_provider_are_asked_for(open_world: Callable[..., World], provider: Provider) -> None:
    world = open_world(NEWCOMERS)
    for _ in range(3):
        assert world.come().status_code == 200
        provider.rotate()
    assert world.come().status_code == 200


def _callback(world: World, session: requests.Session) -> str:
    """The address with which the provider sends somebody back, before anybody has followed it."""
    begun = session.get(f"{world.url}/login/openid/", allow_redirects=False, timeout=30)
    back = session.get(begun.headers["Location"], allow_redirects=False, timeout=30)
    return back.headers["Location"]


def test_an_answer_works_once_and_only_in_the_browser_that_asked(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world, session = open_world(NEWCOMERS), requests.Session()
    callback = _callback(world, session)
    stranger = requests.Session()
    assert stranger.get(callback, timeout=30).status_code == 403, "who did not ask gets no answer"
    asked = session.cookies.copy()
    assert session.get(callback, timeout=30).status_code == 200
    assert session.get(callback, timeout=30).status_code == 403, "the state is used up"
    replayed = requests.Session()
    replayed.cookies.update(asked)  # a browser that is as it was before: then the code is used up
    assert replayed.get(callback, timeout=30).status_code == 403
    forged = callback.replace(parse_qs(urlsplit(callback).query)["state"][0], "another")
    assert session.get(forged, timeout=30).status_code == 403


def test_an_answer_without_the_right_verifier_gets_no_token(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world, mine, theirs = open_world(NEWCOMERS), requests.Session(), requests.Session()
    my_callback, their_callback = (parse_qs(urlsplit(_callback(world, s)).query) for s in (mine, theirs))
    mixed = {"code": their_callback["code"][0], "state": my_callback["state"][0]}
    answer = mine.get(f"{world.url}/login/openid/callback", params=mixed, timeout=30)
    assert answer.status_code == 403
    assert world.people == {}


def test_somebody_else_who_answers_is_not_believed(open_world: Callable[..., World], provider: Provider) -> None:
    world = open_world(NEWCOMERS)
    provider.answers_as = "https://evil.example"
    assert world.come().status_code == 403
    provider.answers_as = provider.url
    assert world.come().status_code == 200
    provider.answers_as, provider.denies = "", True
    answer = world.come()
    assert answer.status_code == 403
    assert "does not hold" in said(answer)


def test_a_provider_that_says_it_is_another_is_not_asked(open_world: Callable[..., World], provider: Provider) -> None:
    world = open_world(NEWCOMERS)
    provider.says_issuer = "https://evil.example"
    answer = world.come()
    assert answer.status_code == 503
    assert provider.asked == []
    provider.says_issuer = ""
    assert world.come().status_code == 200, "and it is asked again who it is"


def test_while_the_provider_is_away_passwords_open_the_door(sqlite_url: str, setup: OpenId) -> None:
    world = World(sqlite_url, replace(setup, issuer="http://127.0.0.1:9"))
    Browser.signed_in(world.app, "viewer")
    browser = Browser(world.app.test_client())
    answer = browser.get("/login/openid/?next=/s/shop/catalogue/")
    assert answer.status_code == 503
    assert "does not answer. Sign in with your password" in answer.text
    form = browser.read(answer).set("email", "viewer@shop.example").set("password", PASSWORD)
    assert browser.send(form, "/login").location == "/s/shop/catalogue/"
    assert world.trail[-1] == ("viewer@shop.example", "sign in", {"by": "password"})
    world.app.extensions["offerlab"].close()


def test_a_claim_says_the_role_at_each_sign_in_anew(open_world: Callable[..., World], provider: Provider) -> None:
    roles = {"pm": "editor", "boss": "admin", "all": "viewer"}
    world = open_world(Admission(gives_roles=True), role_claim="realm.roles", roles=roles)

    def come(*groups: str) -> int:
        provider.person["realm"] = {"roles": list(groups)}
        return world.come().status_code

    assert come("something") == 403
    assert world.people == {}
    assert come("all", "pm", "something") == 200
    assert world.people == {"ann@shop.example": "editor"}
    assert come("boss") == 200
    assert world.people == {"ann@shop.example": "admin"}
    assert come("pm") == 200
    assert world.people == {"ann@shop.example": "admin"}, "somebody has to be able to manage people"
    world.invite("bob@shop.example", "admin")
    assert come("pm") == 200
    assert world.people["ann@shop.example"] == "editor"
    assert come() == 403
    assert [after for _, action, after in world.trail if action == "edit"] == [
        {"role": "admin", "by": "openid"},
        {"role": "editor", "by": "openid"},
    ]


def _is(provider: Provider, subject: str, email: str, **more: Any) -> None:
    provider.person = {"sub": subject, "email": email, "email_verified": True} | more


def test_a_changed_address_at_the_provider_keeps_the_person(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world = open_world()
    world.invite("ann@shop.example")
    world.invite("bob@shop.example", "admin")
    _is(provider, "a-1", "ann@shop.example")
    assert world.come().status_code == 200
    for address in ("ann.miller@shop.example", "bob@shop.example"):
        _is(provider, "a-1", address, email_verified=False)
        assert world.come().status_code == 200
        assert world.trail[-1] == ("ann@shop.example", "sign in", {"by": "openid"}), "never as another"
    assert [action for _, action, _ in world.trail].count("bind") == 1
    assert world.people == {"ann@shop.example": "editor", "bob@shop.example": "admin"}


def test_an_address_that_was_given_to_somebody_else_opens_nothing(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world = open_world(NEWCOMERS)
    _is(provider, "a-1", "ann@shop.example")
    assert world.come().status_code == 200
    _is(provider, "a-2", "Ann@shop.example")
    answer = world.come()
    assert answer.status_code == 403
    assert said(answer).startswith("Ann@shop.example signed in here with another account of The Provider before.")
    assert world.trail[-1][1] == "sign in"
    assert len(world.trail) == 3, "what was refused leaves no binding"


def test_who_came_before_still_needs_an_address_of_our_domains(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world = open_world(NEWCOMERS)
    _is(provider, "a-1", "ann@shop.example")
    assert world.come().status_code == 200
    _is(provider, "a-1", "ann@elsewhere.example")
    assert world.come().status_code == 403
    _is(provider, "a-1", "ann.miller@shop.example", email_verified=False)
    assert world.come().status_code == 403
    _is(provider, "a-1", "ann.miller@shop.example")
    assert world.come().status_code == 200
    assert world.people == {"ann@shop.example": "viewer"}


def test_nobody_is_bound_who_was_refused(open_world: Callable[..., World], provider: Provider) -> None:
    world = open_world(Admission(gives_roles=True), role_claim="groups", roles={"pm": "editor"})
    world.invite("ann@shop.example")
    _is(provider, "a-1", "ann@shop.example")
    assert world.come().status_code == 403
    assert world.trail == []
    _is(provider, "a-2", "ann@shop.example", groups=["pm"])
    assert world.come().status_code == 200


def test_an_admin_sees_a_binding_and_undoes_it_on_the_page(
    open_world: Callable[..., World], provider: Provider
) -> None:
    world, session = open_world(NEWCOMERS), requests.Session()
    _is(provider, "a-1", "ann@shop.example")
    assert world.come(session).status_code == 200
    admin = Browser.signed_in(world.app, "admin")
    page = admin.text("/s/shop/settings/people/")
    assert f"the account a-1 of {provider.url} signs them in" in page
    [undo] = [form for form in admin.forms("/s/shop/settings/people/") if ("do", "release") in form.buttons]
    assert admin.send(undo, "", ("do", "release")).status_code == 302
    assert "the account a-1 of" not in admin.text("/s/shop/settings/people/")
    ended = session.get(f"{world.url}/s/shop/catalogue/", timeout=30)
    assert urlsplit(ended.url).path == "/login", "what the account began ends with its binding"
    assert world.trail[-1] == ("admin@shop.example", "unbind", None)
    _is(provider, "a-2", "ann@shop.example")
    assert world.come().status_code == 200


def test_a_key_of_an_admin_sees_bindings_and_undoes_them(open_world: Callable[..., World], provider: Provider) -> None:
    world = open_world(NEWCOMERS)
    _is(provider, "a-1", "ann@shop.example")
    assert world.come().status_code == 200
    kinds: tuple[KeyKind, ...] = ("admin", "secret")
    with writing(world.shop.engine) as conn:
        admin, secret = (create_key(conn, world.shop.storefront.id, k, new_token(), now(), "test") for k in kinds)
    people = f"{world.url}/api/v1/people"
    assert requests.get(people, headers={"X-API-Key": secret}, timeout=30).status_code == 403
    headers = {"X-API-Key": admin}
    [ann] = requests.get(people, headers=headers, timeout=30).json()["people"]
    [account] = ann["accounts"]
    assert (ann["email"], ann["role"], ann["has_password"]) == ("ann@shop.example", "viewer", False)
    assert (account["issuer"], account["subject"]) == (provider.url, "a-1")
    for method, path, body in (
        ("POST", "/link", None),
        ("PATCH", "", {"role": "editor"}),
        ("PATCH", "", {"role": "viewer"}),
    ):
        told = requests.request(method, f"{people}/{ann['id']}{path}", headers=headers, json=body, timeout=30)
        assert told.json()["accounts"] == [account], "whatever is done with somebody, what binds them is told as it is"
    gone = requests.delete(f"{people}/{ann['id']}/accounts", headers=headers, timeout=30)
    assert gone.json() == ann | {"accounts": []}
    assert requests.delete(f"{people}/{ann['id']}/accounts", headers=headers, timeout=30).status_code == 409
    assert requests.delete(f"{people}/999/accounts", headers=headers, timeout=30).status_code == 404
    _is(provider, "a-2", "ann@shop.example")
    assert world.come().status_code == 200


def test_another_provider_binds_another_account(open_world: Callable[..., World], provider: Provider) -> None:
    """An installation that changes its provider keeps its people: a sub means nothing at another issuer."""
    world = open_world()
    world.invite("ann@shop.example")
    world.invite("bob@shop.example")
    for issuer, subject, email in (
        ("https://old.example", "1", "ann@shop.example"),
        ("https://new.example", "2", "ann@shop.example"),
        ("https://new.example", "1", "bob@shop.example"),
    ):
        with writing(world.shop.engine) as conn:
            assert admit(conn, Vouched(Account(issuer, subject), email, True), Admission(), now()).email == email
    with writing(world.shop.engine) as conn:
        ann = find_person(conn, "ann@shop.example")
        assert [b.account.issuer for b in bindings_of(conn, ann.id)] == ["https://new.example", "https://old.example"]
        remove_user(conn, ann.id)
        assert bound_person(conn, Account("https://old.example", "1")) is None


def _out(world: World, session: requests.Session) -> requests.Response:
    """Press *Sign out*; the page that answers."""
    page = session.get(f"{world.url}/s/shop/catalogue/", timeout=30)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    return session.post(f"{world.url}/logout", data={"csrf_token": token[1]}, timeout=30)


def _led(answer: requests.Response) -> str:
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    return unescape(found[1]) if found else ""


def test_signing_out_signs_out_at_the_provider(open_world: Callable[..., World], provider: Provider) -> None:
    provider.ends_sessions = True
    world, session = open_world(NEWCOMERS), requests.Session()
    _is(provider, "a-1", "ann@shop.example")
    world.come(session)
    page = _out(world, session)
    assert page.headers["Cache-Control"] == "no-store"
    assert "Next you are signed out at The Provider" in page.text
    here = session.get(f"{world.url}/s/shop/catalogue/", timeout=30)
    assert urlsplit(here.url).path == "/login", "out here before the provider is asked"
    back = session.get(_led(page), timeout=30)
    assert urlsplit(back.url).path == "/login"
    [asked] = provider.left
    assert (asked["sub"], asked["client_id"]) == ("a-1", CLIENT_ID)
    assert asked["post_logout_redirect_uri"] == f"{world.url}/login"
    again = session.get(f"{world.url}/login/openid/leave", timeout=30)
    assert _led(again) == "", "nobody is signed out by a link that others sent"


def test_a_long_id_token_is_not_kept_and_the_client_is_told_alone(
    open_world: Callable[..., World], provider: Provider
) -> None:
    provider.ends_sessions = True
    world, session = open_world(NEWCOMERS), requests.Session()
    _is(provider, "a-1", "ann@shop.example")
    provider.warp = lambda claims: claims | {"groups": ["g" * 36] * 100}
    world.come(session)
    session.get(_led(_out(world, session)), timeout=30)
    [asked] = provider.left
    assert "id_token_hint" not in asked
    assert asked["client_id"] == CLIENT_ID


def test_signing_out_needs_no_provider(open_world: Callable[..., World], provider: Provider) -> None:
    world, session = open_world(NEWCOMERS), requests.Session()
    world.come(session)
    assert urlsplit(_out(world, session).url).path == "/login", "a provider that has no place for it is not asked"
    provider.ends_sessions = True
    world.come(session)
    client = world.app.extensions["offerlab_openid"]
    client.server_metadata.clear()
    client._server_metadata_url = "http://127.0.0.1:9/away"
    answer = _out(world, session)
    assert answer.status_code == 200
    assert "You are signed out here. The Provider does not answer" in said(answer)
    # who came by a password is not led away
    browser = Browser.signed_in(world.app, "viewer")
    [out] = [form for form in browser.forms("/s/shop/catalogue/") if form.action == "/logout"]
    assert browser.send(out, "").location == "/login"


def test_without_a_provider_there_is_no_button_and_no_door(app: Flask, shop: Shop) -> None:
    browser = Browser(app.test_client())
    assert "/login/openid" not in browser.text("/login")
    assert browser.get("/login/openid/").status_code == 404


@pytest.mark.parametrize(("proxies", "expected"), [(0, "http://localhost/link/"), (1, "https://lab.example/link/")])
def test_a_proxy_is_believed_only_where_one_was_named(sqlite_url: str, proxies: int, expected: str) -> None:
    app = create_app(Settings(database_url=sqlite_url, secret_key="for tests only", proxies=proxies))
    open_shop(app.extensions["offerlab"].engine)
    browser = Browser.signed_in(app, "admin")
    form = browser.form("/s/shop/settings/people/").set("email", "new@shop.example").set("role", "viewer")
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "lab.example", "Referer": "https://lab.example/"}
    sent = browser.client.post("/s/shop/settings/people/", data=dict(form.fields), headers=told)
    assert expected in sent.text
    app.extensions["offerlab"].close()


GIVEN = {
    "OFFERLAB_OIDC_ISSUER": "https://accounts.example/",
    "OFFERLAB_OIDC_CLIENT_ID": "id",
    "OFFERLAB_OIDC_CLIENT_SECRET": "secret",
}


def test_settings_are_read_whole() -> None:
    assert load({"OFFERLAB_SECRET_KEY": "x"}).openid is None
    assert load({"OFFERLAB_SECRET_KEY": "x", "OFFERLAB_PROXIES": "1"}).proxies == 1
    plain = openid(GIVEN)
    assert plain == OpenId("https://accounts.example", "id", "secret", "accounts.example")
    assert "secret" not in repr(plain).replace("client_secret", "")
    more = openid(
        GIVEN
        | {"OFFERLAB_OIDC_DOMAINS": "Shop.example, b.example", "OFFERLAB_OIDC_NEWCOMERS": "editor"}
        | {"OFFERLAB_OIDC_ROLE_CLAIM": "groups", "OFFERLAB_OIDC_ROLES": "Lab admins=admin, pm=editor"}
        | {"OFFERLAB_OIDC_NAME": "Accounts"}
    )
    assert more is not None
    assert more.name == "Accounts"
    assert more.admission == Admission(("shop.example", "b.example"), "editor", gives_roles=True)
    assert more.roles == {"Lab admins": "admin", "pm": "editor"}
    assert more.role_of({"groups": ["pm", 7, "Lab admins"]}) == "admin"
    assert more.role_of({"groups": "pm"}) == "editor"
    assert more.role_of({"groups": {"pm": 1}}) is None
    assert more.role_of({}) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ISSUER", "http://accounts.example"),
        ("ISSUER", ""),
        ("CLIENT_SECRET", ""),
        ("NEWCOMERS", "admin"),
        ("NEWCOMERS", "viewer"),
        ("ROLES", "pm=editor"),
        ("ROLE_CLAIM", "groups"),
    ],
)
def test_settings_that_cannot_be_used_are_named(name: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        openid(GIVEN | {f"OFFERLAB_OIDC_{name}": text})
    assert refused.value.errors[0].field.startswith("OFFERLAB_OIDC_")
    with pytest.raises(Invalid):
        openid(GIVEN | {"OFFERLAB_OIDC_ROLE_CLAIM": "groups", "OFFERLAB_OIDC_ROLES": "pm=boss"})


@needs_chromium
def test_a_browser_goes_there_and_back(open_world: Callable[..., World], provider: Provider) -> None:
    provider.ends_sessions = True
    world = open_world(NEWCOMERS)
    with headless() as browser:
        for width, scheme in ((1280, "light"), (360, "dark")):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.goto(f"{world.url}/s/shop/catalogue/")
            assert_accessible(page)
            page.get_by_role("link", name="Sign in with The Provider").press("Enter")
            page.wait_for_url(f"{world.url}/s/shop/catalogue/", wait_until="domcontentloaded")
            assert page.get_by_text("ann@shop.example").count()
            cookie = next(c for c in context.cookies() if c["name"] == "session")
            assert cookie["httpOnly"]
            page.goto(f"{world.url}/s/shop/catalogue/")
            page.locator("details.account summary").press("Enter")
            page.get_by_role("button", name="Sign out").press("Enter")
            page.wait_for_url(re.compile(r"/login\?state="), wait_until="domcontentloaded")
            assert provider.left.pop()["sub"] == "1"
            context.close()
    with reading(world.shop.engine) as conn:
        assert find_person(conn, "ann@shop.example").role == "viewer"
