"""The application: every route and page on one installation."""

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from experiments.errors import Unavailable
from experiments.storage.database import check_schema
from webapp.api import (
    checkout,
    health,
    holdbacks,
    learnings,
    management,
    measuring,
    metrics,
    offers,
    openapi,
    people,
    products,
    reviewing,
    routes,
    sharing,
    steering,
    traffic,
)
from webapp.api.alerts import blueprint as alerting
from webapp.config import Settings, load
from webapp.errors import PROBLEM_JSON, encode, problem_of
from webapp.lab import Lab, kept_rows
from webapp.metrics import serving as counting
from webapp.protocols import growthbook, ofrep, segment, snippet, streams, webhooks
from webapp.shop import site as shop_site
from webapp.ui import site


def create(settings: Settings | None = None) -> Flask:
    """The application on an installation's database; OldSchema where that is not up to date.

    While the database is away it starts from the snapshot on disk; Unavailable where there is none.
    """
    lab = Lab(settings or load())
    _check_database(lab)
    app = Flask("webapp")
    app.config.update(
        SECRET_KEY=lab.settings.secret_key,
        # a body in chunks is cut off there without a word: one byte more shows that it was too large
        MAX_CONTENT_LENGTH=lab.settings.max_body_bytes + 1,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=lab.settings.secure_cookies,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # declared on the default provider, which is the one in use
    app.extensions["offerlab"] = lab
    if before := lab.settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=before, x_proto=before, x_host=before)  # type: ignore[method-assign]  # Flask's own way to wrap it
    app.register_blueprint(routes.blueprint)
    app.register_blueprint(checkout.blueprint)
    for managed in (management, products, offers, measuring):
        app.register_blueprint(managed.blueprint)
    app.register_blueprint(offers.previews)
    app.register_blueprint(traffic.managed)
    app.register_blueprint(steering.blueprint)
    app.register_blueprint(alerting)
    for after in (holdbacks, sharing, learnings):
        app.register_blueprint(after.blueprint)
    app.register_blueprint(reviewing.blueprint)
    app.register_blueprint(people.blueprint)
    app.register_blueprint(traffic.blueprint)
    app.register_blueprint(health.blueprint)
    for told in (openapi, metrics):
        app.register_blueprint(told.blueprint)
    streams.install(app)
    for protocol in (ofrep, growthbook, segment, streams, snippet, webhooks):
        app.register_blueprint(protocol.blueprint)
    site.install(app)
    shop_site.install(app, lab)
    app.register_error_handler(Exception, _failed)
    counting.install(app)
    return app


def _check_database(lab: Lab) -> None:
    try:
        check_schema(lab.engine)
    except Unavailable:
        if kept_rows(lab.settings, lab.engine).read() is None:
            raise


def _failed(error: Exception) -> Response:
    if site.is_page(request.path):
        return site.error_page(error)
    status, headers, shape = problem_of(error)
    return Response(encode(shape), status, {"Content-Type": PROBLEM_JSON} | headers)
