"""The real application on a fresh SQLite database, and browsers that are signed in to it."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from experiments.service.settings import create_key
from experiments.storage.database import writing
from tests.serving import serving
from tests.shop import Shop, open_shop
from tests.ui.browser import Browser
from webapp import create_app
from webapp.clock import now
from webapp.config import Settings
from webapp.lab import new_token


@pytest.fixture
def app(sqlite_url: str) -> Iterator[Flask]:
    """The application."""
    made = create_app(Settings(database_url=sqlite_url, secret_key="for tests only"))
    yield made
    made.extensions["offerlab"].close()


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the application is served, for real browsers."""
    with serving(app) as url:
        yield url


@pytest.fixture
def shop(app: Flask) -> Shop:
    """A storefront with a catalogue, in the application's database."""
    return open_shop(app.extensions["offerlab"].engine)


@pytest.fixture
def sign_in(app: Flask, shop: Shop) -> Callable[[str], Browser]:
    """A browser of somebody with a role."""

    def signed_in(role: str) -> Browser:
        return Browser.signed_in(app, role)

    return signed_in


@pytest.fixture
def editor(sign_in: Callable[[str], Browser]) -> Browser:
    """Somebody who defines experiments."""
    return sign_in("editor")


@pytest.fixture
def api(app: Flask, shop: Shop) -> Callable[..., TestResponse]:
    """The management API with an admin key: `api("get", path)`."""
    with writing(shop.engine) as conn:
        key = create_key(conn, shop.storefront.id, "admin", new_token(), now(), "test")
    client = app.test_client()

    def call(method: str, path: str, **given: object) -> TestResponse:
        return client.open(path, method=method, headers={"Authorization": f"Bearer {key}"}, **given)  # type: ignore[arg-type]  # werkzeug's many arguments

    return call
