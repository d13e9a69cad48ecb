"""The application in this process, for what needs thousands of requests rather than a socket."""

import base64
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from experiments.service.settings import create_key
from experiments.storage.database import connect, writing
from tests.protocols.ledger import Ledger
from tests.shop import NOW, Shop, experiment, open_shop
from webapp import create_app
from webapp.config import Settings
from webapp.lab import new_token


@dataclass
class Here:
    """One storefront and its application."""

    shop: Shop
    client: FlaskClient
    key: str
    engine: Engine

    @property
    def ledger(self) -> Ledger:
        """What the storefront's log holds."""
        return Ledger(self.engine, self.shop.storefront.key)

    def send(self, path: str, body: Any, headers: dict[str, str] | None = None, key: str | None = None) -> TestResponse:
        """POST as tracking clients do: with the write key in Basic."""
        basic = base64.b64encode(f"{self.key if key is None else key}:".encode()).decode()
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        given = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"} | (headers or {})
        return self.client.post(path, data=raw, headers=given)


@contextmanager
def application(url: str) -> Iterator[Callable[[], Here]]:
    """The application on an empty database; each call opens one more storefront."""
    engine = connect(url)
    app = create_app(Settings(database_url=url, secret_key="test"))
    numbers = itertools.count(1)
    with app.test_client() as client:

        def open_here() -> Here:
            shop = open_shop(engine, f"shop-{next(numbers)}")
            shop.define(experiment())
            with writing(engine) as conn:
                key = create_key(conn, shop.storefront.id, "public", new_token(), NOW, "test")
            return Here(shop, client, key, engine)

        yield open_here
    app.extensions["offerlab"].close()
    engine.dispose()
