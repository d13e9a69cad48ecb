"""Signing in and out: by password, or by a link that works once."""

from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user, login_user, logout_user

from experiments.errors import Invalid, NotFound
from experiments.moment import SECOND
from experiments.service.entering import SignIn, note_sign_in
from experiments.service.guessing import Counted, Limit, TooManyGuesses, after_failure, after_success, before_guess
from experiments.service.people import authenticate, link_owner, redeem
from experiments.storage.bindings import Account
from experiments.storage.database import reading, writing
from experiments.storage.storefronts import all_storefronts
from experiments.storage.users import User
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import place
from webapp.ui.known_browser import known_browser, remember_browser
from webapp.ui.person import ACCOUNT, Person

blueprint = Blueprint("signing_in", __name__)

LEAVING = "openid_leaving"
WINDOW = 15 * 60 * SECOND
PAIR, PLACE, ADDRESS = Limit("pair", 5, WINDOW), Limit("place", 50, WINDOW), Limit("address", 100, WINDOW)
"""Wrong passwords of one address from one place, from one place, of one address from anywhere."""
BROWSER = Limit("browser", 10, WINDOW)
"""Wrong passwords from a browser that the person signed in with before: the other limits do not hold for it."""


def ask_to_sign_in() -> ResponseReturnValue:
    """Where somebody without a session is sent; they come back to what they wanted to read."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else request.path
    return redirect(url_for("signing_in.login", next=wanted))


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The first storefront's home."""
    if not current_user.is_authenticated:
        return redirect(url_for("signing_in.login"))
    with reading(the_lab().engine) as conn:
        known = all_storefronts(conn)
    if not known:
        return render_template("no_storefront.html")
    return redirect(url_for("home.show", storefront=known[0].key))


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The door."""
    wanted = local_path(request.values.get("next", ""))
    if request.method == "GET":
        return redirect(wanted) if current_user.is_authenticated else show_login(wanted)
    email, password = request.form.get("email", ""), request.form.get("password", "")
    error, status = gettext("This address and password do not belong together."), 422
    try:
        person = _guarded(email, password)
    except TooManyGuesses as refusal:
        minutes = max(1, -(-refusal.retry_after // 60))
        said = gettext("Too many wrong passwords. Try again in %(minutes)s min.", minutes=minutes)
        person, error, status = None, said, 429
    if person is None:
        return show_login(wanted, error, status, email)
    begin_session(person, "password")
    return remember_browser(make_response(redirect(wanted)), person.email)


def show_login(wanted: str, error: str = "", status: int = 200, email: str = "") -> ResponseReturnValue:
    """The page with the ways in, and why the one that was tried did not lead there."""
    provider = the_lab().settings.openid
    return render_template(
        "login.html", wanted=wanted, email=email, error=error, provider=provider.name if provider else None
    ), status


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Out; and at the provider too, where somebody came in by one."""
    by_provider = ACCOUNT in session
    logout_user()
    session.clear()
    if by_provider and the_lab().settings.openid:
        session[LEAVING] = True
        return redirect(url_for("openid.leave"))
    return redirect(url_for("signing_in.login"))


@blueprint.get("/link/<token>")
def link(token: str) -> ResponseReturnValue:
    """Sign in at once by a link from the operator's own terminal.

    A link that sets a password may have been mailed: it shows a form, so that scanners that look do not use it up.
    """
    with reading(the_lab().engine) as conn:
        found = link_owner(conn, token, now())
    if found is None:
        raise NotFound(gettext("This link was used already, has expired, or never was. Ask for a new one."))
    if found[1] == "sign_in" and request.method == "GET":
        with writing(the_lab().engine) as conn:
            person = redeem(conn, token, None, now())
        begin_session(person, "link")
        return redirect(url_for("signing_in.home"))
    return render_template("link.html", person=found[0], purpose=found[1], errors={})


@blueprint.post("/link/<token>")
def use_link(token: str) -> ResponseReturnValue:
    """Sign in by the link, or set the password that it was sent for."""
    password = request.form.get("password")
    try:
        with writing(the_lab().engine) as conn:
            person = redeem(conn, token, password, now())
    except Invalid as refusal:
        with reading(the_lab().engine) as conn:
            found = link_owner(conn, token, now())
        if found is None:
            raise
        errors = place(refusal.errors, {})
        return render_template("link.html", person=found[0], purpose=found[1], errors=errors), 422
    begin_session(person, "link")
    return redirect(url_for("signing_in.home"))


def begin_session(person: User, by: SignIn, account: Account | None = None) -> None:
    """From here on this browser is the person's; begun by an account, as long as that is bound to them."""
    with writing(the_lab().engine) as conn:
        note_sign_in(conn, person, by, now())
    session.clear()  # a session that somebody else planted before signing in is not carried over
    session.permanent = True
    if account is not None:
        session[ACCOUNT] = [account.issuer, account.subject]
    login_user(Person(person))


def _guarded(email: str, password: str) -> User | None:
    """The person whose password it is; it is counted before it is looked at, so that nobody guesses side by side."""
    engine, counted = the_lab().engine, _counted(email.strip().lower()[:254])
    with writing(engine) as conn:
        before_guess(conn, counted, now())
    with reading(engine) as conn:
        person = authenticate(conn, email, password)
    with writing(engine) as conn:
        if person is None:
            after_failure(conn, now())
        else:
            after_success(conn, counted, now())
    return person


def _counted(address: str) -> list[Counted]:
    browser = known_browser(address)
    if browser is not None:
        return [Counted(BROWSER, browser)]
    place = _place(request.remote_addr or "")
    return [Counted(PAIR, f"{address} {place}"), Counted(PLACE, place), Counted(ADDRESS, address)]


def _place(remote: str) -> str:
    """Where somebody is: the address, of version 6 the network, as one customer has all of it."""
    try:
        found = ip_address(remote)
    except ValueError:
        return remote
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return f"{int(found) >> 64:x}::/64"
    return remote


def local_path(target: str) -> str:
    """The target where it is a path of this site, never another's: two slashes at its start would name a host."""
    parts = urlsplit(target)
    local = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if local and target.isprintable() else url_for("signing_in.home")
