"""Signing in and out: by password, or by a link that works once."""

from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from experiments.errors import Invalid, NotFound
from experiments.moment import SECOND
from experiments.service.people import Guesses, TooManyGuesses, authenticate, link_owner, redeem
from experiments.storage.database import reading, writing
from experiments.storage.storefronts import all_storefronts
from experiments.storage.users import User
from webapp.clock import now
from webapp.lab import the_lab
from webapp.ui.form_errors import place
from webapp.ui.person import Person

blueprint = Blueprint("signing_in", __name__)

WINDOW = 15 * 60 * SECOND
LIMITS = {"pair": 5, "place": 50, "address": 100}
"""Wrong passwords within the window: of one address from one place, from one place, of one address from anywhere."""


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
        return redirect(wanted) if current_user.is_authenticated else render_template("login.html", wanted=wanted)
    email, password = request.form.get("email", ""), request.form.get("password", "")
    error, status = "This address and password do not belong together.", 422
    try:
        person = _guarded(email, password)
    except TooManyGuesses as refusal:
        person, error, status = None, refusal.message, 429
    if person is None:
        return render_template("login.html", wanted=wanted, email=email, error=error), status
    _begin_session(person)
    return redirect(wanted)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Out."""
    logout_user()
    session.clear()
    return redirect(url_for("signing_in.login"))


@blueprint.get("/link/<token>")
def link(token: str) -> ResponseReturnValue:
    """Sign in at once by a link from the operator's own terminal.

    A link that sets a password may have been mailed: it shows a form, so that scanners that look do not use it up.
    """
    with reading(the_lab().engine) as conn:
        found = link_owner(conn, token, now())
    if found is None:
        raise NotFound("This link was used already, has expired, or never was. Ask for a new one.")
    if found[1] == "sign_in" and request.method == "GET":
        with writing(the_lab().engine) as conn:
            person = redeem(conn, token, None, now())
        _begin_session(person)
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
    _begin_session(person)
    return redirect(url_for("signing_in.home"))


def _begin_session(person: User) -> None:
    session.clear()  # a session that somebody else planted before signing in is not carried over
    session.permanent = True
    login_user(Person(person))


def _guarded(email: str, password: str) -> User | None:
    guesses = current_app.extensions.setdefault(
        "offerlab_guesses", {kind: Guesses(most, WINDOW) for kind, most in LIMITS.items()}
    )
    place, address = request.remote_addr or "", email.strip().lower()[:254]
    keys = {"pair": f"{address} {place}", "place": place, "address": address}
    at = now()
    for kind, key in keys.items():
        guesses[kind].check(key, at)
    with reading(the_lab().engine) as conn:
        person = authenticate(conn, email, password)
    if person is None:
        for kind, key in keys.items():
            guesses[kind].wrong(key, at)
    else:
        guesses["pair"].forget(keys["pair"])
    return person


def local_path(target: str) -> str:
    """The target where it is a path of this site, never another's: two slashes at its start would name a host."""
    parts = urlsplit(target)
    local = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if local and target.isprintable() else url_for("signing_in.home")
