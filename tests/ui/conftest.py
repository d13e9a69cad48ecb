"""The real application on a fresh SQLite database, and browsers that are signed in to it."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.shop import Shop, open_shop
from tests.ui.browser import Browser
from webapp import create_app
from webapp.config import Settings


@pytest.fixture
def app(sqlite_url: str) -> Iterator[Flask]:
    """The application."""
    made = create_app(Settings(database_url=sqlite_url, secret_key="for tests only"))
    yield made
    made.extensions["offerlab"].close()


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
