"""Pages at 500 experiments and 100,000 products: the number of queries does not grow with either."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest
from flask import Flask
from sqlalchemy import Connection, event, insert

from experiments.definition import parse, to_json
from experiments.storage.database import writing
from experiments.storage.storefronts import bump_revision, touch_products
from experiments.storage.tables import experiment as experiment_table
from experiments.storage.tables import product as product_table
from tests.conftest import sqlite_copy
from tests.shop import NOW, Shop, experiment, open_shop
from tests.ui.browser import Browser
from webapp import create_app
from webapp.config import Settings

MANY_EXPERIMENTS, MANY_PRODUCTS = 500, 100_000
STATES = ("running", "draft", "stopped", "closed", "paused")
PAGES = {
    "/s/shop/home": 10,
    "/s/shop/": 10,
    "/s/shop/?shelf=live&page=2": 10,
    "/s/shop/emergency": 8,
    "/s/shop/experiments/new?guide=": 14,
    "/s/shop/experiments/e-1": 12,
    "/s/shop/experiments/e-1/edit": 18,
    "/s/shop/experiments/e-1/start": 8,
    "/s/shop/experiments/e-0/amend": 7,
    "/s/shop/experiments/e-0/ramp": 8,
}
"""The most queries that a page may make, those of the session and of the frame included."""


def fill(conn: Connection, shop: Shop, experiments: int, products: int) -> None:
    """Rows as the store writes them, many at once."""
    rows = []
    for number in range(experiments):
        definition = parse(
            experiment(f"e-{number}", name=f"Experiment {number}", placement=("cart", "checkout")[number % 2])
        )
        state = STATES[number % len(STATES)]
        rows.append({
            "storefront_id": shop.storefront.id, "key": definition.key, "placement": definition.placement,
            "state": state, "seed": definition.key, "definition": to_json(definition),
            "fingerprint": definition.fingerprint, "version": 1, "created_at": NOW,
            "started_at": None if state == "draft" else NOW, "stopped_at": NOW if state == "stopped" else None,
        })  # fmt: skip
    conn.execute(insert(experiment_table), rows)
    for begin in range(0, products, 5000):
        made = [
            {
                "storefront_id": shop.storefront.id, "product_id": f"p-{n}", "title": f"Product {n}",
                "category": f"c-{n % 500}", "price": 1000 + n % 700, "cost": 400, "url": "", "image": "",
                "attributes": {}, "updated_at": NOW,
            }
            for n in range(begin, min(begin + 5000, products))
        ]  # fmt: skip
        if made:
            conn.execute(insert(product_table), made)
    touch_products(conn, shop.storefront.id, NOW)
    bump_revision(conn)


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """The statements that the application makes meanwhile."""
    engine = app.extensions["offerlab"].engine
    said: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            said.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
def app(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application on one database for all of these: filling it takes longer than reading it."""
    url = sqlite_copy(template, tmp_path_factory.mktemp("many"))
    made = create_app(Settings(database_url=url, secret_key="for tests only"))
    shop = open_shop(made.extensions["offerlab"].engine)
    with writing(shop.engine) as conn:
        fill(conn, shop, MANY_EXPERIMENTS, MANY_PRODUCTS)
    yield made
    made.extensions["offerlab"].close()


@pytest.fixture(scope="module")
def many(app: Flask) -> Browser:
    """An editor of a storefront with much in it, once its snapshot is there."""
    editor = Browser.signed_in(app, "editor")
    while editor.get("/s/shop/catalogue/").status_code == 503:  # pytest's own limit ends a wait in vain
        sleep(0.2)
    return editor


def test_pages_make_few_queries_however_much_there_is(app: Flask, many: Browser) -> None:
    made = {}
    for path in PAGES:
        many.text(path)
        with counted(app) as said:
            many.text(path)
        # the snapshot's own look at its revision, by its own thread, is no page's query
        made[path] = sum("revision" not in statement for statement in said)
    assert {path: count for path, count in made.items() if count > PAGES[path]} == {}, made


def test_a_page_of_the_list_shows_fifty(many: Browser) -> None:
    assert many.text("/s/shop/").count('<th scope="row">') == 50
    assert "Experiment 7<" in many.text("/s/shop/?q=experiment+7&page=99")


def test_a_large_catalogue_is_searched_not_sent(many: Browser) -> None:
    page = many.text("/s/shop/experiments/new?guide=")
    assert "data-search=" in page
    assert len(page) < 200_000
