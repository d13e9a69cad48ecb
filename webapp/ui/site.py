"""What all pages share: blueprints, sessions, the guard against forged forms, headers, error pages."""

from datetime import timedelta
from typing import cast

from flask import Flask, Request, Response, g, make_response, render_template, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_babel import lazy_gettext as _
from flask_bootstrap import Bootstrap5
from flask_login import LoginManager, current_user
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError

from experiments.errors import OfferlabError
from experiments.storage.database import reading
from experiments.storage.storefronts import all_storefronts
from webapp.errors import problem_of
from webapp.lab import Lab, the_lab
from webapp.ui import (
    actions,
    catalogue,
    changing,
    decided,
    define,
    emergency,
    experiments,
    formats,
    holdbacks,
    home,
    keys,
    language,
    learnings,
    look,
    planner,
    quarantine,
    rehearsals,
    reports,
    reviewing,
    rule_words,
    shared,
    sharing,
    signing_in,
    words,
)
from webapp.ui.person import load_person
from webapp.ui.recalled import recalled, recalled_refusal
from webapp.ui.settings import audiences, layers, metrics, offers, people, placements, storefront, trail, visitor
from webapp.ui.settings.alerts import blueprint as alerts
from webapp.ui.settings.rooms import BLUEPRINTS, ROOMS
from webapp.ui.shared import SHARED
from webapp.ui.told import FILTERS, refused

PAGES = ("/s/", "/login", "/logout", "/link/", "/look", "/static/", "/bootstrap/", SHARED)
"""Where people look: an error there is a page; everywhere else it is JSON."""

SIGNED_IN_FOR = timedelta(days=14)
CATALOGUE_UPLOAD = 32 * 1024 * 1024
"""A catalogue's file may be larger than an API call."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; "
    "style-src-attr 'unsafe-inline'; "  # widths of bars, and what Vega writes into an inlined SVG
    "img-src 'self' data: https:; "  # products' pictures are the shop's
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_OUT_OF_DATE = _("You signed in or out since it was opened. Go back, load it again, and repeat what you did.")
TITLES = {
    400: _("Malformed request"), 401: _("Not authenticated"), 403: _("Not allowed"), 404: _("Not found"),
    405: _("Method not allowed"), 409: _("Conflict"), 413: _("Too large"), 415: _("Unsupported media type"),
    422: _("Invalid"), 429: _("Too many requests"), 500: _("Internal error"), 503: _("Unavailable"),
}  # fmt: skip
"""What an error's page is headed with: the API's titles, in the reader's language."""
_csrf = CSRFProtect()


class PageSessions(SecureCookieSessionInterface):
    """Sessions for pages only: what programs call has keys, and its answers do not depend on a cookie."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The page's session; for every other path none, which Flask makes a null session of."""
        here = request.path
        return super().open_session(app, request) if is_page(here) and not here.startswith(SHARED) else None


def install(app: Flask) -> None:
    """Give the application its pages."""
    app.config.update(
        BOOTSTRAP_SERVE_LOCAL=True,
        PERMANENT_SESSION_LIFETIME=SIGNED_IN_FOR,
        SESSION_COOKIE_HTTPONLY=True,
        WTF_CSRF_CHECK_DEFAULT=False,  # keys, not cookies, open the JSON routes: only pages need the guard
        WTF_CSRF_TIME_LIMIT=None,  # a form that was open over lunch must not lose what was typed
    )
    app.session_interface = PageSessions()
    Bootstrap5(app)
    language.install(app)
    _csrf.init_app(app)
    login = LoginManager(app)
    login.user_loader(load_person)
    login.unauthorized_handler(signing_in.ask_to_sign_in)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(formats.FILTERS, **FILTERS, recalled=recalled, recalled_refusal=recalled_refusal)
    app.jinja_env.globals.update(holdbacks.GLOBALS)
    app.jinja_env.globals.update(sharing.GLOBALS)
    app.jinja_env.globals.update(rule_words.GLOBALS)
    app.jinja_env.globals.update(words.GLOBALS, SETTINGS=ROOMS, SETTINGS_BLUEPRINTS=BLUEPRINTS)
    rooms = (
        sharing, shared, learnings,
        look, signing_in, experiments, define, actions, changing, emergency, home, reports, reviewing,
        catalogue, rehearsals, quarantine, planner, decided, keys,
        storefront, placements, layers, audiences, offers, metrics, people, trail, visitor,
    )  # fmt: skip
    for room in rooms:
        app.register_blueprint(room.blueprint)
    app.register_blueprint(alerts)
    if provider := cast("Lab", app.extensions["offerlab"]).settings.openid:
        from webapp.ui import openid  # what it takes is loaded only where it is used

        openid.install(app, provider)
    app.before_request(_guard)
    app.after_request(_headers)
    app.context_processor(_shared)


def is_page(path: str) -> bool:
    """Whether people look here, rather than programs."""
    return path == "/" or path.startswith(PAGES)


def error_page(error: Exception) -> Response:
    """An error as a page: what happened, and the way back."""
    status, headers, shape = problem_of(error)
    shape |= {"title": str(TITLES.get(status, shape["title"]))}
    if isinstance(error, CSRFError):
        shape |= {"title": str(_("This page is out of date")), "detail": str(_OUT_OF_DATE)}
    elif isinstance(error, OfferlabError):
        shape |= {"detail": refused(error)}
    try:
        body = render_template("error.html", problem=shape)
    except OfferlabError:  # the frame names who is here, and the database that knows may be what is away
        body = render_template("error_plain.html", problem=shape)
    response = make_response(body, status)
    response.headers.extend({name: value for name, value in headers.items() if name != "WWW-Authenticate"})
    return response


def _guard() -> None:
    if not is_page(request.path) or request.endpoint in {"static", "bootstrap.static", "shared.show"}:
        return
    if request.endpoint == "catalogue.upload":
        request.max_content_length = CATALOGUE_UPLOAD
    session.permanent = True
    _csrf.protect()


def _headers(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def _shared() -> dict[str, object]:
    """What the frame of every page shows: who is here, where, and where else they can go."""
    here = g.get("storefront")
    frame = {"theme": look.theme(), "language": language.chosen_language(), "languages": language.languages()}
    if not current_user.is_authenticated:
        return {**frame, "here": None, "storefronts": []}
    with reading(the_lab().engine) as conn:
        return {**frame, "here": here, "storefronts": all_storefronts(conn)}
